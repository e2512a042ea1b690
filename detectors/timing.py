"""Who waits for a reply in a chat since when, and how long a reply took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detectors.values import Side


@dataclass(frozen=True, slots=True)
class Waits:
    """What a chat remembers of its customer's waiting; kept in the conversation's row."""

    waiting_since: float | None = None
    """Unix time the customer's oldest unanswered message arrived, None while nobody waits."""
    first_replied: bool = False
    """Whether the agent has answered once: other limits hold from then on."""
    raised: tuple[str, ...] = ()
    """What the rules have already asked about this wait, so that it is asked once."""
    sent_at: float | None = None
    """Unix time the platform says that message was written, None where it does not say."""

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "waiting_since": self.waiting_since,
            "first_replied": self.first_replied,
            "raised": list(self.raised),
            "sent_at": self.sent_at,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Waits:
        """Return the waits of a row; what is not there is as at the start of a chat."""
        return cls(
            waiting_since=body.get("waiting_since"),
            first_replied=bool(body.get("first_replied", False)),
            raised=tuple(body.get("raised", ())),
            sent_at=body.get("sent_at"),
        )


def hear(
    waits: Waits, side: Side, at: float, delivered: bool, sent_at: float | None = None
) -> tuple[Waits, float | None]:
    """Return the waits after a message, and the reply time in seconds if it answered one.

    `at` is the Unix time it arrived, `sent_at` the time the platform says it was written. A reply is measured
    between the two `sent_at` where both messages have one, else between the arrivals: one of each would add
    the two clocks' difference. Nobody reads what was not `delivered`, so that neither starts nor answers a
    wait; nor does a bot, whom a customer does not wait for.
    """
    if not delivered or side == "bot":
        return waits, None
    if side == "customer":
        if waits.waiting_since is not None:
            return waits, None
        return Waits(at, waits.first_replied, (), sent_at), None
    if waits.waiting_since is None:
        return waits, None
    seconds = at - waits.waiting_since
    if sent_at is not None and waits.sent_at is not None:
        seconds = sent_at - waits.sent_at
    return Waits(first_replied=True), max(0.0, seconds)
