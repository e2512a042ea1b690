"""What one agent tried in one conversation: attempts in their order, and what the next message is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from alerts.evidence import excerpt
from alerts.masking import mask_text
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.variants import MAX_STOPPED, Stopped
from detectors.values import Hit, PhraseAction

FOLLOWED_SECONDS = 600.0
"""After an interception, how long the agent's messages are compared with it."""
MOST_TRIES = 10
"""Attempts that are told with an alert, the latest; the number goes on."""
TRY_CODE_POINTS = 80
"""Of an attempt's text, around its first hit."""

_OUTCOMES = {"block": "blocked", "mask": "replaced", "review": "held"}


def outcome_of(intercepted_by: str | None, action: PhraseAction | str | None) -> str:
    """Return what became of a text that was found wanting: blocked, replaced, held, platform or delivered."""
    if intercepted_by is None:
        return "delivered"
    return "platform" if intercepted_by == "platform" else _OUTCOMES[action or "block"]


class Try(NamedTuple):
    """One attempt."""

    attempt: int
    at: float
    """Unix time it came."""
    message_id: str
    key: str
    """Tells the texts of an edited message apart."""
    outcome: str
    text: str
    """Masked, cut around its first hit."""
    spans: tuple[tuple[int, int], ...]

    def told(self) -> dict[str, Any]:
        """Return what an alert shows of it."""
        shown = self._asdict()
        del shown["key"]
        return shown


@dataclass(frozen=True, slots=True)
class Chain:
    """JSON-able, some kilobytes at most; a chat without attempts has none."""

    until: float = 0.0
    """Unix time to which messages are compared."""
    stopped: tuple[Stopped, ...] = ()
    tries: tuple[Try, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Chain:
        """Return what `to_json` gave."""
        return cls(
            body["until"],
            tuple(Stopped(**one | {"spellings": tuple(one["spellings"])}) for one in body["stopped"]),
            tuple(Try(**one | {"spans": tuple((start, end) for start, end in one["spans"])}) for one in body["tries"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what the conversation's row keeps."""
        return {
            "until": self.until,
            "stopped": [one._asdict() for one in self.stopped],
            "tries": [one._asdict() for one in self.tries],
        }

    def near(self, phrases: PhraseEngine, text: str, at: float) -> tuple[Hit, ...]:
        """Return where a message that arrived at Unix time `at` says loosely what was stopped before it."""
        return phrases.near(text, self.stopped) if at < self.until else ()

    def stop(self, phrases: PhraseEngine, hits: Iterable[Hit], text: str, at: float) -> Chain:
        """Return the chain after an interception at Unix time `at`."""
        new = [stopped for hit in hits if (stopped := phrases.stopped(hit, text)) is not None]
        earlier = self.stopped if at < self.until else ()
        # The latest last, and each once: an agent who sends the same again and again is compared once.
        latest = dict.fromkeys(reversed((*earlier, *new[:MAX_STOPPED])))
        kept = tuple(reversed(list(latest)[:MAX_STOPPED]))
        return replace(self, until=max(self.until, at + FOLLOWED_SECONDS), stopped=kept)

    def tried(self, attempt: int, at: float, message_id: str, text: str, hits: Iterable[Hit], outcome: str) -> Chain:
        """Return the chain with one more attempt."""
        shown, spans, _ = excerpt(mask_text(text), [hit.span for hit in hits], TRY_CODE_POINTS)
        one = Try(attempt, at, message_id, _key(text), outcome, shown, spans)
        return replace(self, tries=(*self.tries, one)[-MOST_TRIES:])

    def attempt_of(self, message_id: str, text: str) -> int | None:
        """Return which attempt a text was, None where it was none or is too long ago."""
        key = _key(text)
        return next((one.attempt for one in self.tries if (one.message_id, one.key) == (message_id, key)), None)

    def came_to(self, message_id: str, text: str, outcome: str) -> Chain:
        """Return the chain with what is known later of an attempt."""
        key = _key(text)
        tries = (
            one._replace(outcome=outcome) if (one.message_id, one.key) == (message_id, key) else one
            for one in self.tries
        )
        return replace(self, tries=tuple(tries))


NO_CHAIN = Chain()
"""Of an agent who was never stopped."""


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
