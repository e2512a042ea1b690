"""Writes texts and phrases in one plain spelling, so that width, case, accents and disguises no longer matter."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from detectors.phrases.lookalikes import LATIN_LOOKALIKES
from detectors.phrases.traditional import SIMPLIFIED

MESSAGE_END = "\n"
"""Stands between messages in a folded text; nothing folds to it."""

# Letters (category L) and marks that are drawn as nothing: Hangul fillers, Khmer inherent vowels, grapheme joiner.
_DRAWN_AS_NOTHING = frozenset("\u115f\u1160\u3164\uffa0\u17b4\u17b5\u034f")
_FINANCIAL_DIGITS = dict(zip("零壹贰叁肆伍陆柒捌玖", "0123456789", strict=True))
# Written without blanks between words, or (Hangul) with endings stuck to them: a phrase may start anywhere.
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1100-\u11ff"  # Burmese, Hangul letters; Georgian stands between them
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\ua4cf"  # radicals, kana, bopomofo, Han, Yi
    "\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\uf900-\ufaff"  # compatibility Han
    "\U0001aff0-\U0001b2ff"  # kana
    "\U00020000-\U0003ffff"  # Han
)
_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")
_SPACED_WORD = re.compile(f"[^ \n{_UNSPACED}]+")
_WORD_END = re.compile(f"[ \n{_UNSPACED}]")

# A cache, not a limit on what is read: past it characters are folded each time, so hostile text cannot fill the memory.
_CACHED_CHARACTERS = 32_768


@lru_cache(_CACHED_CHARACTERS)
def is_unspaced(letter: str) -> bool:
    """Whether the letter belongs to a script without blanks between words (Chinese, Japanese, Korean, Thai ...)."""
    return _UNSPACED_LETTER.match(letter) is not None


def has_unspaced(text: str) -> bool:
    """Whether some letter of the text does."""
    return _UNSPACED_LETTER.search(text) is not None


def word_end(folded: str, start: int) -> int:
    """Where the word of a script with blanks ends that goes on at `start`; `start` where none does."""
    found = _WORD_END.search(folded, start)
    return found.start() if found else len(folded)


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


_FOLD = _FoldTable()
_ASCII = bytes(ord(character) if (character := fold_character(chr(code))) else 32 for code in range(128)) + b" " * 128
_ASCII_INVISIBLE = bytes(code for code in range(128) if not fold_character(chr(code)))


# Most Chinese messages are made of these: letters that fold to themselves, and what only separates, each one for one.
# A search for anything else costs a fifth of folding; one class without alternatives, or it would cost ten times that.
_SEPARATORS = "".join(
    chr(code)
    for block in (
        range(0x80),
        range(0x2010, 0x2028),
        range(0x2030, 0x205F),
        range(0x3000, 0x3021),
        range(0xFF01, 0xFF66),
    )
    for code in block
    if fold_character(chr(code)) == " "
)
_HAN = range(0x4E00, 0x9FA6)


def _plain_letters() -> str:
    """A class of a regular expression: a-z, 0-9, kana and the simplified Han that fold to themselves."""
    others = sorted(code for code in map(ord, (*SIMPLIFIED, *_FINANCIAL_DIGITS)) if code in _HAN)
    edges = [_HAN.start - 1, *others, _HAN.stop]
    between = ((first + 1, last - 1) for first, last in zip(edges, edges[1:], strict=False) if last - first > 1)
    han = "".join(f"{chr(first)}-{chr(last)}" for first, last in between)
    return f"a-z0-9\u3041-\u3096\u30a1-\u30fa{han}"


_PLAIN = _plain_letters()
_PLAIN_LETTERS = re.compile(f"[{_PLAIN}]+")
_NOT_A_PLAIN_LETTER = re.compile(f"[^{_PLAIN}]")
_NOT_PLAIN = re.compile(f"[^{_PLAIN}{re.escape(_SEPARATORS)}]")


def fold(text: str) -> str:
    """The whole text in plain spelling, blanks not squeezed. Takes lone surrogates (as separators)."""
    return text.translate(_FOLD)


def folds_to_nothing(character: str) -> bool:
    """Whether nothing is left of a character: it is invisible, or a mark on the letter before it."""
    return _FOLD[ord(character)] == ""


def spaced_words(folded: str) -> str:
    """The words of scripts with blanks in a folded text, one blank between them."""
    return " ".join(folded.split() if folded.isascii() else _SPACED_WORD.findall(folded))


def words_view(folded: str) -> str:
    """The Latin view of a folded text: words of scripts with blanks, one blank between, before and after them.

    A phrase padded the same way starts and ends with a word without any further test.
    """
    return f" {spaced_words(folded)} "


def run_on_view(folded: str) -> str:
    """The CJK view of a folded text: everything that only separates is gone."""
    return "".join(folded.split())


def _plain(text: str) -> str | None:
    """The text in lower case if each of its letters then folds to itself and all else to one blank each."""
    # Most Chinese messages have no capitals, and to write one in lower case costs two thirds of a search.
    if _NOT_PLAIN.search(text) is None:
        return text
    lower = text.lower()
    return lower if _NOT_PLAIN.search(lower) is None else None


def squeezed_views(text: str) -> tuple[str, str, str]:
    """(the folded text with its blanks squeezed, its `spaced_words`, its `run_on_view` unless the text is ASCII).

    The same as folding by `fold`, at a tenth of the cost for ASCII and a third for ordinary Chinese.
    """
    if text.isascii():
        squeezed = text.encode("ascii").translate(_ASCII, _ASCII_INVISIBLE).decode("ascii").strip(" ")
        while "  " in squeezed:  # a third of the cost of split and join: most are the blank after a comma
            squeezed = squeezed.replace("  ", " ")
        return squeezed, squeezed, ""
    if (plain := _plain(text)) is not None:
        pieces = _PLAIN_LETTERS.findall(plain)
        squeezed = " ".join(pieces)
        words = ""
        if squeezed.encode("ascii", "ignore").strip():  # of plain letters those of words are the ASCII ones
            words = " ".join(squeezed.encode("ascii", "replace").translate(_ASCII).decode("ascii").split())
    else:
        pieces = fold(text).split()
        squeezed = " ".join(pieces)
        words = spaced_words(squeezed)
    return squeezed, words, "".join(pieces)


class View(NamedTuple):
    """A view of a text with the place each of its characters came from."""

    text: str
    at: list[int]
    """Same length as `text`: index into the characters of `Mapped`; a blank has its own or that before it."""


class Mapped:
    """A folded tail of earlier messages and a text, with the way back from each folded character to the text.

    Costs some microseconds per message and is made only for one that has a candidate.
    """

    def __init__(self, tail: str, text: str) -> None:
        before = f"{tail}{MESSAGE_END}" if tail else ""
        origin = [-1] * len(before)
        plain = None if text.isascii() else _plain(text)
        characters = fold(text) if plain is None else _NOT_A_PLAIN_LETTER.sub(" ", plain)
        self.is_plain = plain is not None or (text.isascii() and len(characters) == len(text))
        """Whether every letter of the text, in lower case, folds to itself and all else to one blank each."""
        if self.is_plain:
            origin += range(len(text))
        else:
            for index, character in enumerate(text):
                folded = _FOLD[ord(character)]
                origin += [index] * (1 if isinstance(folded, int) else len(folded))
        self.tail = tail
        self.start = len(before)
        """Where the text begins in `characters`."""
        self.source = text
        self.characters = before + characters
        self.origin = origin
        """For each of `characters` the index in `source`, -1 in the tail."""

    def words(self) -> View:
        """`words_view` with the way back."""
        if self.characters.isascii():
            return self._ascii_words()
        text, at, end = self.characters, [0], 0
        words = _SPACED_WORD.findall(text)
        for word in words:  # to find each again costs less than to ask a match for its place
            start = text.index(word, end)
            end = start + len(word)
            at += range(start, end)
            at.append(end - 1)
        return View(" ".join(["", *words, ""]), at)

    def _ascii_words(self) -> View:
        # Words with one blank between them are taken together: most have a second blank only after a comma.
        text, at, end = self.characters.replace(MESSAGE_END, " "), [0], 0
        pieces = [piece for part in text.split("  ") if (piece := part.strip(" "))]
        for piece in pieces:
            start = text.index(piece, end)
            end = start + len(piece)
            at += range(start, end)
            at.append(end - 1)
        return View(" ".join(["", *pieces, ""]), at)

    def run_on(self) -> View:
        """`run_on_view` with the way back."""
        text, end = self.characters, 0
        at: list[int] = []
        pieces = text.split()
        for letters in pieces:
            start = text.index(letters, end)
            end = start + len(letters)
            at += range(start, end)
        return View("".join(pieces), at)
