"""Where the words of a Chinese text begin and end, so that 操 is not found in 操作."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from detectors.phrases.fold import MESSAGE_END, is_unspaced

Segment = Callable[[str], Sequence[str]]
"""Cuts a text into words: joined they are the text again."""


def chinese_words(text: str) -> list[str]:
    """The words of a text by jieba's algorithm and dictionary: the likeliest way from word to word.

    The first call in a process reads the dictionary (a tenth of a second, 33 MB): a worker asks once beside its work.
    """
    import rjieba

    # Without the hidden Markov model: it glues rare characters to words that no dictionary has.
    return rjieba.cut(text, hmm=False)


_EXCLAIMING = "吧啊呀"
# No clause is so long: of a text without a blank only what is asked for is cut, at the price of a word at each end.
_LONGEST_PIECE = 512
_PIECE = re.compile(f"[^ ]{{1,{_LONGEST_PIECE}}}")


def may_stand_alone(letter: str, text: str) -> bool:
    """Whether a letter of an unspaced script ends a clause or is repeated somewhere in a folded text.

    Elsewhere `Edges` never fits.
    """
    place = text.find(letter)
    while place >= 0:
        following = text[place + 1 : place + 2]
        if not following or following == letter or following in _EXCLAIMING or not is_unspaced(following):
            return True
        place = text.find(letter, place + 1)
    return False


class Edges:
    """Where words begin and end in one text, asked for only when something was found in it."""

    def __init__(self, text: str, segment: Segment | None) -> None:
        self._text = text.replace(MESSAGE_END, " ")
        self._segment = segment
        self._long_pieces: list[int] | None = None
        self._cut_pieces: set[int] = set()
        self._cuts: set[int] = set()
        self._last_piece = 0, -1

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
        if letters >= 4:
            return open_start or open_end or self._is_cut(start) or self._is_cut(end)
        return (open_start or self._is_cut(start)) and (open_end or self._is_cut(end))

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
        start, end = self._last_piece
        if not start <= place <= end:
            start, end = self._last_piece = self._piece_around(place)
            if start not in self._cut_pieces:
                self._cut_pieces.add(start)
                self._cuts.update(accumulate(map(len, self._segment(self._text[start:end])), initial=start))
        return place in self._cuts

    def _piece_around(self, place: int) -> tuple[int, int]:
        text = self._text
        reach = max(0, place - _LONGEST_PIECE)
        start = text.rfind(" ", reach, place) + 1
        if not start and reach:
            start = self._long_piece_before(place)
        longest = min(start + _LONGEST_PIECE, len(text))
        end = text.find(" ", place, longest)
        return start, end if end >= 0 else longest

    def _long_piece_before(self, place: int) -> int:
        if self._long_pieces is None:
            self._long_pieces = [piece.start() for piece in _PIECE.finditer(self._text)]
        return self._long_pieces[bisect_right(self._long_pieces, place) - 1]
