"""Finds the phrases of a lexicon in messages, one after the other, also where they are disguised or split over two."""

from __future__ import annotations

import marshal
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from detectors.phrases import disguises
from detectors.phrases.boundaries import Segment
from detectors.phrases.finder import SHOWN, Finder, Found, last_numbers
from detectors.phrases.fold import Mapped, View, fold, run_on_view, spaced_words, squeezed_views
from detectors.phrases.lexicon import KEYS, Lexicon, Match, Phrase
from detectors.phrases.memory import EMPTY, TAIL_CODE_POINTS, SpeakerMemory
from detectors.phrases.patterns import patterns_of
from detectors.phrases.validation import Candidate, Validator
from detectors.phrases.variants import Stopped, near, stopped
from detectors.values import Hit, PhraseAction, Side

MAX_CODE_POINTS = 100_000
"""Texts are read to here."""
MAX_HITS = 1_000
"""Hits are looked for until so many are found, overlapping ones counted: a text of nothing else has its verdict."""

MASK = "*"
_STRENGTH: dict[PhraseAction, int] = {"allow": 0, "mask": 1, "review": 2, "block": 3}


class Reading(NamedTuple):
    """What a message says that it must not."""

    hits: tuple[Hit, ...]
    """In order of their spans."""
    memory: SpeakerMemory
    """The speaker's memory if the message is delivered; when it is blocked the caller keeps the one it had."""
    complete: bool = True
    """Whether all of the text was read; what is not is the caller's to say (`review` unless a hit blocks it)."""


class PhraseEngine:
    """A compiled lexicon. Reading changes nothing in it, so threads may share one and a new one replaces it at once."""

    def __init__(self, lexicon: Lexicon, segment: Segment | None = None, matcher: str | None = None) -> None:
        """Compiles the lexicon.

        `segment` cuts Chinese texts into words (`boundaries.segmenter`); without it a phrase of one character must
        stand alone and longer ones are taken anywhere. `matcher` names a library of `automaton.installed_matchers()`.
        """
        sets = patterns_of(lexicon)
        finders = [Finder.of(view, matcher) for view in (sets.words, sets.run_on, sets.leet)]
        self._set_up(lexicon, segment, finders, last_numbers(sets.words.patterns))

    def _set_up(
        self, lexicon: Lexicon, segment: Segment | None, finders: Sequence[Finder], numbers: frozenset[str] | None
    ) -> None:
        self.lexicon = lexicon
        self._segment = segment
        self._words, self._run_on, self._leet = self._finders = finders
        self._last_numbers = numbers
        self._find_words, self._find_run_on = self._words.matcher.find, self._run_on.matcher.find
        self.matcher = next((f.matcher.name for f in finders if f.matcher.name != "none"), "none")

    def saved(self) -> bytes | None:
        """All that was compiled, for `restored`; None where the matcher's library cannot say."""
        finders = [finder.saved() for finder in self._finders]
        if None in finders:
            return None
        phrases = [tuple(getattr(phrase, name) for name in KEYS) for phrase in self.lexicon.phrases]
        return marshal.dumps((phrases, finders, self._last_numbers))

    @classmethod
    def restored(cls, data: bytes, segment: Segment | None = None) -> PhraseEngine:
        """The engine that `saved` told of, in a tenth of the time that compiling takes.

        Like Python's own compiled files, `data` must be whole, written by the same code and from a trusted place.
        """
        phrases, finders, numbers = marshal.loads(data)
        engine = cls.__new__(cls)
        lexicon = Lexicon(tuple(Phrase(*values) for values in phrases))
        engine._set_up(lexicon, segment, [Finder.restored(values) for values in finders], numbers)
        return engine

    def read(self, text: str, side: Side, memory: SpeakerMemory = EMPTY) -> Reading:
        """The hits of one message and the memory after it. Takes any text, lone surrogates too; linear in its length.

        A hit whose first part stands in earlier messages has its last part's span and `how="across"`; what lies wholly
        in earlier messages is not reported again.
        """
        if len(text) > MAX_CODE_POINTS:
            return self.read(text[:MAX_CODE_POINTS], side, memory)._replace(complete=False)
        tail = memory.tail
        own, words, run_on = squeezed_views(text)
        if not own:
            return Reading((), memory)
        # Most messages end at these two: what a phrase can reach of the tail, and no way back to the text.
        in_words = in_run_on = leet = False
        if words:
            in_words = self._words_may_hit(tail, own, words)
            leet = (not run_on or words.islower()) and disguises.may_be_leet(text)
        if not run_on and not tail.isascii():
            run_on = own.replace(" ", "")  # 加 and then wx123
        if run_on:
            in_run_on = self._run_on_may_hit(tail, own, run_on)
        if not (in_words or in_run_on or leet):
            return Reading((), memory.after(own))
        found = self._hits(text, side, memory, in_words, in_run_on, leet)
        hits = _without_repeats(found)
        return Reading(hits, memory.after(own, _ends(own, text, hits)), len(found) < MAX_HITS)

    def stopped(self, hit: Hit, text: str) -> Stopped | None:
        """What is to be remembered of a hit in a text that was stopped, for `near`; None where it has no letters."""
        return stopped(hit, text, self._match_of.get(hit.phrase_id))

    def near(self, text: str, phrases: Sequence[Stopped]) -> tuple[Hit, ...]:
        """Where a message in which nothing was found says loosely what was stopped before; see `variants.near`."""
        return near(text[:MAX_CODE_POINTS], phrases, self._segment)

    @cached_property
    def _match_of(self) -> dict[str, Match]:
        return {phrase.id: phrase.match for phrase in self.lexicon.phrases}

    def _words_may_hit(self, tail: str, own: str, words: str) -> bool:
        if not tail:
            text, after = f" {words} ", 1
        elif words.replace(" ", "").isdecimal() and self._ends_no_phrase(words.split()):
            return False  # most words in Chinese messages are numbers, and most of those no phrase ends with
        else:
            earlier = f" {spaced_words(tail)}"[-self._words.reach :]
            text, after = f"{earlier} {words} ", len(earlier) + 1
        places = self._find_words(text)
        if not places:
            return False
        return self._words.may_hit(places, text, after, own, lambda: f" {spaced_words(tail)} {words} ")

    def _ends_no_phrase(self, numbers: Sequence[str]) -> bool:
        return self._last_numbers is not None and self._last_numbers.isdisjoint(numbers)

    def _run_on_may_hit(self, tail: str, own: str, run_on: str) -> bool:
        earlier = ""
        if tail:
            reach = self._run_on.reach
            earlier = run_on_view(tail[-2 * reach :])[-reach:]  # a squeezed tail has at most a blank after each letter
        text = earlier + run_on
        places = self._find_run_on(text)
        if not places:
            return False
        return self._run_on.may_hit(places, text, len(earlier), own, lambda: run_on_view(tail) + run_on)

    def _hits(
        self, text: str, side: Side, memory: SpeakerMemory, in_words: bool, in_run_on: bool, leet: bool
    ) -> list[Hit]:
        mapped = Mapped(memory.tail, text)
        validator = Validator(self.lexicon.phrases, mapped, self._segment, memory)
        speaker = "customer" if side == "customer" else "agent"
        hits: list[Hit] = []
        for candidate in self._candidates(mapped, in_words, in_run_on, leet):
            if self.lexicon.phrases[candidate.pattern.phrase].speaker in ("any", speaker):
                if hit := validator.hit(candidate):
                    hits.append(hit)
                    if len(hits) == MAX_HITS:
                        break
        return hits

    def _candidates(self, mapped: Mapped, in_words: bool, in_run_on: bool, leet: bool) -> Iterator[Candidate]:
        for wanted, view_of, finder in (
            (in_words, mapped.words, self._words),
            (in_run_on, mapped.run_on, self._run_on),
        ):
            if not wanted:
                continue
            view = view_of()
            found = finder.find(view.text, bisect_right(view.at, mapped.start - 1))
            yield from _plain(view, found, self.lexicon)
            if any(pattern.form == "run" for pattern, _, _ in found):
                yield from disguises.repeated(view, finder.find_in_collapsed)
        if leet:
            yield from disguises.leet(mapped, lambda view: self._leet.find(view, 0))


