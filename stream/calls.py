"""The calls an audio worker follows: whose they are, how they stand, and when they are over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alerts.alert import CALL_PLATFORM, UNASSIGNED, Conversation
from alerts.engine import RuleStates
from alerts.intake.schema import CallEvent
from alerts.keep_calls import CallRow
from detectors.phrases.memory import EMPTY, SpeakerMemory
from detectors.values import Side

GRACE_SECONDS = 2.0
"""Audio up to this long after `call.ended` still counts: it travels on another topic."""
DEGRADED_SECONDS = 10.0
"""A call is shown as degraded for this long after a record of it could not be used."""


@dataclass(slots=True)
class Call:
    """What is known of one call beside its audio; all of it can be had again from the database and Kafka."""

    conversation: Conversation
    partition: int
    heard_at: float
    """Unix time its last record arrived, by our own clock: ends a call that went silent on the topic."""
    rules: RuleStates = field(default_factory=RuleStates)
    arrived_at: float = 0.0
    """Broker's time of its last audio."""
    on_hold: bool = False
    ended_at: float | None = None
    degraded_until: float = 0.0
    lost_seconds: float = 0.0
    at_seconds: float = 0.0
    """The call's own time that was scored last."""
    row_at_seconds: float = -1.0
    over: frozenset[tuple[Side, str]] = frozenset()
    """(side, metric) of what was past its limit in that second."""
    tails: dict[Side, SpeakerMemory] = field(default_factory=dict)
    """The last words of each side, for phrases that lie across turns."""

    def tail(self, side: Side) -> SpeakerMemory:
        """Return the last words of a side."""
        return self.tails.get(side, EMPTY)


class Calls:
    """All calls of this worker by id."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}

    def __contains__(self, conversation_id: object) -> bool:
        return conversation_id in self._calls

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, conversation_id: str) -> Call | None:
        """Return a call, None where it is not followed."""
        return self._calls.get(conversation_id)

    def open(self, conversation_id: str, partition: int, now: float) -> Call:
        """Return a call, made where it was not followed yet, and note that it was heard of."""
        call = self._calls.get(conversation_id)
        if call is None:
            conversation = Conversation(CALL_PLATFORM, conversation_id, "call")
            call = self._calls[conversation_id] = Call(conversation, partition, now)
        call.heard_at = now
        return call

    def forget(self, conversation_id: str) -> None:
        """Drop a call."""
        self._calls.pop(conversation_id, None)

    def of_partitions(self, partitions: Iterable[int]) -> list[str]:
        """Return the calls whose records come on any of these partitions."""
        gone = set(partitions)
        return [name for name, call in self._calls.items() if call.partition in gone]

    def over(self, now: float, idle_seconds: float) -> list[str]:
        """Return the calls that have ended, and those nothing was heard of for `idle_seconds`."""
        return [
            name
            for name, call in self._calls.items()
            if (call.ended_at is not None and now - call.ended_at > GRACE_SECONDS) or now - call.heard_at > idle_seconds
        ]


def learn(call: Call, event: CallEvent, at: float) -> CallRow:
    """Take over what an event tells of a call and return what the database is to know of it.

    What the event leaves out stays. `at` is the Unix time it arrived.
    """
    told: dict[str, Any] = {
        "agent_id": event.agent.id if event.agent else None,
        "agent_name": event.agent.name if event.agent else None,
        "team": event.team,
        "queue": event.queue,
        "language": event.language,
    }
    before = call.conversation
    call.conversation = replace(before, **{name: value for name, value in told.items() if value is not None})
    if event.hold is not None:
        call.on_hold = event.hold
    if event.type == "call.ended" and call.ended_at is None:  # told again after a crash it ended when it ended
        call.ended_at = at
    columns: Mapping[str, Any] = {
        **told,
        "customer_id": event.customer.id if event.customer else None,
        "direction": event.direction,
    }
    learned = before.team == UNASSIGNED and call.conversation.team != UNASSIGNED
    return CallRow(event.conversation_id, at, columns, learned_agent=learned)
