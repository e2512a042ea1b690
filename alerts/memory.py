"""What one conversation remembers between its messages: it stands in the conversation's row, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from alerts.chain import NO_CHAIN, Chain
from alerts.conditions import PastHit
from detectors.phrases.memory import EMPTY, SpeakerMemory
from detectors.timing import Waits
from detectors.values import Side


@dataclass(slots=True)
class ConversationMemory:
    """Read from the row at the start of a transaction, changed message by message, written back at its end."""

    speakers: dict[str, SpeakerMemory] = field(default_factory=dict)
    """The last folded characters of each speaker, so that a phrase split over messages is found."""
    attempts: dict[str, int] = field(default_factory=dict)
    """Messages of each agent that were stopped or should have been."""
    chains: dict[str, Chain] = field(default_factory=dict)
    """What each agent who was stopped tried, and what is compared with it."""
    waits: Waits = field(default_factory=Waits)
    past: tuple[PastHit, ...] = ()
    """Hits of earlier messages that a rule may still count."""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> ConversationMemory:
        """Return the memory of a row; an empty row remembers nothing."""
        return cls(
            speakers={name: SpeakerMemory.from_json(tail) for name, tail in body.get("speakers", {}).items()},
            attempts=dict(body.get("attempts", {})),
            chains={name: Chain.from_json(chain) for name, chain in body.get("chains", {}).items()},
            waits=Waits.from_json(body["waits"]) if "waits" in body else Waits(),
            past=tuple(PastHit(**hit) for hit in body.get("past", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what the row keeps."""
        return {
            "speakers": {name: tail.to_json() for name, tail in self.speakers.items()},
            "attempts": self.attempts,
            "chains": {name: chain.to_json() for name, chain in self.chains.items()},
            "waits": self.waits.to_json(),
            "past": [asdict(hit) for hit in self.past],
        }

    def of_speaker(self, side: Side, sender_id: str | None) -> SpeakerMemory:
        """Return what is remembered of one speaker."""
        return self.speakers.get(_speaker(side, sender_id), EMPTY)

    def keep(self, side: Side, sender_id: str | None, tail: SpeakerMemory) -> None:
        """Remember a speaker's text that reached the other side."""
        self.speakers[_speaker(side, sender_id)] = tail

    def chain_of(self, agent_id: str | None) -> Chain:
        """Return what an agent tried so far."""
        return self.chains.get(agent_id or "", NO_CHAIN)

    def keep_chain(self, agent_id: str | None, chain: Chain) -> None:
        """Remember what an agent tried."""
        self.chains[agent_id or ""] = chain

    def count_attempt(self, agent_id: str | None) -> int:
        """Count one more stopped message of an agent and return how many there are now."""
        key = agent_id or ""
        self.attempts[key] = self.attempts.get(key, 0) + 1
        return self.attempts[key]


def _speaker(side: Side, sender_id: str | None) -> str:
    """Name a speaker within the conversation."""
    return f"{side}:{sender_id or ''}"
