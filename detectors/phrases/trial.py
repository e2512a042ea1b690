"""A lexicon tried on messages that were really written: how many it would stop, for which phrases, and where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from detectors.phrases.engine import PhraseEngine, action_of
from detectors.phrases.lexicon import Phrase
from detectors.phrases.memory import EMPTY, SpeakerMemory
from detectors.values import Hit, PhraseAction, Side

MOST_SPEAKERS = 10_000
"""Whose last words are remembered, for phrases split over messages; the longest silent is forgotten."""
UNDELIVERED = ("block", "review")


@dataclass(frozen=True, slots=True)
class Example:
    """A message that a phrase is found in."""

    line: int
    """In the file."""
    side: Side
    text: str
    span: tuple[int, int]
    """[start, end) in code points of the text."""
    how: str


@dataclass(slots=True)
class PhraseTried:
    """What one phrase did."""

    phrase: Phrase
    messages: int = 0
    examples: list[Example] = field(default_factory=list)
    """The first ones, each text once."""


@dataclass(slots=True)
class SideTried:
    """What became of one side's messages."""

    messages: int = 0
    hit: int = 0


class Trial:
    """Reads messages one after the other, as the chat worker would, and counts."""

    def __init__(self, engine: PhraseEngine, examples: int = 3) -> None:
        self._engine = engine
        self._most_examples = examples
        self._memory: dict[tuple[str, Side], SpeakerMemory] = {}
        self._phrases = {phrase.id: phrase for phrase in engine.lexicon.phrases}
        self._tried: dict[str, PhraseTried] = {}
        self._texts: dict[str, set[str]] = {}
        self.sides: dict[Side, SideTried] = {}
        self.actions: Counter[PhraseAction] = Counter()
        """Messages by what would become of them; `allow` is what is delivered and flagged."""
        self.categories: Counter[str] = Counter()
        """Messages by category of what is found in them; a message may count in several."""

    @property
    def messages(self) -> int:
        """How many were read."""
        return sum(side.messages for side in self.sides.values())

    @property
    def hit(self) -> int:
        """How many of them have a hit."""
        return sum(side.hit for side in self.sides.values())

    @property
    def silent(self) -> int:
        """How many phrases were found nowhere."""
        return len(self._phrases) - len(self._tried)

    def phrases(self) -> list[PhraseTried]:
        """What was found, the most frequent first."""
        return sorted(self._tried.values(), key=lambda tried: (-tried.messages, tried.phrase.id))

    def read(self, line: int, text: str, side: Side, conversation: str | None = None) -> tuple[Hit, ...]:
        """Read a message and return its hits; without a conversation it stands alone."""
        memory = EMPTY if conversation is None else self._memory.pop((conversation, side), EMPTY)
        reading = self._engine.read(text, side, memory)
        action = action_of(reading.hits)
        if conversation is not None:
            # As the chat worker does: what the other side did not get is not what it remembers.
            self._memory[conversation, side] = memory if action in UNDELIVERED else reading.memory
            if len(self._memory) > MOST_SPEAKERS:
                del self._memory[next(iter(self._memory))]
        counts = self.sides.setdefault(side, SideTried())
        counts.messages += 1
        if reading.hits:
            counts.hit += 1
            self.actions[action] += 1
            self.categories.update({hit.category for hit in reading.hits})
            for hit in {hit.phrase_id: hit for hit in reversed(reading.hits)}.values():
                self._count(hit, line, text, side)
        return reading.hits

    def _count(self, hit: Hit, line: int, text: str, side: Side) -> None:
        tried = self._tried.setdefault(hit.phrase_id, PhraseTried(self._phrases[hit.phrase_id]))
        tried.messages += 1
        texts = self._texts.setdefault(hit.phrase_id, set())
        if len(texts) < self._most_examples and text not in texts:
            texts.add(text)
            tried.examples.append(Example(line, side, text, hit.span, hit.how))
