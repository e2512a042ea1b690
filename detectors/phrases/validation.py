"""Decides whether something that looks like a phrase is one, in the message it was found in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from detectors.phrases.boundaries import Edges, Segment
from detectors.phrases.fold import (
    Mapped,
    View,
    fold,
    folds_to_nothing,
    has_unspaced,
    is_mark,
    is_unspaced,
    run_on_view,
    words_view,
)
from detectors.phrases.halves import HALVES
from detectors.phrases.lexicon import Phrase
from detectors.phrases.memory import SpeakerMemory
from detectors.phrases.patterns import Pattern
from detectors.values import Hit

_DIGIT = re.compile("[0-9]")
_IN_HALVES = frozenset(HALVES.values())
_ASKED = re.compile(r"(.)[不没](?=\1)")
"""能不能 asks and negates nothing."""
_CLAUSE_ENDS = frozenset("。！？；，、,.;!?\n…")
NEGATION_CODE_POINTS = 10, 32
"""How far before a phrase, in the same clause, a word of its `negation` may stand, in Chinese and in words with blanks:
没有任何投资是|包赚不赔的, "never let anyone on the phone | tell you"."""


class Candidate(NamedTuple):
    """A place of a view where a pattern stands, the blanks of its padding not counted."""

    pattern: Pattern
    view: View
    start: int
    end: int
    how: str
    """plain, apart, halves, pinyin, repeated or leet."""


def _letters(candidate: Candidate) -> int:
    """How many letters of the phrase a candidate stands for, which in halves or in pinyin has more."""
    if candidate.how in ("halves", "pinyin"):
        return len(run_on_view(fold(candidate.pattern.written)))
    return candidate.end - candidate.start


def _is_foreign(character: str) -> bool:
    """Whether a letter is of another alphabet than the Latin one and only looks like it."""
    first = unicodedata.normalize("NFKC", character)[0]
    return first.isalpha() and "LATIN" not in unicodedata.name(first, "LATIN")


class Validator:
    """Judges the candidates of one message."""

    def __init__(
        self, phrases: Sequence[Phrase], mapped: Mapped, segment: Segment | None, memory: SpeakerMemory
    ) -> None:
        self._phrases = phrases
        self._mapped = mapped
        self._memory = memory
        self._segment = segment
        self._made_edges: Edges | None = None

    @property
    def _edges(self) -> Edges:
        # Not a cached_property: in Python 3.11 that takes a lock, which costs more than all of this.
        if self._made_edges is None:
            self._made_edges = Edges(self._with_words_kept(), self._segment)
        return self._made_edges

    def _with_words_kept(self) -> str:
        """The folded characters, with 大陆 instead of 大6, which no dictionary has."""
        mapped = self._mapped
        if mapped.is_plain:
            return mapped.characters
        characters: list[str] = []
        for digit in _DIGIT.finditer(mapped.characters):
            index = digit.start()
            if mapped.origin[index] >= 0 and is_unspaced(source := mapped.source[mapped.origin[index]]):
                characters = characters or list(mapped.characters)
                characters[index] = source
        return "".join(characters) or mapped.characters

    def hit(self, candidate: Candidate) -> Hit | None:
        """The hit, or None where the place only looks like the phrase or lies wholly in earlier messages."""
        pattern, view, inside, end, found_how = candidate
        phrase = self._phrases[pattern.phrase]
        at, origin = view.at, self._mapped.origin
        first, last = at[inside], at[end - 1]
        if origin[last] < 0:
            return None
        run_on = pattern.run_on
        if run_on and not self._edges_hold(first, last):
            return None
        across = origin[first] < 0
        while origin[at[inside]] < 0:
            inside += 1
        span = origin[at[inside]], self._with_marks(origin[last] + 1)
        how = self._how(candidate, span)
        if pattern.form == "part" and (across or self._has_clause_end(span)):
            return None  # "*" stands for some words of one clause
        if phrase.match == "exact" and how != "exact" or phrase.match == "fold" and how not in ("exact", "folded"):
            return None
        if across:
            if phrase.match != "evasive" or not self._may_join(candidate, phrase, first):
                return None
            how = "across"
        if run_on:
            guessed = across or how == "pinyin" or found_how == "halves"
            guessed = guessed or (how == "separated" and self._has_clause_end(span))
            if (phrase.boundary == "word" or guessed) and not self._edges.fit(first, last + 1, _letters(candidate)):
                return None
            if found_how == "halves" and self._has_halves_that_are_a_word(first, last + 1):
                return None
            if how == "repeated" and self._is_doubled_word(first, last + 1):
                return None
        elif self._is_of_another_alphabet(candidate):
            return None
        if phrase.negation and not across and self._is_negated(candidate, phrase, span):
            return None
        return Hit(phrase.id, phrase.phrase, phrase.category, phrase.severity, phrase.action, span, how)

    def _has_clause_end(self, span: tuple[int, int]) -> bool:
        return not _CLAUSE_ENDS.isdisjoint(self._mapped.source[slice(*span)])

    def _with_marks(self, end: int) -> int:
        """The end of a span with the accents and keycaps on its last letter, not with what is invisible after it."""
        source = self._mapped.source
        if self._mapped.is_plain or end == len(source):
            return end
        place = end
        while place < len(source) and folds_to_nothing(source[place]):
            place += 1
            if is_mark(source[place - 1]):
                end = place
        return end

    def _how(self, candidate: Candidate, span: tuple[int, int]) -> str:
        if candidate.how != "plain":
            return "separated" if candidate.how in ("apart", "halves") else candidate.how
        if candidate.pattern.form == "part":
            return "folded"
        text, written = self._mapped.source[slice(*span)], candidate.pattern.written.strip("*")
        if text == written:
            return "exact"
        if not candidate.pattern.run_on:
            return "folded"  # whole words, whatever stands between them
        return "folded" if fold(text).split() == fold(written).split() else "separated"

    def _may_join(self, candidate: Candidate, phrase: Phrase, first: int) -> bool:
        """Whether pieces of two messages belong together and were not reported before."""
        mapped = self._mapped
        if any(name == phrase.id and end > first for name, end in self._memory.reported):
            return False
        if candidate.pattern.run_on:
            return True
        # "the shop is shut" + "up to you": words of two full sentences are no phrase, a lone word is.
        begin = mapped.tail.rfind("\n", 0, first) + 1
        if mapped.characters[begin:first].strip() == "":
            return True
        after = mapped.characters[candidate.view.at[candidate.end - 1] + 1 :]
        return after.strip() == ""

    def _edges_hold(self, first: int, last: int) -> bool:
        """No number is cut out of a longer number, no Latin word out of a longer word."""
        characters = self._mapped.characters
        if is_unspaced(characters[first]) and is_unspaced(characters[last]):
            return True
        for inner, outer in ((first, first - 1), (last, last + 1)):
            if 0 <= outer < len(characters):
                a, b = characters[inner], characters[outer]
                if is_unspaced(a):
                    continue
                if a.isdecimal() and b.isdecimal():
                    return False
                if a.isalpha() and b.isalpha() and not is_unspaced(b):
                    return False
        return True

    def _has_halves_that_are_a_word(self, start: int, end: int) -> bool:
        """Whether two halves mean themselves: 日月 in 日月示意图 is no 明."""
        text = self._mapped.characters
        return any(
            text[place : place + 2] in _IN_HALVES and self._edges.is_word(place, place + 2)
            for place in range(start, end - 1)
        )

    def _is_doubled_word(self, start: int, end: int) -> bool:
        """Whether the repeated letters are a word by themselves: 他妈妈 is not 他妈 written longer."""
        text = self._mapped.characters
        if any(text[place] == text[place + 1] == text[place + 2] for place in range(start, end - 2)):
            return False  # nobody writes a word with three
        pairs = (place for place in range(start, end - 1) if text[place] == text[place + 1])
        return any(self._edges.is_word(place, place + 2) for place in pairs)

    def _is_of_another_alphabet(self, candidate: Candidate) -> bool:
        """Whether it is no disguise but a word of another language: Russian рот is not "pot", nor "cop" Russian сор."""
        mapped, view = self._mapped, candidate.view
        if mapped.source.isascii() and candidate.pattern.written.isascii():
            return False
        words: list[list[bool]] = [[]]
        for place in range(candidate.start, candidate.end):
            if view.text[place] == " ":
                words.append([])
            elif (index := mapped.origin[view.at[place]]) >= 0:
                words[-1].append(_is_foreign(mapped.source[index]))
        written = candidate.pattern.string if candidate.how == "pinyin" else candidate.pattern.written
        if any(map(_is_foreign, written)):
            return not any(map(any, words))
        return any(len(letters) > 1 and all(letters) for letters in words)

    def _is_negated(self, candidate: Candidate, phrase: Phrase, span: tuple[int, int]) -> bool:
        """Whether a word of `negation` stands shortly before the phrase in its clause, or in its gap.

        In the gap, because 验证码请不要发我 warns as 请不要把验证码发我 does; a word of the phrase itself is none.
        """
        source, (start, end) = self._mapped.source, span
        begin = max(0, start - NEGATION_CODE_POINTS[not candidate.pattern.run_on])
        if begin and _ASKED.match(source, begin - 1):
            begin += 1
        before = source[begin:start]
        for place in range(len(before) - 1, -1, -1):
            if before[place] in _CLAUSE_ENDS:
                before = before[place + 1 :]
                break
        if any(_has(before, phrase.negation)):
            return True
        if candidate.pattern.form != "part":
            return False
        inside, own = (_has(text, phrase.negation) for text in (source[start:end], candidate.pattern.written))
        return any(there and not its_own for there, its_own in zip(inside, own, strict=True))


def _has(text: str, expressions: tuple[str, ...]) -> list[bool]:
    """For each expression whether the text has it, a Latin one as whole words."""
    folded = fold(text)
    words, run_on = words_view(folded), _ASKED.sub("", run_on_view(folded))
    return [string in (run_on if is_run_on else words) for string, is_run_on in _in_views(expressions)]


@lru_cache(maxsize=256)
def _in_views(expressions: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Each expression as its view shows it, and whether that is the CJK view: the phrases of a category share them."""
    return tuple(
        (run_on_view(word), True) if has_unspaced(word) else (words_view(word), False)
        for word in map(fold, expressions)
    )
