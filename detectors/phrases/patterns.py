"""Turns each phrase into the strings it can be found by, so that texts need no rewriting for every trick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from detectors.phrases.fold import fold, is_unspaced, run_on_view, words_view
from detectors.phrases.lexicon import Lexicon, Phrase

Form = Literal["plain", "apart", "part", "allow", "run"]
"""plain: as written; apart: joined, spelled out or cut in two; part: one side of a gap; allow: an exception; run: a
letter so often that a phrase with repeated letters may be there."""

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


@dataclass(frozen=True, slots=True)
class Pattern:
    """Why a string is looked for."""

    phrase: int
    """Index into the lexicon, -1 for a run."""
    form: Form
    string: str
    """The phrase, alias or exception in plain spelling, blanks squeezed (Latin view) or gone (CJK view)."""
    written: str
    """The same as the lexicon writes it; the whole phrase for a part of it."""
    padded_start: bool = False
    """The string begins with the blank before a word."""
    padded_end: bool = False
    part: int = 0
    """Which part of a phrase with gaps."""
    last_part: int = 0


_RUN = Pattern(-1, "run", "", "")
Patterns = dict[str, list[Pattern]]


@dataclass(frozen=True, slots=True)
class PatternSets:
    """What is looked for in each view; the collapsed sets have every run of one letter as one letter."""

    words: Patterns
    run_on: Patterns
    words_collapsed: Patterns
    run_on_collapsed: Patterns
    leet: Patterns


def collapse(text: str) -> tuple[str, list[int]]:
    """The text with each run of a character as one, and where each run begins (one more entry: the text's length)."""
    begins = [0] if text else []
    begins += [index for index in range(1, len(text)) if text[index] != text[index - 1]]
    return "".join([text[index] for index in begins]), [*begins, len(text)]


def is_run_on(phrase: str) -> bool:
    """Whether a phrase is looked for in the CJK view: it has a letter of a script without blanks."""
    return any(is_unspaced(letter) for letter in fold(phrase))


def leet_spelling(phrase: str) -> str:
    """A phrase as the leet view would show it."""
    return words_view(fold(phrase)).strip().translate(_LEET_ONE_WAY)


def _apart(words: list[str]) -> Iterable[str]:
    """A Latin phrase joined, spelled out, and cut in two pieces of at least two letters."""
    joined = "".join(words)
    if len(joined) < 3 or not joined.isalpha():
        return
    if len(words) > 1 and len(joined) >= 6:
        yield joined
    spellings = [[word, " ".join(word)] if len(word) >= 3 else [word] for word in words]
    if len(words) <= 4:
        yield from (" ".join(choice) for choice in product(*spellings))
    yield " ".join(joined)
    for number, word in enumerate(words):
        for cut in range(2, len(word) - 1):
            pieces = word[:cut], word[cut:]
            if not any(piece in _EVERYDAY for piece in pieces):
                yield " ".join([*words[:number], *pieces, *words[number + 1 :]])


def _spellings(phrase: Phrase) -> Iterable[tuple[str, str]]:
    """(what is looked for, as the lexicon writes it): each spelling, and without its apostrophes."""
    for written in phrase.spellings:
        for spelling in dict.fromkeys((written, written.replace("'", "").replace("’", ""))):
            yield spelling, written


class _Builder:
    def __init__(self) -> None:
        self.sets = PatternSets({}, {}, {}, {}, {})

    def add(self, patterns: Patterns, string: str, pattern: Pattern) -> None:
        owners = patterns.setdefault(string, [])
        if pattern not in owners:
            owners.append(pattern)

    def phrase(self, index: int, phrase: Phrase) -> None:
        evasive = phrase.match == "evasive"
        views = set()
        for spelling, written in _spellings(phrase):
            parts = [part for part in spelling.split("*") if part.strip()]
            run_on = is_run_on(spelling)
            views.add(run_on)
            if len(parts) > 1:
                self._gap(index, written, parts, run_on)
            elif run_on:
                self._run_on(index, parts[0], evasive)
            else:
                self._words(index, spelling, written, evasive)
        for allowed in phrase.allow:
            if True in views:
                string = run_on_view(fold(allowed))
                self.add(self.sets.run_on, string, Pattern(index, "allow", string, allowed))
            if False in views and not is_run_on(allowed):
                string = words_view(fold(allowed))
                self.add(self.sets.words, string, Pattern(index, "allow", string.strip(), allowed, True, True))

    def _gap(self, index: int, written: str, parts: list[str], run_on: bool) -> None:
        for number, part in enumerate(parts):
            if run_on:
                string = run_on_view(fold(part))
                pattern = Pattern(index, "part", string, written, part=number, last_part=len(parts) - 1)
                self.add(self.sets.run_on, string, pattern)
            else:
                string = words_view(fold(part))
                pattern = Pattern(index, "part", string.strip(), written, True, True, number, len(parts) - 1)
                self.add(self.sets.words, string, pattern)

    def _run_on(self, index: int, spelling: str, evasive: bool) -> None:
        string = run_on_view(fold(spelling))
        pattern = Pattern(index, "plain", string, spelling)
        self.add(self.sets.run_on, string, pattern)
        if evasive:
            self.add(self.sets.run_on_collapsed, collapse(string)[0], pattern)
            for letter in set(string):
                if is_unspaced(letter):
                    self.add(self.sets.run_on, letter * 2, _RUN)
                elif letter.isalpha():
                    self.add(self.sets.run_on, letter * 3, _RUN)

    def _words(self, index: int, spelling: str, written: str, evasive: bool) -> None:
        padded_start, padded_end = not spelling.startswith("*"), not spelling.endswith("*")
        body = words_view(fold(spelling)).strip()

        def padded(text: str) -> str:
            return " " * padded_start + text + " " * padded_end

        plain = Pattern(index, "plain", body, written, padded_start, padded_end)
        self.add(self.sets.words, padded(body), plain)
        if not evasive:
            return
        self.add(self.sets.words_collapsed, collapse(padded(body))[0], plain)
        for letter in set(body):
            if letter.isalpha():
                self.add(self.sets.words, letter * 3, _RUN)
        if padded_start and padded_end:
            for text in _apart(body.split()):
                if text != body:
                    self.add(self.sets.words, padded(text), Pattern(index, "apart", body, written, True, True))
            if sum(letter.isalpha() for letter in body) >= 3:
                self.add(self.sets.leet, leet_spelling(spelling), Pattern(index, "plain", body, written))


def patterns_of(lexicon: Lexicon) -> PatternSets:
    """Every string to look for, with the phrases it stands for."""
    builder = _Builder()
    for index, phrase in enumerate(lexicon.phrases):
        builder.phrase(index, phrase)
    return builder.sets
