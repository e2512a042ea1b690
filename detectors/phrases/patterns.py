"""Turns each phrase into the strings it can be found by, so that texts need no rewriting for every trick."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, NamedTuple

from detectors.phrases.fold import fold, has_unspaced, is_unspaced, run_on_view, spaced_words
from detectors.phrases.halves import in_halves
from detectors.phrases.lexicon import Lexicon, Phrase
from detectors.phrases.pinyin import ENGLISH_TOO, partly_spelled_out, spelled_out

Form = Literal["plain", "apart", "halves", "pinyin", "part", "allow", "run"]
"""plain: as written; apart: joined, spelled out or cut in two; halves: a character as its two halves; pinyin: some
characters as syllables; part: one side of a gap; allow: an exception; run: a letter so often that a phrase with
repeated letters may be there."""

# A word cut in two is no evasion where one of the pieces is an everyday word or the rest of a contraction ("he ll").
_EVERYDAY = frozenset(
    "a ad ago ah all am an and any app are art as ask at ate bad bag bar be bed been best big bit box boy bus but "
    "buy by call came can car card case cat code come cost cup cut dad date day desk did do does dog done door down "
    "dr due each eat end etc even ever eye far fast fee few file find fit five fix fly for form four free from full "
    "fun get girl go god gone good got gun guy had half hand hard has hat have he head hear help her here hi high "
    "him his hit home hot hour how id if ill in info into is it its jan job just keep key kid kind know lady last "
    "late law lay led left leg less let lie life like line list live ll log long look lost lot love low mail main "
    "make man many map may me mean men met mind miss mix mom more most mr mrs ms much must my name near need net "
    "new next nice nine no non nor not now nt of off oh ok old on once one only onto op open or order other our out "
    "over own page paid part pass past pay pen per pick plan play plus pop post put ran rate re read real red rent "
    "rest rich ride right road room row run sad said sale same sat save saw say seat see seem sell send sent set "
    "she shop show sick side sign sim sir sit six size so some son soon sort st stay step still stop such sum sun "
    "sure take talk tax team tell ten text than that the them then there these they thing this those tie till time "
    "tip to today told too took top town toy trip true try tv two type uk up us use used user van ve very via view "
    "wait walk wall want war was way we web week well went were west wet what when who why wife will win wish with "
    "won word work yes yet you your zip zone".split()
)
_LEET_ONE_WAY = str.maketrans("l", "i")  # 1 and ! stand for both; the letter itself is compared afterwards


class Pattern(NamedTuple):
    """Why a string is looked for."""

    phrase: int
    """Index into the lexicon, -1 for a run."""
    form: Form
    string: str
    """The phrase, alias or exception in plain spelling, blanks squeezed (Latin view) or gone (CJK view)."""
    written: str
    """The same as the lexicon writes it; the whole phrase for a part of it."""
    run_on: bool = False
    """Found in the CJK view, where a phrase may begin anywhere."""
    padded_start: bool = False
    """The string begins with the blank before a word."""
    padded_end: bool = False
    part: int = 0
    """Which part of a phrase with gaps."""
    last_part: int = 0


Row = tuple[int, Form, str, str, bool, bool, bool, int, int]
"""A Pattern's values. Kept so because Python's cyclic collector soon lets go of plain tuples of plain values: with an
object each, 100,000 phrases would hold every message up for a tenth of a second whenever it looks through them."""
Patterns = dict[str, Row | list[Row]]
"""What a string stands for; a list where it is several things."""


def _row(
    phrase: int,
    form: Form,
    string: str,
    written: str,
    run_on: bool = False,
    padded: tuple[bool, bool] = (False, False),
    part: int = 0,
    last_part: int = 0,
) -> Row:
    return phrase, form, string, written, run_on, *padded, part, last_part


_RUN = _row(-1, "run", "", "")
_WHOLE = True, True


@dataclass(frozen=True, slots=True)
class ViewPatterns:
    """What is looked for in one view.

    Where letters are repeated the view is looked through again with every run as one letter, for the same strings and
    for those of `collapsed`: phrases that have a run themselves.
    """

    patterns: Patterns = field(default_factory=dict)
    collapsed: Patterns = field(default_factory=dict)
    parts: Patterns = field(default_factory=dict)
    """Parts of phrases with gaps, looked for where another part of a phrase was found."""
    gaps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """A phrase with gaps as the lexicon writes it -> its parts in order, in plain spelling."""
    letters: dict[str, bool] = field(default_factory=dict)
    """Phrases of one letter, and whether it is meant only where it is a word by itself."""
    before_run: set[str] = field(default_factory=set)
    """Inner letters of phrases, each after the one before it: a run of another letter hides no phrase, and one of a
    first or last letter leaves the phrase as it is written beside it."""

    def repeatable(self, string: str, row: Row) -> None:
        """Note a string that is also looked for with letters repeated."""
        letters = collapsed(string)
        self.before_run.update(map(str.__add__, letters, letters[1:-1]))
        if letters != string:
            add(self.collapsed, letters, row)


@dataclass(frozen=True, slots=True)
class PatternSets:
    """What is looked for in each view."""

    words: ViewPatterns
    run_on: ViewPatterns
    leet: ViewPatterns


def add(patterns: Patterns, string: str, row: Row) -> None:
    """Let a string stand for one more thing."""
    owners = patterns.setdefault(string, row)
    if owners is row:
        return
    if isinstance(owners, tuple):
        if owners != row:
            patterns[string] = [owners, row]
    elif owners[-1] != row:
        owners.append(row)


_DOUBLED = re.compile(r"(.)\1")
_SAME = re.compile(r"(.)\1+", re.DOTALL)


def has_run(text: str) -> bool:
    """Whether a character follows itself."""
    return _DOUBLED.search(text) is not None


def collapsed(text: str) -> str:
    """The text with each run of a character as one."""
    return _SAME.sub(r"\1", text)


def collapse(text: str) -> tuple[str, list[int]]:
    """The text with each run of a character as one, and where each run begins (one more entry: the text's length)."""
    begins = [0] if text else []
    begins += [index for index, (before, here) in enumerate(zip(text, text[1:], strict=False), 1) if before != here]
    return "".join([text[index] for index in begins]), [*begins, len(text)]


def leet_spelling(phrase: str) -> str:
    """A phrase as the leet view would show it."""
    return spaced_words(fold(phrase)).translate(_LEET_ONE_WAY)


def _apart(words: list[str]) -> Iterable[str]:
    """A Latin phrase joined, spelled out, and cut in two pieces of at least two letters."""
    joined = "".join(words)
    if len(joined) < 3 or not joined.isalpha():
        return
    if len(words) > 1 and len(joined) >= 6:
        yield joined
    if len(words) <= 3:
        yield from (" ".join(c) for c in product(*([w, " ".join(w)] if len(w) >= 3 else [w] for w in words)))
    else:
        # Any of many words may be spelled out, but each choice of them would be a string of its own.
        for at, word in enumerate(words):
            if len(word) >= 3:
                yield " ".join([*words[:at], *word, *words[at + 1 :]])
    yield " ".join(joined)
    for number, word in enumerate(words):
        for cut in range(2, len(word) - 1):
            begin, end = word[:cut], word[cut:]
            if begin not in _EVERYDAY and end not in _EVERYDAY:
                yield " ".join([*words[:number], begin, end, *words[number + 1 :]])


def _syllables_apart(syllables: tuple[str, ...]) -> Iterable[str]:
    """A Chinese phrase in pinyin: joined, by syllables and by letters, unless it reads as plain English."""
    joined = "".join(syllables)
    if len(joined) >= 4 and joined not in ENGLISH_TOO:
        yield joined
        yield " ".join(joined)
    if not all(syllable in _EVERYDAY for syllable in syllables):
        yield " ".join(syllables)


def _spellings(phrase: Phrase) -> Iterable[tuple[str, str]]:
    """(what is looked for, as the lexicon writes it): each spelling, and without its apostrophes."""
    for written in phrase.spellings:
        yield written, written
        bare = written.replace("'", "").replace("’", "")
        if bare != written:
            yield bare, written


class _Builder:
    def __init__(self) -> None:
        self.sets = PatternSets(ViewPatterns(), ViewPatterns(), ViewPatterns())
        self._repeatable: set[str] = set()
        self._repeatable_in_words: set[str] = set()

    def phrase(self, index: int, phrase: Phrase) -> None:
        views = set()
        for spelling, written in _spellings(phrase):
            folded = fold(spelling)
            run_on = has_unspaced(folded)
            views.add(run_on)
            parts = [part for part in spelling.split("*") if part.strip()] if "*" in spelling else [spelling]
            if len(parts) > 1:
                self._gap(index, spelling, parts, run_on)
            elif run_on:
                self._run_on(index, run_on_view(folded), written, phrase)
            else:
                self._words(index, spelling, spaced_words(folded), written, phrase.match == "evasive")
        for allowed in phrase.allow:
            folded = fold(allowed)
            if True in views:
                string = run_on_view(folded)
                add(self.sets.run_on.patterns, string, _row(index, "allow", string, allowed, True))
            if False in views and not has_unspaced(folded):
                string = spaced_words(folded)
                add(self.sets.words.patterns, f" {string} ", _row(index, "allow", string, allowed, padded=_WHOLE))

    def _gap(self, index: int, written: str, parts: list[str], run_on: bool) -> None:
        """Of the parts of a phrase only the longest is looked for in every text, the others beside it."""
        last = len(parts) - 1
        strings = [run_on_view(fold(part)) if run_on else spaced_words(fold(part)) for part in parts]
        view = self.sets.run_on if run_on else self.sets.words
        view.gaps[written] = tuple(strings)
        telling = max(range(len(parts)), key=lambda number: len(strings[number]))
        for number, string in enumerate(strings):
            row = _row(index, "part", string, written, run_on, (not run_on, not run_on), number, last)
            add(view.patterns if number == telling else view.parts, string if run_on else f" {string} ", row)

    def _run_on(self, index: int, string: str, written: str, phrase: Phrase) -> None:
        sets = self.sets
        row = _row(index, "plain", string, written, True)
        add(sets.run_on.patterns, string, row)
        if len(string) == 1:
            sets.run_on.letters[string] = sets.run_on.letters.get(string, True) and phrase.boundary == "word"
        if phrase.match != "evasive":
            return
        self._repeatable.update(string)
        sets.run_on.repeatable(string, row)
        for in_pieces in in_halves(string):
            add(sets.run_on.patterns, in_pieces, _row(index, "halves", in_pieces, written, True))
        if phrase.pinyin != "off":
            for syllables in spelled_out(string):
                for text in _syllables_apart(syllables):
                    add(sets.words.patterns, f" {text} ", _row(index, "pinyin", text, written, padded=_WHOLE))
        if phrase.pinyin == "mixed":
            for text in partly_spelled_out(string):
                add(sets.run_on.patterns, text, _row(index, "pinyin", text, written, True))

    def _words(self, index: int, spelling: str, body: str, written: str, evasive: bool) -> None:
        sets = self.sets
        padded = not spelling.startswith("*"), not spelling.endswith("*")
        before, after = " " * padded[0], " " * padded[1]
        string = f"{before}{body}{after}"
        row = _row(index, "plain", body, written, False, padded)
        add(sets.words.patterns, string, row)
        if not evasive:
            return
        sets.words.repeatable(string, row)
        self._repeatable_in_words.update(body)
        if padded == _WHOLE:
            apart = _row(index, "apart", body, written, False, padded)
            for text in _apart(body.split()):
                if text != body:
                    add(sets.words.patterns, f" {text} ", apart)
            if sum(map(str.isalpha, body)) >= 3:
                add(sets.leet.patterns, leet_spelling(spelling), _row(index, "plain", body, written))

    def finish(self) -> PatternSets:
        for letter in self._repeatable:
            if is_unspaced(letter):
                add(self.sets.run_on.patterns, letter * 2, _RUN)
            elif letter.isalpha():
                add(self.sets.run_on.patterns, letter * 3, _RUN)
        for letter in filter(str.isalpha, self._repeatable_in_words):
            add(self.sets.words.patterns, letter * 3, _RUN)
        return self.sets


def patterns_of(lexicon: Lexicon) -> PatternSets:
    """Every string to look for, with the phrases it stands for."""
    builder = _Builder()
    for index, phrase in enumerate(lexicon.phrases):
        builder.phrase(index, phrase)
    return builder.finish()
