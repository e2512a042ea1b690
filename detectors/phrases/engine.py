"""Finds the phrases of a lexicon in messages, one after the other, also where they are disguised or split over two."""

from __future__ import annotations

import marshal
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from detectors.phrases import disguises
from detectors.phrases.boundaries import Segment
from detectors.phrases.finder import SHOWN, Finder, Found, Places, last_numbers
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
_new = tuple.__new__
_STRENGTH: dict[PhraseAction, int] = {"allow": 0, "mask": 1, "review": 2, "block": 3}


class Reading(NamedTuple):
    """What a message says that it must not."""

    hits: tuple[Hit, ...]
    """In order of their spans."""
    memory: SpeakerMemory
    """The speaker's memory if the message is delivered; when it is blocked the caller keeps the one it had."""
    complete: bool = True
    """Whether all of the text was read; what is not is the caller's to say (`review` unless a hit blocks it)."""


class _Seen(NamedTuple):
    """Where strings were found in the end of a view."""

    places: Places
    length: int
    """Of what was looked through, the message and what a phrase can reach of the tail."""


class PhraseEngine:
    """A compiled lexicon. Reading changes nothing in it, so threads may share one and a new one replaces it at once."""

    def __init__(self, lexicon: Lexicon, segment: Segment | None = None, matcher: str | None = None) -> None:
        """Compiles the lexicon.

        `segment` cuts Chinese texts into words (`boundaries.chinese_words`); without it a phrase of one character must
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
        leet = False
        in_words = in_run_on = None
        if words:
            in_words = self._words_may_hit(tail, own, words)
            leet = (not run_on or words.islower()) and disguises.may_be_leet(text)
        if not run_on and not tail.isascii():
            run_on = own.replace(" ", "")  # 加 and then wx123
        if run_on:
            in_run_on = self._run_on_may_hit(tail, own, run_on)
        if not (in_words or in_run_on or leet):
            return _new(Reading, ((), memory.after(own), True))  # by name it takes twice as long
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

    def _words_may_hit(self, tail: str, own: str, words: str) -> _Seen | None:
        if not tail:
            text, after = f" {words} ", 1
        elif words[-1].isdecimal() and words.replace(" ", "").isdecimal() and self._ends_no_phrase(words.split()):
            return None  # most words in Chinese messages are numbers, and most of those no phrase ends with
        else:
            spaced = spaced_words(tail)
            earlier = f" {spaced}"[-self._words.reach :] if spaced else ""
            text, after = f"{earlier} {words} ", len(earlier) + 1
        places = self._find_words(text)
        if not places:
            return None
        may_hit = self._words.may_hit(places, text, after, own, lambda: f" {spaced_words(tail)} {words} ")
        return _Seen(places, len(text)) if may_hit else None

    def _ends_no_phrase(self, numbers: Sequence[str]) -> bool:
        return self._last_numbers is not None and self._last_numbers.isdisjoint(numbers)

    def _run_on_may_hit(self, tail: str, own: str, run_on: str) -> _Seen | None:
        earlier = ""
        if tail:
            reach = self._run_on.reach
            earlier = run_on_view(tail[-2 * reach :])[-reach:]  # a squeezed tail has at most a blank after each letter
        text = earlier + run_on
        places = self._find_run_on(text)
        if not places:
            return None
        may_hit = self._run_on.may_hit(places, text, len(earlier), own, lambda: run_on_view(tail) + run_on)
        return _Seen(places, len(text)) if may_hit else None

    def _hits(
        self, text: str, side: Side, memory: SpeakerMemory, in_words: _Seen | None, in_run_on: _Seen | None, leet: bool
    ) -> list[Hit]:
        mapped = Mapped(memory.tail, text)
        phrases = self.lexicon.phrases
        validator = Validator(phrases, mapped, self._segment, memory)
        not_of = "agent" if side == "customer" else "customer"
        hits: list[Hit] = []
        for candidate in self._candidates(mapped, in_words, in_run_on, leet):
            if phrases[candidate.pattern.phrase].speaker != not_of:
                if hit := validator.hit(candidate):
                    hits.append(hit)
                    if len(hits) == MAX_HITS:
                        break
        return hits

    def _candidates(
        self, mapped: Mapped, in_words: _Seen | None, in_run_on: _Seen | None, leet: bool
    ) -> Iterator[Candidate]:
        for seen, view_of, finder in (
            (in_words, mapped.words, self._words),
            (in_run_on, mapped.run_on, self._run_on),
        ):
            if seen is None:
                continue
            view = view_of()
            after = bisect_right(view.at, mapped.start - 1)
            found = finder.find(view.text, after, seen.places, len(view.text) - seen.length)
            yield from _plain(view, found, self.lexicon)
            if any(pattern.form == "run" for pattern, _, _ in found):
                yield from disguises.repeated(view, finder.find_in_collapsed)
        if leet:
            yield from disguises.leet(mapped, lambda view: self._leet.find(view, 0))


def _plain(view: View, found: Found, lexicon: Lexicon) -> list[Candidate]:
    allowed: dict[int, list[tuple[int, int]]] = {}
    parts: dict[int, Found] = {}
    candidates: list[Candidate] = []
    for pattern, start, end in found:
        if pattern.form in SHOWN:
            bounds = disguises.to_word_ends(view.text, pattern, start, end)
            candidates.append(Candidate(pattern, view, *bounds, pattern.form))
        elif pattern.form == "allow":
            allowed.setdefault(pattern.phrase, []).append((start, end))
        elif pattern.form == "part":
            parts.setdefault(pattern.phrase, []).append((pattern, start, end))
    for index, pieces in parts.items():
        gap = lexicon.phrases[index].gap
        candidates += disguises.with_gaps(view, pieces, disguises.GAP_CODE_POINTS if gap is None else gap)
    if not allowed:
        return candidates
    exceptions = {index: disguises.Exceptions(spans) for index, spans in allowed.items()}
    return [one for one in candidates if not _is_excepted(one, exceptions.get(one.pattern.phrase))]


def _is_excepted(candidate: Candidate, exceptions: disguises.Exceptions | None) -> bool:
    return exceptions is not None and exceptions.cover(candidate.start, candidate.end)


def _ends(own: str, text: str, hits: Sequence[Hit]) -> tuple[tuple[str, int], ...]:
    """(phrase id, end in `own`, the squeezed folded text) of the hits that the memory's tail may reach."""
    ends: list[tuple[str, int]] = []
    rest, upto = "", len(text)
    for end, phrase_id in sorted([(hit.span[1], hit.phrase_id) for hit in hits], reverse=True):
        if end < upto:
            rest, upto = f"{fold(text[end:upto])}{rest}", end
        behind = len(" ".join(rest.split()))
        if behind >= TAIL_CODE_POINTS:
            break  # at most so many turns, whatever number of hits
        ends.append((phrase_id, len(own) - behind))
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
