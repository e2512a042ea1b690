"""Looks for all strings of one view in a text, and says which phrases they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from detectors.phrases.automaton import Matcher, matcher_of, matcher_restored
from detectors.phrases.boundaries import may_stand_alone
from detectors.phrases.patterns import Pattern, Patterns, Row, ViewPatterns, collapsed, has_run

SHOWN = ("plain", "apart", "halves", "pinyin")
"""Forms whose place is a candidate by itself."""

Places = Sequence[tuple[int, int, int]]
Found = list[tuple[Pattern, int, int]]


class _Strings:
    """An automaton and what its strings stand for."""

    def __init__(self, rows: list[Row | list[Row]], matcher: Matcher) -> None:
        self.rows = rows
        self.matcher = matcher
        self._met: dict[int, tuple[tuple[Pattern, ...], bool]] = {}
        """What a string stands for, and whether some of it are parts: made when it is met, for most never are."""

    @classmethod
    def of(cls, patterns: Patterns, matcher: str | None) -> _Strings:
        return cls(list(patterns.values()), matcher_of(list(patterns), matcher))

    def find(self, text: str, after: int = 0, keep: Callable[[Pattern], bool] | None = None) -> Found:
        """Every pattern in the text that ends after `after`, and where; padding not counted."""
        return self.at(self.matcher.find(text), 0, after, keep)

    def at(self, places: Places, ahead: int, after: int, keep: Callable[[Pattern], bool] | None) -> Found:
        """The patterns at places of a text's end, with `ahead` characters before it, as `find` gives them.

        `keep` is asked only of what a string with parts stands for, and once, however often it is there.
        """
        found: Found = []
        here: dict[int, tuple[Pattern, ...]] = {}
        for start, end, index in places:
            start, end = start + ahead, end + ahead
            if end > after:
                if (patterns := here.get(index)) is None:
                    patterns, has_parts = self._met.get(index) or self._meet(index)
                    here[index] = patterns = tuple(filter(keep, patterns)) if has_parts and keep else patterns
                for pattern in patterns:
                    found.append((pattern, start + pattern.padded_start, end - pattern.padded_end))
        return found

    def _meet(self, index: int) -> tuple[tuple[Pattern, ...], bool]:
        rows = self.rows[index]
        patterns = tuple(Pattern(*row) for row in ([rows] if isinstance(rows, tuple) else rows))
        self._met[index] = met = patterns, any(pattern.form == "part" for pattern in patterns)
        return met


class _Rest(NamedTuple):
    gaps: dict[str, tuple[str, ...]]
    before_run: set[str]
    alone: set[str]
    """Phrases of one letter that count only where it is a word by itself."""
    reach: int
    """How far before a message what ends in it may begin, letters written once."""


class _Owners(NamedTuple):
    """What a string stands for, as far as `may_hit` asks; made when it is met, for most never are."""

    shown: bool
    run: bool
    gaps: tuple[tuple[str, ...], ...]
    """The parts of each phrase with gaps that it is the telling part of."""
    beside: re.Pattern[str] | None
    """One more part of each of these: mostly none is there, and one search tells."""


class Finder:
    """The automata of one view and what their strings stand for."""

    def __init__(self, strings: Sequence[_Strings], rest: _Rest) -> None:
        self._strings, self._of_own_runs, self._of_parts = self._all = strings
        self._rest = rest
        self._gaps, self._before_run, self._alone, self.reach = rest
        self.matcher = self._strings.matcher
        self._owners: dict[int, _Owners] = {}

    @classmethod
    def of(cls, sets: ViewPatterns, matcher: str | None) -> Finder:
        """Compile what is looked for in a view; `matcher` as for `automaton.matcher_of`."""
        alone = {letter for letter, is_alone in sets.letters.items() if is_alone}
        reach = max(map(len, sets.patterns), default=1) - 1
        strings = [_Strings.of(one, matcher) for one in (sets.patterns, sets.collapsed, sets.parts)]
        return cls(strings, _Rest(sets.gaps, sets.before_run, alone, reach))

    def saved(self) -> tuple[Any, ...] | None:
        """Plain values that `restored` makes the same Finder of; None where the matcher's library cannot say."""
        matchers = [strings.matcher.saved() for strings in self._all]
        if None in matchers:
            return None
        return matchers, [strings.rows for strings in self._all], tuple(self._rest)

    @classmethod
    def restored(cls, values: tuple[Any, ...]) -> Finder:
        """The Finder that `saved` told of."""
        matchers, rows, rest = values
        return cls([_Strings(*one) for one in zip(rows, map(matcher_restored, matchers), strict=True)], _Rest(*rest))

    def may_hit(self, places: Places, text: str, after: int, own: str, whole: Callable[[], str]) -> bool:
        """Whether a phrase may end in `text` after `after`, by the places its strings were found at; `whole` gives the
        text with all that came before it, `own` is the message folded with its blanks.

        Spares the way back to the message where only exceptions, lone parts of gaps, repeated letters and letters
        within words are found.
        """
        within: set[str] = set()
        asked: set[int] = set()
        repeats = False
        for start, end, index in places:
            if end <= after:
                continue
            shown, run, gaps, beside = self._owners.get(index) or self._meet(index)
            if shown:
                if end - start > 1 or (letter := text[start]) not in self._alone:
                    return True
                if letter not in within and may_stand_alone(letter, own):
                    return True
                within.add(letter)
            if run:
                repeats = repeats or start == 0 or text[start - 1 : start + 1] in self._before_run
            if beside is not None and index not in asked:
                asked.add(index)  # once, or a text of nothing but one part would cost its length squared
                if beside.search(text, after) and any(_follow_each_other(parts, text) for parts in gaps):
                    return True
        return repeats and bool(self.find_in_collapsed(collapsed(whole())))

    def _meet(self, index: int) -> _Owners:
        rows = self._strings.rows[index]
        rows = [rows] if isinstance(rows, tuple) else rows
        forms = {form for _, form, *_ in rows}
        telling = {self._gaps[written]: part for _, form, _, written, _, _, _, part, _ in rows if form == "part"}
        others = {max((*parts[:part], *parts[part + 1 :]), key=len) for parts, part in telling.items()}
        owners = self._owners[index] = _Owners(
            shown=not forms.isdisjoint(SHOWN),
            run="run" in forms,
            gaps=tuple(telling),
            beside=re.compile("|".join(map(re.escape, sorted(others)))) if others else None,
        )
        return owners

    def find(self, text: str, after: int, places: Places | None = None, ahead: int = 0) -> Found:
        """Every pattern in the text that ends after `after`, and where; padding not counted.

        `places`, where they are known, are those of the strings in the end of the text, `ahead` characters on. A part
        of a phrase with gaps is one only where all of its parts are: dozens of phrases begin with the same.
        """

        def keep(pattern: Pattern) -> bool:
            return pattern.form != "part" or _follow_each_other(self._gaps[pattern.written], text)

        found = self._strings.at(self.matcher.find(text) if places is None else places, ahead, after, keep)
        if any(pattern.form == "part" for pattern, _, _ in found):
            found += self._of_parts.find(text, after, keep)
        return found

    def find_in_collapsed(self, text: str) -> Found:
        """The phrases in a text that has each run of a letter as one letter."""
        found = [place for place in self._strings.find(text) if place[0].form in SHOWN and not has_run(place[0].string)]
        return found + self._of_own_runs.find(text)


def last_numbers(patterns: Iterable[str]) -> frozenset[str] | None:
    """The numbers that are the last word of some string of the Latin view; None where any may end one."""
    numbers = set()
    for string in patterns:
        if string[-1].isdecimal() or string[-1] == " " and string[-2].isdecimal():
            first, blank, last = string.rstrip().rpartition(" ")
            if not blank or string[-1] != " ":
                return None  # it may begin or end within a number
            numbers.add(last)
    return frozenset(numbers)


def _follow_each_other(parts: Sequence[str], text: str) -> bool:
    place = 0
    for part in parts:
        if (place := text.find(part, place)) < 0:
            return False
        place += len(part)
    return True
