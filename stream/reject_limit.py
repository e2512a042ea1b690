"""Tells when so much of a topic cannot be used that a person should look before more of it is set aside."""

from __future__ import annotations

from collections import deque

WINDOW_RECORDS = 1000
MOST_BAD_SHARE = 0.5
MOST_IN_A_ROW = 200
RELEASED_RECORDS = 1000
"""How many bad records a release lets through."""


class RejectLimit:
    """The last records of one topic, as good or bad; the numbers are those of `wire.md`."""

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=WINDOW_RECORDS)
        self._bad = 0
        self._in_a_row = 0

    def note(self, *, is_bad: bool) -> None:
        """Take the next record."""
        if len(self._last) == WINDOW_RECORDS:
            self._bad -= self._last[0]
        self._last.append(is_bad)
        self._bad += is_bad
        self._in_a_row = self._in_a_row + 1 if is_bad else 0

    def reason(self) -> str | None:
        """Return what is beyond the limit in words, None while nothing is.

        The 200th in a row is beyond it, and the 501st of the last 1,000 whether or not that many came yet.
        """
        if self._in_a_row >= MOST_IN_A_ROW:
            return f"{self._in_a_row} records in a row cannot be used"
        if self._bad > MOST_BAD_SHARE * WINDOW_RECORDS:
            return f"{self._bad} of the last {len(self._last)} records cannot be used"
        return None
