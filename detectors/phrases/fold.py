"""Writes texts and phrases in one plain spelling, so that width, case, accents and disguises no longer matter."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from detectors.phrases.lookalikes import LATIN_LOOKALIKES
from detectors.phrases.traditional import SIMPLIFIED

MESSAGE_END = "\n"
"""Stands between messages in a folded text; nothing folds to it."""

# Letters (category L) and marks that are drawn as nothing: Hangul fillers, Khmer inherent vowels, grapheme joiner.
_DRAWN_AS_NOTHING = frozenset("\u115f\u1160\u3164\uffa0\u17b4\u17b5\u034f")
_FINANCIAL_DIGITS = dict(zip("零壹贰叁肆伍陆柒捌玖", "0123456789", strict=True))
# Written without blanks between words, or (Hangul) with endings stuck to them: a phrase may start anywhere.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x11FF),  # Burmese ... Hangul letters; Georgian in between is excluded below
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0xA4CF),  # radicals, kana, bopomofo, Han, Yi
    (0xA960, 0xA97F),  # Hangul
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),  # compatibility Han
    (0x1AFF0, 0x1B2FF),  # kana
    (0x20000, 0x3FFFF),  # Han
)
_GEORGIAN = (0x10A0, 0x10FF)

# A cache, not a limit on what is read: past it characters are folded each time, so hostile text cannot fill the memory.
_CACHED_CHARACTERS = 32_768


def is_unspaced(letter: str) -> bool:
    """Whether the letter belongs to a script without blanks between words (Chinese, Japanese, Korean, Thai ...)."""
    code = ord(letter)
    if code < 0x0E00 or _GEORGIAN[0] <= code <= _GEORGIAN[1]:
        return False
    return any(first <= code <= last for first, last in _UNSPACED)


def is_mark(character: str) -> bool:
    """Whether the character is a mark drawn over or around the letter before it, without which the letter is the same.

    Marks that are letters of their own (Thai and Indic vowels, viramas, kana voicing) have other combining classes
    (Unicode 4.3) and stay.
    """
    category = unicodedata.category(character)
    if category == "Me":
        return True
    combining = unicodedata.combining(character)
    return category == "Mn" and (combining == 1 or 10 <= combining <= 36 or combining >= 200)


def _letter(letter: str) -> str:
    if is_unspaced(letter):
        letter = SIMPLIFIED.get(letter, letter)
        return _FINANCIAL_DIGITS.get(letter, letter)
    bare = (part for part in unicodedata.normalize("NFD", letter) if not is_mark(part))
    return "".join(LATIN_LOOKALIKES.get(part, part) for part in bare)


def fold_character(character: str) -> str:
    """One character in plain spelling: letters and digits, "" if it is invisible, " " if it only separates.

    NFKC, case folding and names from Python's Unicode data; look-alikes from UTS #39; simplified forms from OpenCC.
    """
    category = unicodedata.category(character)
    if character in _DRAWN_AS_NOTHING or is_mark(character):
        return ""
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return ""
    if category == "Cc":
        return " " if character.isspace() else ""
    if category in ("Cs", "Co", "Cn"):
        return " "
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    if category == "So":
        # Parenthesised, squared and negative letters and flag letters: Unicode has no decomposition, but a name.
        head, found, letter = unicodedata.name(character, "").rpartition(" LETTER ")
        if found and len(letter) == 1 and letter.isascii() and "BRAILLE" not in head:
            return letter.lower()
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    folded = "".join(
        _letter(part) if unicodedata.category(part)[0] in "LNM" and not is_mark(part) else " "
        for part in plain
        if not is_mark(part)
    )
    # "⒈" is "1." and "㏂" is "a.m.": their own dots are no separators.
    return "".join(folded.split()) or (" " if folded else "")


class _FoldTable(dict[int, int | str]):
    """Code point -> its folded form, filled as characters are met; what folds to itself stays a number (faster)."""

    def __missing__(self, code: int) -> int | str:
        folded = fold_character(chr(code))
        value: int | str = ord(folded) if len(folded) == 1 else folded
        if len(self) < _CACHED_CHARACTERS:
            self[code] = value
        return value


class _WordTable(dict[int, int]):
    """Folded code point -> itself where words are written with blanks, else a blank."""

    def __missing__(self, code: int) -> int:
        letter = chr(code)
        value = code if letter not in " \n" and not is_unspaced(letter) else 32
        if len(self) < _CACHED_CHARACTERS:
            self[code] = value
        return value


_FOLD = _FoldTable()
_WORDS = _WordTable()
_ASCII = bytes(ord(character) if (character := fold_character(chr(code))) else 32 for code in range(128)) + b" " * 128
_ASCII_INVISIBLE = bytes(code for code in range(128) if not fold_character(chr(code)))


def fold(text: str) -> str:
    """The whole text in plain spelling, blanks not squeezed. Takes lone surrogates (as separators)."""
    return text.translate(_FOLD)


def words_view(folded: str) -> str:
    """The Latin view of a folded text: words of scripts with blanks, one blank between, before and after them.

    A phrase padded the same way starts and ends with a word without any further test.
    """
    return f" {' '.join(folded.translate(_WORDS).split())} "


def words_view_of_ascii(text: str) -> str:
    """`words_view(fold(text))` of a text that is ASCII, at a tenth of the cost."""
    raw = text.encode("ascii").translate(_ASCII, _ASCII_INVISIBLE)
    return f" {b' '.join(raw.split()).decode('ascii')} "


def run_on_view(folded: str) -> str:
    """The CJK view of a folded text: everything that only separates is gone."""
    return "".join(folded.split())


@dataclass(frozen=True, slots=True)
class View:
    """A view of a text with the place each of its characters came from."""

    text: str
    at: list[int]
    """Same length as `text`: index into the characters of `Mapped`; a blank has that of the character before it."""


class Mapped:
    """A folded tail of earlier messages and a text, with the way back from each folded character to the text.

    Costs some microseconds per message and is made only for one that has a candidate.
    """

    def __init__(self, tail: str, text: str) -> None:
        characters = list(tail)
        origin = [-1] * len(tail)
        if tail:
            characters.append(MESSAGE_END)
            origin.append(-1)
        for index, character in enumerate(text):
            for part in character.translate(_FOLD):
                characters.append(part)
                origin.append(index)
        self.tail = tail
        self.source = text
        self.characters = "".join(characters)
        self.origin = origin
        """For each of `characters` the index in `source`, -1 in the tail."""

    def words(self) -> View:
        """`words_view` with the way back."""
        text, at = [" "], [0]
        for index, character in enumerate(self.characters.translate(_WORDS)):
            if character != " ":
                text.append(character)
                at.append(index)
            elif text[-1] != " ":
                text.append(" ")
                at.append(index - 1)
        if text[-1] != " ":
            text.append(" ")
            at.append(len(self.characters) - 1)
        return View("".join(text), at)

    def run_on(self) -> View:
        """`run_on_view` with the way back."""
        at = [index for index, character in enumerate(self.characters) if character not in " \n"]
        return View("".join([self.characters[index] for index in at]), at)
