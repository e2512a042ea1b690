"""Finds spellings in a text with some letters wrong: all of them at once, in time linear in the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from detectors.phrases.pinyin import READINGS

_NEGATING = frozenset("不没无未非勿莫别否")
"""No error may take one of these away or bring one in: who writes 不保本 after 保本 was stopped has corrected it."""
_EXACTLY_SAID = 2
"""Letters up to which only the same syllable is alike: with zh for z and the like 趋势 would be 去死."""
_INITIALS = {"zh": "z", "ch": "c", "sh": "s"}
_FINALS = {"ing": "in", "eng": "en"}
_CACHED_LETTERS = 4_096


class Spelling(NamedTuple):
    """Letters to be found. A blank at either end must be one in the text, between letters blanks are overlooked."""

    letters: str
    errors: int
    """Letters that may be wrong, missing, too many or (two of them) swapped, but not the first and, in Chinese, not
    the last one: those make another word. What is said alike is not wrong."""


class Place(NamedTuple):
    """Where a spelling stands in the text: [start, end), with its blanks."""

    spelling: int
    start: int
    end: int


def sound(syllable: str) -> str:
    """A syllable as those say it who do not tell zh from z or ing from in: both are typed for one another."""
    for initial, plain in _INITIALS.items():
        if syllable.startswith(initial):
            syllable = plain + syllable[len(initial) :]
    for final, plain in _FINALS.items():
        if syllable.endswith(final):
            syllable = syllable[: -len(final)] + plain
    return syllable


class _Bits:
    """Spellings with equally many errors as bits of one number, a bit a letter.

    S. Wu and U. Manber, "Fast text searching allowing errors", CACM 35 (1992), with several patterns in one word and
    swapped neighbours as one error.
    """

    def __init__(self, spellings: Sequence[Spelling], backwards: bool = False) -> None:
        self._by_letter: defaultdict[str, int] = defaultdict(int)
        self._by_syllable: defaultdict[str, int] = defaultdict(int)
        self._by_sound: defaultdict[str, int] = defaultdict(int)
        self._masks: dict[str, int] = {}
        self._starts = self._ends = self._changed = self._missing = self._added = self._blanks = 0
        self._levels = 1 + max(spelling.errors for spelling in spellings)
        self.owners: dict[int, int] = {}
        """Bit of a last letter -> index in `spellings`."""
        bit = 0
        for index, (letters, _) in enumerate(spellings):
            self._starts |= 1 << bit
            for place in range(len(letters) - 1, -1, -1) if backwards else range(len(letters)):
                self._add(letters, place, 1 << bit, backwards)
                bit += 1
            self.owners[bit - 1] = index
            self._ends |= 1 << (bit - 1)

    def _add(self, letters: str, place: int, here: int, backwards: bool) -> None:
        """Say of one letter's bit what may stand for it and beside it."""
        inner = [index for index, letter in enumerate(letters) if letter != " "]
        first, last = inner[0], inner[-1]
        letter = letters[place]
        self._by_letter[letter] |= here
        for syllable in READINGS.get(letter, ()):
            if len(inner) <= _EXACTLY_SAID:
                self._by_syllable[syllable] |= here
            else:
                self._by_sound[sound(syllable)] |= here
        if letter not in _NEGATING and first < place <= last:
            is_inside = place < last
            self._missing |= here * is_inside
            self._changed |= here * (is_inside or letter.isascii())
        if first < place <= last if backwards else first <= place < last:
            self._blanks |= here
            self._added |= here
        elif place == last + backwards and letters[last].isascii():
            self._added |= here  # idiots

    def mask(self, letter: str) -> int:
        """The places of the spellings where a letter of the text is right."""
        mask = self._masks.get(letter)
        if mask is None:
            mask = self._by_letter.get(letter, 0)
            for syllable in READINGS.get(letter, ()):
                mask |= self._by_syllable.get(syllable, 0) | self._by_sound.get(sound(syllable), 0)
            if len(self._masks) < _CACHED_LETTERS:
                self._masks[letter] = mask
        return mask

    def ending(self, text: str, anchored: bool = False) -> Iterator[tuple[int, int, int]]:
        """Each (end, bits of the spellings that end there, wrong letters), each spelling with the fewest at one end.

        With `anchored` they begin at the text's first letter.
        """
        starts, ends, changed, missing = self._starts, self._ends, self._changed, self._missing
        added, blanks, levels, masks = self._added, self._blanks, range(self._levels), self._masks
        nothing = [0] * self._levels
        states = before = nothing
        mask = 0
        for end, letter in enumerate(text, 1):
            mask_before = mask
            if letter in masks:
                mask = masks[letter]  # a call less for every letter
            else:
                mask = self.mask(letter)
            begun = starts & mask
            if anchored:
                starts = 0
            if not begun and states == nothing:
                before = nothing  # most letters of most messages
                continue
            new: list[int] = []
            told = 0
            may_err = letter != " " and letter not in _NEGATING
            for level in levels:
                bits = (states[level] << 1) & mask | begun
                if letter == " ":
                    bits |= states[level] & blanks
                if level:
                    bits |= (new[level - 1] << 1) & missing
                    if may_err:
                        fewer = states[level - 1]
                        swapped = ((before[level - 1] << 1) & mask & changed) << 1
                        bits |= (fewer << 1) & changed | fewer & added | swapped & mask_before & changed
                new.append(bits)
                if found := bits & ends & ~told:
                    told |= found
                    yield end, found, level
            before, states = states, new


class Loose:
    """Spellings made ready to be looked for."""

    def __init__(self, spellings: Sequence[Spelling]) -> None:
        self._spellings = tuple(spellings)
        self._groups: list[tuple[_Bits, list[int]]] = []
        """What may have no error costs least, however much of it there is, when it goes by itself."""
        for errors in sorted({spelling.errors for spelling in spellings}):
            members = [index for index, spelling in enumerate(spellings) if spelling.errors == errors]
            self._groups.append((_Bits([spellings[index] for index in members]), members))
        self._backwards: dict[int, _Bits] = {}

    def find(self, text: str, most: int) -> Iterator[Place]:
        """Where the spellings stand; of those with equally many errors the first `most` places."""
        for bits, members in self._groups:
            yield from islice(self._places(text, bits, members), most)

    def _places(self, text: str, bits: _Bits, members: Sequence[int]) -> Iterator[Place]:
        for end, found, _ in bits.ending(text):
            while found:
                bit = found.bit_length() - 1
                found ^= 1 << bit
                index = members[bits.owners[bit]]
                if (start := self._start(text, index, end, bits)) is not None:
                    yield Place(index, start, end)

    def _start(self, text: str, index: int, end: int, forwards: _Bits) -> int | None:
        """Where a spelling begins that ends at `end`: with the fewest letters wrong, and then with its first letter."""
        spelling = self._spellings[index]
        bits = self._backwards.get(index)
        if bits is None:
            bits = self._backwards[index] = _Bits([spelling], backwards=True)
        reach = 2 * (len(spelling.letters) + spelling.errors) + 2
        best: tuple[int, bool, int] | None = None
        for length, _, level in bits.ending(text[max(0, end - reach) : end][::-1], anchored=True):
            start = end - length
            is_first = bool(forwards.mask(text[start]) & forwards.mask(spelling.letters[0]))
            best = min(best or (level + 1, True, 0), (level, not is_first, start))
        return None if best is None else best[2]
