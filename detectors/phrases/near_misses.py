"""Why a phrase that stands in a text is no hit: what of its entry voids it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from detectors.phrases.boundaries import Segment
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.fold import fold
from detectors.phrases.lexicon import Lexicon, Phrase
from detectors.phrases.memory import EMPTY, SpeakerMemory
from detectors.values import Hit, Side

Why = Literal["speaker", "allow", "negation", "boundary", "several"]


class NearMiss(NamedTuple):
    """A phrase that would be a hit but for one thing."""

    hit: Hit
    """As it would be."""
    phrase: Phrase
    why: Why
    """The field of the entry that voids it; `several` where no single one does."""
    words: tuple[str, ...]
    """Of `allow` or `negation`: those that stand in the text."""


def near_misses(
    engine: PhraseEngine, segment: Segment | None, text: str, side: Side, memory: SpeakerMemory = EMPTY
) -> tuple[NearMiss, ...]:
    """The phrases that stand in a text and are voided; compiles the lexicon anew, so this is not for the live path."""
    phrases = engine.lexicon.phrases
    hits = engine.read(text, side, memory).hits
    found = {hit.phrase_id for hit in hits}
    loose = tuple(
        replace(p, speaker="any", allow=(), negation=(), boundary="none") for p in phrases if p.id not in found
    )
    by_id = {phrase.id: phrase for phrase in phrases}
    misses = []
    for hit in PhraseEngine(Lexicon(loose), segment).read(text, side, memory).hits:
        if any(hit.span[0] < end and start < hit.span[1] for start, end in (other.span for other in hits)):
            continue  # it lies inside of what is a hit anyway
        phrase = by_id[hit.phrase_id]
        why = _why(phrase, segment, text, side, memory)
        misses.append(NearMiss(hit, phrase, why, _standing_in(text, phrase, why)))
    return tuple(misses)


def _why(phrase: Phrase, segment: Segment | None, text: str, side: Side, memory: SpeakerMemory) -> Why:
    """The one field without which the phrase would be a hit."""
    tries: Sequence[tuple[Why, Phrase]] = (
        ("speaker", replace(phrase, speaker="any")),
        ("negation", replace(phrase, negation=())),
        ("allow", replace(phrase, allow=())),
        ("boundary", replace(phrase, boundary="none")),
    )
    for why, loosened in tries:
        if PhraseEngine(Lexicon((loosened,)), segment).read(text, side, memory).hits:
            return why
    return "several"


def _standing_in(text: str, phrase: Phrase, why: Why) -> tuple[str, ...]:
    words = phrase.negation if why == "negation" else phrase.allow if why == "allow" else ()
    folded = fold(text)
    return tuple(word for word in words if fold(word) in folded)