def _plain(view: View, found: Found, lexicon: Lexicon) -> Iterator[Candidate]:
    allowed: dict[int, list[tuple[int, int]]] = {}
    parts: dict[int, Found] = {}
    for pattern, start, end in found:
        if pattern.form == "allow":
            allowed.setdefault(pattern.phrase, []).append((start, end))
        elif pattern.form == "part":
            parts.setdefault(pattern.phrase, []).append((pattern, start, end))
    exceptions = {index: disguises.Exceptions(spans) for index, spans in allowed.items()}
    for candidate in _anywhere(view, found, parts, lexicon):
        index = candidate.pattern.phrase
        if index not in exceptions or not exceptions[index].cover(candidate.start, candidate.end):
            yield candidate


def _anywhere(view: View, found: Found, parts: Mapping[int, Found], lexicon: Lexicon) -> Iterator[Candidate]:
    for pattern, start, end in found:
        if pattern.form in SHOWN:
            yield Candidate(pattern, view, *disguises.to_word_ends(view.text, pattern, start, end), pattern.form)
    for index, pieces in parts.items():
        gap = lexicon.phrases[index].gap
        yield from disguises.with_gaps(view, pieces, disguises.GAP_CODE_POINTS if gap is None else gap)


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
    if len(hits) < 2:
        return tuple(hits)
    kept: list[Hit] = []
    last_end: dict[str, int] = {}
    widest: dict[str, Hit] = {}
    plainest = ("exact", "folded", "separated", "repeated", "pinyin", "leet", "across").index
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
