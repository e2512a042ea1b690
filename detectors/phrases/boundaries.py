"""Where the words of a Chinese text begin and end, so that 操 is not found in 操作."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from detectors.phrases.fold import is_unspaced

Segment = Callable[[str], Sequence[tuple[int, int]]]
"""Cuts a text into words: [start, end) in code points, in order."""


def segmenter(dictionary: str) -> Segment:
    """jieba's segmentation with its dictionary handed in as text ("word frequency tag" a line).

    Takes a fifth of a second and 50 MB for jieba's own 349,000 words: every worker pays it at its start, with messages
    waiting, so words are read only when a text has their first character. jieba's own loading, which takes three times
    as long, logs and leaves a cache file in the temporary folder, is never called.
    Raises ValueError naming the line that is none.
    """
    with warnings.catch_warnings():
        # jieba 0.42 has regular expressions in plain strings, a warning the first time Python compiles it.
        warnings.simplefilter("ignore")
        import jieba

    lines = sorted(dictionary.splitlines())
    counts = [line.split(" ", 2)[1] if " " in line else "" for line in lines]
    if not all(map(str.isdecimal, counts)) or any(line.startswith(" ") for line in lines):
        raise ValueError(_not_a_word(dictionary))
    frequency: dict[str, int] = {}
    known: set[str] = set()
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total, tokenizer.initialized = frequency, sum(map(int, counts)), True

    def learn(first: str) -> None:
        """Read the words that begin with a character."""
        begin, end = bisect_left(lines, first), bisect_left(lines, first + "\U0010ffff")
        for line, count in zip(lines[begin:end], counts[begin:end], strict=True):
            word = line.partition(" ")[0]
            frequency[word] = int(count)
            for length in range(1, len(word)):
                # jieba walks from prefix to prefix, so each must be there, with 0 where it is no word.
                frequency.setdefault(word[:length], 0)
        known.add(first)

    def segment(text: str) -> list[tuple[int, int]]:
        for character in set(text) - known:
            learn(character)
        # Without the hidden Markov model: it glues rare characters to words that no dictionary has.
        return [(start, end) for _, start, end in tokenizer.tokenize(text, HMM=False)]

    return segment


def _not_a_word(dictionary: str) -> str:
    """Say which line of a dictionary is wrong, and what to write."""
    for number, line in enumerate(dictionary.splitlines(), 1):
        word, _, rest = line.partition(" ")
        if not word or not rest.partition(" ")[0].isdecimal():
            return f'Line {number} of the dictionary is {line!r}; write a word and its frequency: "客服 210 n".'
    raise AssertionError("every line of the dictionary is one")


_EXCLAIMING = "吧啊呀"
_PIECE = re.compile("[^ \n]+")


class Edges:
    """Where words begin and end in one text, asked for only when something was found in it."""

    def __init__(self, text: str, segment: Segment | None) -> None:
        self._text = text
        self._segment = segment
        self._pieces: list[tuple[int, int]] | None = None
        self._cut_pieces: set[int] = set()
        self._cuts: set[int] = set()

    def fit(self, start: int, end: int, letters: int) -> bool:
        """Whether text[start:end] begins where a word begins and ends where one ends.

        `letters` of the text in between belong to the phrase, the others only separate. An end that is not a letter of
        an unspaced script always fits. From four letters on one fitting end is enough: 全网最低 is meant in 全网最低价
        too, though 低价 is a word, and so long a chance hit is rare. A single character must also end its clause, for
        names that no dictionary has fall apart: 滚！ and 滚吧, not 滚天沟. Without a segmenter longer phrases fit
        anywhere and a single character where nothing stands before it.
        """
        text = self._text
        open_start = start == 0 or not (is_unspaced(text[start]) and is_unspaced(text[start - 1]))
        open_end = end == len(text) or not (is_unspaced(text[end - 1]) and is_unspaced(text[end]))
        if open_start and open_end:
            return True
        if letters == 1 and not open_end and text[end] not in _EXCLAIMING:
            return False
        if self._segment is None:
            return letters > 1 or open_start
        fits = (open_start or self._is_cut(start)), (open_end or self._is_cut(end))
        return any(fits) if letters >= 4 else all(fits)

    def is_word(self, start: int, end: int) -> bool:
        """Whether text[start:end] is one word, False without a segmenter."""
        if self._segment is None:
            return False
        return all(self._is_cut(place) == (place in (start, end)) for place in range(start, end + 1))

    def _is_cut(self, place: int) -> bool:
        """Whether a word ends or begins at a place; without a segmenter nowhere.

        Words never go over a blank, so the piece around the place is cut, and once however often it is asked for:
        hostile texts stay linear, and a hit in a long message costs little.
        """
        if self._segment is None:
            return False
        if self._pieces is None:
            self._pieces = [piece.span() for piece in _PIECE.finditer(self._text)]
        number = bisect_right(self._pieces, (place, 0)) - 1
        for start, end in self._pieces[max(0, number) : number + 2]:
            if start <= place <= end and start not in self._cut_pieces:
                self._cut_pieces.add(start)
                self._cuts.update(start + cut for word in self._segment(self._text[start:end]) for cut in word)
        return place in self._cuts
