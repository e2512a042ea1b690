"""The lexicon: what must not be said, read from packs of TOML and refused whole with the line and the cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, get_args

import tomli

from detectors.phrases.fold import fold, is_unspaced, run_on_view
from detectors.values import PhraseAction, Severity

Speaker = Literal["agent", "customer", "any"]
Match = Literal["exact", "fold", "evasive"]
Boundary = Literal["none", "word"]
Pinyin = Literal["off", "full", "mixed"]

MAX_PHRASE_CODE_POINTS = 64
"""A longer phrase could not be found across messages: a speaker's memory keeps 64 characters."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One entry of the lexicon. A `*` stands for a word's open end (`scam*`, `*head`) or for a gap (`保证*退款`)."""

    id: str
    """`category.language.number`, unique over all packs: `abuse.zh.017`."""
    phrase: str
    category: str
    severity: Severity = "critical"
    action: PhraseAction = "block"
    """`allow` delivers the message and flags it."""
    speaker: Speaker = "any"
    """Whose words it is looked for in; a bot speaks for the agent."""
    match: Match = "evasive"
    """`exact`: as written; `fold`: any case, width, accent or variant; `evasive`: also pulled apart or disguised."""
    boundary: Boundary = "word"
    """`word`: a phrase of Chinese or the like must start and end where words do; Latin words are always whole."""
    pinyin: Pinyin = "off"
    """For Chinese phrases of two characters or more: `full` also finds them in pinyin (pianzi, piàn zi), `mixed` also
    with some characters in pinyin (骗zi)."""
    gap: int | None = None
    """Most characters that may stand for a `*` between two parts; 8 where it is not given."""
    aliases: tuple[str, ...] = ()
    """Other spellings of the phrase, reported under it."""
    allow: tuple[str, ...] = ()
    """Harmless expressions that contain the phrase: a hit that lies inside one of them is none."""
    negation: tuple[str, ...] = ()
    """Words that void the hit when they stand shortly before it in the same clause, or in its gap."""
    note: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        """The phrase and its aliases."""
        return (self.phrase, *self.aliases)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Every phrase of a policy, in the order of its packs."""

    phrases: tuple[Phrase, ...]


class LexiconError(ValueError):
    """A pack that is refused: `errors` holds one line for each thing wrong, with place and cure."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


_TEXT_KEYS = ("id", "phrase", "category", "note")
_LIST_KEYS = ("aliases", "allow", "negation")
_CHOICES: dict[str, tuple[str, ...]] = {
    "severity": get_args(Severity),
    "action": get_args(PhraseAction),
    "speaker": get_args(Speaker),
    "match": get_args(Match),
    "boundary": get_args(Boundary),
    "pinyin": get_args(Pinyin),
}
KEYS = tuple(field.name for field in fields(Phrase))
_ENTRY = re.compile(r"^\s*\[\[\s*phrase\s*\]\]")
_ID = re.compile(r"[a-z_]+\.[a-z]{2,3}\.\d{3,6}")


class _Place:
    """Finds the lines of a pack's entries, which the TOML reader does not tell."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines = text.splitlines()
        self.heads = [number for number, line in enumerate(self.lines, 1) if _ENTRY.match(line)]

    def of(self, entry: int, key: str = "") -> str:
        """`general.zh.toml:17` of the entry's key, or of its head where the key is not in it."""
        if entry >= len(self.heads):
            return self.source
        head = self.heads[entry]
        end = self.heads[entry + 1] - 1 if entry + 1 < len(self.heads) else len(self.lines)
        for number in range(head + 1, end + 1):
            if key and re.match(rf"\s*{re.escape(key)}\s*=", self.lines[number - 1]):
                return f"{self.source}:{number}"
        return f"{self.source}:{head}"


def _one_of(words: tuple[str, ...]) -> str:
    return " or ".join(f'"{word}"' for word in words)


def meant(word: str, known: tuple[str, ...]) -> str:
    """The known word that somebody may have meant, else all of them."""
    close = difflib.get_close_matches(word, known, 1)
    return close[0] if close else ", ".join(known)


def _spelling_error(spelling: str) -> str | None:
    """What is wrong with a phrase or alias as a pattern, None where nothing is."""
    if len(spelling) > MAX_PHRASE_CODE_POINTS:
        return f"has {len(spelling)} characters; write at most {MAX_PHRASE_CODE_POINTS}"
    parts = [run_on_view(fold(part)) for part in spelling.split("*")]
    if not any(parts):
        return "is empty once case, blanks and punctuation are gone; write letters or digits"
    inner = parts[1:-1]
    if not all(inner):
        return "has two stars in a row; write one * where something may be left out"
    if len(parts) > 1 and any(part and len(part) < 2 and not is_unspaced(part) for part in parts):
        return "has a single Latin letter beside a *; write at least two letters there, or the whole word"
    return None


def _value_error(key: str, value: Any) -> str | None:
    """What is wrong with the value of one key, None where nothing is."""
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            return f"{key} = {value!r} is unknown; write {_one_of(_CHOICES[key])}"
    elif key in _LIST_KEYS:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return f'{key} is not a list of texts; write {key} = ["one", "two"]'
        if not all(map(_is_whole, value)):
            return f"{key} has half a character (a lone surrogate); write it whole"
        if not all(run_on_view(fold(item)) for item in value):
            return f"{key} has an entry without a letter or digit; take it out"
    elif key == "gap":
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 32:
            return f"gap = {value!r} is no number of characters; write a whole number from 0 to 32"
    elif not isinstance(value, str):
        return f'{key} is not a text; write {key} = "..."'
    elif not _is_whole(value):
        return f"{key} has half a character (a lone surrogate); write it whole"
    return None


