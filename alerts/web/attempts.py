"""Slows down who guesses passwords: ten wrong ones for a login from one address, then five minutes' rest."""

from __future__ import annotations

from collections import OrderedDict, deque

MOST_FAILURES = 10
WINDOW_SECONDS = 300.0
MOST_KEYS = 10_000
"""Pairs of address and login that are remembered; beyond that the oldest is forgotten, memory stays bounded."""


class LoginAttempts:
    """The failed logins of the last minutes, in memory."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def begin(self, address: str, login: str, now: float) -> float:
        """Count an attempt as failed until `succeed`; return how many seconds it has to wait, 0 if none.

        Counted before the password is checked, so that many attempts at once are not all let through.
        """
        key = (address, login)
        failures = self._failures.setdefault(key, deque())
        self._failures.move_to_end(key)
        while failures and failures[0] <= now - WINDOW_SECONDS:
            failures.popleft()
        if len(failures) >= MOST_FAILURES:
            return failures[0] + WINDOW_SECONDS - now
        failures.append(now)
        while len(self._failures) > MOST_KEYS:
            self._failures.popitem(last=False)
        return 0.0

    def succeed(self, address: str, login: str) -> None:
        """Forget the failures of somebody who knew the password."""
        self._failures.pop((address, login), None)
