"""Finds the phrases of a lexicon in messages, one after the other, also where they are disguised or split over two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from detectors.phrases import disguises
from detectors.phrases.automaton import Matcher, matcher_of
from detectors.phrases.boundaries import Segment
from detectors.phrases.fold import MESSAGE_END, Mapped, View, fold, run_on_view, words_view, words_view_of_ascii
from detectors.phrases.lexicon import Lexicon
from detectors.phrases.memory import EMPTY, TAIL_CODE_POINTS, SpeakerMemory
from detectors.phrases.patterns import Pattern, Patterns, collapse, patterns_of
from detectors.phrases.validation import Candidate, Validator
from detectors.values import Hit, PhraseAction, Side

MAX_CODE_POINTS = 100_000
"""Texts are read to here; what a longer one gets is the caller's to say (`review` unless this part is blocked)."""

MASK = "*"
_STRENGTH: dict[PhraseAction, int] = {"allow": 0, "mask": 1, "review": 2, "block": 3}
# A letter of a script with blanks, or a digit, in a folded text: without one there is nothing for the Latin view.
_SPACED = re.compile("[^ \n\u2e80-\ua4cf\uac00-\uffff]")

Found = list[tuple[Pattern, int, int]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says that it must not."""

    hits: tuple[Hit, ...]
    """In order of their spans."""
    memory: SpeakerMemory
    """The speaker's memory if the message is delivered; when it is blocked the caller keeps the one it had."""


class _Finder:
    """One automaton and what its strings stand for."""

    def __init__(self, patterns: Patterns, matcher: str | None) -> None:
        self._owners = list(patterns.values())
        self.matcher: Matcher = matcher_of(list(patterns), matcher)

    def find(self, text: str, after: int = 0) -> Found:
        """Every pattern in the text that ends after `after`, and where; padding not counted."""
        return [
            (pattern, start + pattern.padded_start, end - pattern.padded_end)
            for index, start, end in self.matcher.find(text)
            if end > after
            for pattern in self._owners[index]
        ]


class PhraseEngine:
    """A compiled lexicon. Reading changes nothing in it, so threads may share one and a new one replaces it at once."""

    def __init__(self, lexicon: Lexicon, segment: Segment | None = None, matcher: str | None = None) -> None:
        """Compiles the lexicon.

        `segment` cuts Chinese texts into words (`boundaries.segmenter`); without it a phrase of one character must
        stand alone and longer ones are taken anywhere. `matcher` names a library of `automaton.installed_matchers()`.
        """
        self.lexicon = lexicon
        self._segment = segment
        sets = patterns_of(lexicon)
        self._words = _Finder(sets.words, matcher)
        self._run_on = _Finder(sets.run_on, matcher)
        self._words_collapsed = _Finder(sets.words_collapsed, matcher)
        self._run_on_collapsed = _Finder(sets.run_on_collapsed, matcher)
        self._leet = _Finder(sets.leet, matcher)
        self.matcher = next((f.matcher.name for f in (self._words, self._run_on) if f.matcher.name != "none"), "none")

    def read(self, text: str, side: Side, memory: SpeakerMemory = EMPTY) -> Reading:
        """The hits of one message and the memory after it. Takes any text, lone surrogates too; linear in its length.

        A hit whose first part stands in earlier messages has its last part's span and `how="across"`; what lies wholly
        in earlier messages is not reported again.
        """
        text = text[:MAX_CODE_POINTS]
        tail = memory.tail
        is_ascii = text.isascii()
        if is_ascii:
            words = words_view_of_ascii(text)
            own = words[1:-1]
            run_on = own if not tail.isascii() else ""
        else:
            pieces = fold(text).split()
            own = " ".join(pieces)
            run_on = "".join(pieces)
            words = words_view(own) if _SPACED.search(own) else ""
        if not own:
            return Reading((), memory)
        words_after = run_on_after = 0
        if tail and words:
            # A tail is squeezed already, so plain ASCII needs no second look.
            earlier = f" {tail.replace(MESSAGE_END, ' ')}" if tail.isascii() else words_view(tail)[:-1]
            words_after = len(earlier) + 1
            words = earlier + words
        if tail and run_on:
            earlier = run_on_view(tail)
            run_on_after = len(earlier)
            run_on = run_on_view(earlier + run_on) if is_ascii else earlier + run_on
        found_words = self._words.find(words, words_after) if words else []
        found_run_on = self._run_on.find(run_on, run_on_after) if run_on else []
        leet = bool(words) and disguises.may_be_leet(text)
        if not (
            leet
            or (found_words and _is_worth_reading(found_words, self._words_collapsed, words))
            or (found_run_on and _is_worth_reading(found_run_on, self._run_on_collapsed, run_on))
        ):
            return Reading((), memory.after(own))
        hits = self._hits(text, side, memory, found_words, found_run_on, leet)
        return Reading(hits, memory.after(own, _ends(own, text, hits)))

    def _hits(
        self, text: str, side: Side, memory: SpeakerMemory, words: Found, run_on: Found, leet: bool
    ) -> tuple[Hit, ...]:
        mapped = Mapped(memory.tail, text)
        validator = Validator(self.lexicon.phrases, mapped, self._segment, memory)
        speaker = "customer" if side == "customer" else "agent"
        hits: list[Hit] = []
        for candidate in self._candidates(mapped, words, run_on, leet):
            if self.lexicon.phrases[candidate.pattern.phrase].speaker in ("any", speaker):
                if hit := validator.hit(candidate):
                    hits.append(hit)
        return _without_repeats(hits)

    def _candidates(self, mapped: Mapped, words: Found, run_on: Found, leet: bool) -> Iterator[Candidate]:
        for found, view_of, collapsed in (
            (words, mapped.words, self._words_collapsed),
            (run_on, mapped.run_on, self._run_on_collapsed),
        ):
            if not found:
                continue
            view = view_of()
            yield from _plain(view, found, self.lexicon)
            if any(pattern.form == "run" for pattern, _, _ in found):
                yield from disguises.repeated(view, collapsed.find)
        if leet:
            yield from disguises.leet(mapped, self._leet.find)


def _is_worth_reading(found: Found, collapsed: _Finder, text: str) -> bool:
    """Whether more was found than exceptions, lone parts of gaps and repeated letters; spares one message in five."""
    forms = {pattern.form for pattern, _, _ in found}
    if "plain" in forms or "apart" in forms:
        return True
    if "part" in forms:
        parts = {(pattern.phrase, pattern.part) for pattern, _, _ in found if pattern.form == "part"}
        last_parts = {(pattern.phrase, pattern.last_part) for pattern, _, _ in found if pattern.form == "part"}
        if any((phrase, 0) in parts and (phrase, last) in parts for phrase, last in last_parts):
            return True
    return "run" in forms and bool(collapsed.find(collapse(text)[0]))


def _plain(view: View, found: Found, lexicon: Lexicon) -> Iterator[Candidate]:
    allowed: dict[int, list[tuple[int, int]]] = {}
    parts: dict[int, list[tuple[Pattern, int, int]]] = {}
    for pattern, start, end in found:
        if pattern.form == "allow":
            allowed.setdefault(pattern.phrase, []).append((start, end))
        elif pattern.form == "part":
            parts.setdefault(pattern.phrase, []).append((pattern, start, end))
    candidates = [
        Candidate(pattern, view, *disguises.to_word_ends(view.text, pattern, start, end), pattern.form)
        for pattern, start, end in found
        if pattern.form in ("plain", "apart")
    ]
    for index, pieces in parts.items():
        gap = lexicon.phrases[index].gap
        candidates += disguises.with_gaps(view, pieces, disguises.GAP_CODE_POINTS if gap is None else gap)
    exceptions = {index: disguises.Exceptions(spans) for index, spans in allowed.items()}
    for candidate in candidates:
        index = candidate.pattern.phrase
        if index not in exceptions or not exceptions[index].cover(candidate.start, candidate.end):
            yield candidate


def _ends(own: str, text: str, hits: Sequence[Hit]) -> tuple[tuple[str, int], ...]:
    """(phrase id, end in `own`, the squeezed folded text) of the hits that the memory's tail may reach."""
    ends: list[tuple[str, int]] = []
    rest, upto = "", len(text)
    for hit in sorted(hits, key=lambda hit: hit.span[1], reverse=True):
        rest = f"{fold(text[hit.span[1] : upto])}{rest}"
        upto = hit.span[1]
        behind = len(" ".join(rest.split()))
        if behind >= TAIL_CODE_POINTS:
            break  # at most so many turns, whatever number of hits
        ends.append((hit.phrase_id, len(own) - behind))
    return tuple(ends)


def _without_repeats(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Of hits of one phrase that overlap the leftmost and longest; none that lies inside a stronger or equal one."""
    kept: list[Hit] = []
    last_end: dict[str, int] = {}
    widest: dict[str, Hit] = {}
    plainest = ("exact", "folded", "separated", "repeated", "leet", "across").index
    order = sorted(
        hits, key=lambda hit: (hit.span[0], -hit.span[1], -_STRENGTH[hit.action], hit.phrase_id, plainest(hit.how))
    )
    for hit in order:
        if hit.span[0] < last_end.get(hit.phrase_id, -1):
            continue
        over = widest.get(hit.category)
        if over and hit.span[1] <= over.span[1] and _STRENGTH[hit.action] <= _STRENGTH[over.action]:
            continue
        last_end[hit.phrase_id] = hit.span[1]
        if not over or hit.span[1] > over.span[1] or _STRENGTH[hit.action] > _STRENGTH[over.action]:
            widest[hit.category] = hit
        kept.append(hit)
    return tuple(kept)


def mask(text: str, hits: Iterable[Hit], every: bool = False) -> str:
    """The text with one `*` for each code point of the hits whose action is `mask`, of all hits with `every`."""
    characters = list(text)
    for hit in hits:
        if every or hit.action == "mask":
            start, end = hit.span
            characters[start:end] = MASK * (end - start)
    return "".join(characters)


def action_of(hits: Iterable[Hit]) -> PhraseAction:
    """The strongest action of the hits: block, then review, mask, allow; `allow` without hits."""
    return max((hit.action for hit in hits), key=lambda action: _STRENGTH[action], default="allow")