def _is_whole(text: str) -> bool:
    """Whether a text can be written down: a lone surrogate of JSON or of a command line cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_entry(entry: dict[str, Any], defaults: dict[str, Any]) -> tuple[Phrase | None, list[tuple[str, str]]]:
    """The phrase of one entry, or its errors as (key, what is wrong and what to write).

    `defaults` are the values of its category, by category, for what the entry does not say.
    """
    wrong = [(key, f'unknown key "{key}"; did you mean {meant(key, KEYS)}?') for key in entry if key not in KEYS]
    for key in ("id", "phrase"):
        if key not in entry:
            wrong.append((key, f'the entry has no {key}; write {key} = "..."'))
    wrong += [(key, error) for key, value in entry.items() if key in KEYS and (error := _value_error(key, value))]
    if wrong:
        return None, wrong
    if not _ID.fullmatch(entry["id"]):
        wrong.append(("id", f'id "{entry["id"]}" has another form; write category.language.number, as "abuse.zh.017"'))
    category = entry.get("category", entry["id"].partition(".")[0])
    values = {**defaults.get(category, {}), "category": category, **entry}
    for key in ("phrase", "aliases"):
        for spelling in [entry[key]] if key == "phrase" else entry.get(key, []):
            if error := _spelling_error(spelling):
                wrong.append((key, f'{key} "{spelling}" {error}'))
    if values.get("gap") is not None and not any("*" in text.strip("*") for text in [entry["phrase"]]):
        wrong.append(("gap", 'gap is given but the phrase has no * inside; write the phrase as "保证*退款"'))
    if values.get("pinyin", "off") != "off" and values.get("match", "evasive") != "evasive":
        wrong.append(
            ("pinyin", f'pinyin is given but match = "{values["match"]}"; write match = "evasive" or leave one out')
        )
    if wrong:
        return None, wrong
    checked: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Phrase(**checked), []


def _read_defaults(table: Any, source: str) -> tuple[dict[str, Any], list[str]]:
    errors: list[str] = []
    if not isinstance(table, dict) or not all(isinstance(values, dict) for values in table.values()):
        return {}, [f"{source}: defaults are not given by category; write [defaults.abuse] above them"]
    for category, values in table.items():
        for key, value in values.items():
            if key not in KEYS or key in ("id", "phrase", "category", "aliases"):
                allowed = tuple(name for name in KEYS if name not in ("id", "phrase", "category", "aliases"))
                errors.append(f'{source}: [defaults.{category}] has "{key}"; did you mean {meant(key, allowed)}?')
            elif error := _value_error(key, value):
                errors.append(f"{source}: [defaults.{category}] {error}")
    return table, errors


# Where a phrase is added one pack changes, and the reading of all takes as long as building their automata.
@lru_cache(maxsize=16)
def parse_pack(text: str, source: str) -> tuple[Phrase, ...]:
    """The phrases of one pack.

    `source` names the pack in errors (`general.zh.toml`). `[defaults.CATEGORY]` gives values for every entry of that
    category, which is the first part of the id unless the entry says otherwise. Raises LexiconError with every error
    of the pack, each with its line and what to write instead; nothing of a faulty pack is taken.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        place = f"{source}:{found[1]}" if found else f"{source}:{len(text.splitlines())}"
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise LexiconError((f'{place}: not TOML: {what}; write key = "value" under [[phrase]]',)) from None
    place_of = _Place(text, source)
    defaults, errors = _read_defaults(document.get("defaults", {}), source)
    errors += [
        f"{source}: unknown table [{key}]; write [[phrase]]" for key in document if key not in ("phrase", "defaults")
    ]
    entries = document.get("phrase", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        errors.append(f"{source}: phrase is not a list of entries; write [[phrase]] above each")
        entries = []
    phrases: list[Phrase] = []
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries):
        phrase, wrong = read_entry(entry, {} if errors else defaults)
        errors += [f"{place_of.of(number, key)}: {what}" for key, what in wrong]
        if phrase is None:
            continue
        if (first := seen.setdefault(phrase.id, number)) != number:
            place, known = (place_of.of(one, "id") for one in (number, first))
            errors.append(f"{place}: id {phrase.id} stands in {known} already; write another number")
        phrases.append(phrase)
    if errors:
        raise LexiconError(tuple(errors))
    return tuple(phrases)


def lexicon_of(packs: Mapping[str, str]) -> Lexicon:
    """The lexicon of some packs: name -> TOML text. Raises LexiconError with the errors of all of them."""
    errors: list[str] = []
    phrases: list[Phrase] = []
    home: dict[str, str] = {}
    for source, text in packs.items():
        try:
            pack = parse_pack(text, source)
        except LexiconError as error:
            errors += error.errors
            continue
        for number, phrase in enumerate(pack):
            if phrase.id in home:
                place = _Place(text, source).of(number, "id")
                errors.append(f"{place}: id {phrase.id} stands in {home[phrase.id]} already; write another number")
            home.setdefault(phrase.id, source)
            phrases.append(phrase)
    if errors:
        raise LexiconError(tuple(errors))
    return Lexicon(tuple(phrases))
