"""The spellings that patterns alone cannot list: repeated letters, leet, gaps and open word ends."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from detectors.phrases.fold import Mapped, View, is_unspaced
from detectors.phrases.patterns import Pattern, collapse
from detectors.phrases.validation import Candidate

GAP_CODE_POINTS = 8
"""Most characters that a `*` between two parts of a phrase stands for, where the entry gives no `gap`."""

Find = Callable[[str], list[tuple[Pattern, int, int]]]

_LEET = dict(zip("0123456789@$!|+(€£¢¥", "oizeasgtbgasiitcelcy", strict=True))
_SIGNS = re.escape("".join(_LEET))
_SIGN_BYTES = "".join(_LEET).encode("ascii", "ignore")
# A sign between letters, before two letters or, unless it may be punctuation, after two. No open repetition: linear.
# Each match begins with the sign, which is searched for at a third of the cost of a letter.
_MAY_BE_LEET = re.compile(
    f"[{_SIGNS}](?:[A-Za-z][A-Za-z{_SIGNS}]|(?<=[A-Za-z].)[{_SIGNS}]{{0,2}}[A-Za-z]|(?<=[A-Za-z]{{2}}[0-9@$|+(€]))",
    re.DOTALL,
)


def may_be_leet(text: str) -> bool:
    """Whether some word of the text has signs or digits among its letters."""
    if text.isascii() and len(text.encode().translate(None, _SIGN_BYTES)) == len(text):
        return False  # a tenth of the cost of searching, and most texts have none
    return _MAY_BE_LEET.search(text) is not None


def leet(mapped: Mapped, find: Find) -> Iterator[Candidate]:
    """Places where a phrase stands with signs or digits for some of its letters.

    At least two letters must be real and more of them than signs: `A55`, `8008` and coupon codes stay what they are.
    """
    letters: list[str] = []
    at: list[int] = []
    replaced: list[bool] = []
    for index, character in enumerate(mapped.characters):
        if (source := mapped.origin[index]) < 0:
            continue
        if character == " ":
            character = unicodedata.normalize("NFKC", mapped.source[source])
        sign = character in _LEET
        letter = _LEET[character] if sign else character
        if len(letter) != 1 or not letter.isalpha() or is_unspaced(letter):
            letter = " "
        if letter != " " or (letters and letters[-1] != " "):
            letters.append("i" if letter == "l" else letter)
            at.append(index)
            replaced.append(sign)
    view = View("".join(letters), at)
    for pattern, start, end in find(view.text):
        signs = real = 0
        for place, wanted in zip(range(start, end), pattern.string, strict=True):
            if wanted == " ":
                continue
            if replaced[place]:
                signs += 1
            elif mapped.characters[at[place]] == wanted:
                real += 1
            else:
                break
        else:
            before = view.at[start] - 1
            after = view.at[end - 1] + 1
            stands_free = not any(
                0 <= outer < len(mapped.characters)
                and mapped.characters[outer].isalnum()
                and not is_unspaced(mapped.characters[outer])
                for outer in (before, after)
            )
            if signs and real >= 2 and real > signs and stands_free:
                yield Candidate(pattern, view, start, end, "leet")


def repeated(view: View, find: Find) -> Iterator[Candidate]:
    """Places where a phrase stands with letters written more often than it has them.

    A Latin letter counts as repeated from three on, so that "good" is not "god"; digits never do.
    """
    text, begins = collapse(view.text)
    for pattern, start, end in find(text):
        wanted, wanted_begins = collapse(pattern.string)
        longer = False
        for offset in range(len(wanted)):
            place = start + offset
            length = begins[place + 1] - begins[place]
            needed = wanted_begins[offset + 1] - wanted_begins[offset]
            if length < needed or (length > needed and wanted[offset].isdecimal()):
                break
            if length > needed and (length >= 3 or is_unspaced(wanted[offset])):
                longer = True
        else:
            if longer:
                bounds = to_word_ends(view.text, pattern, begins[start], begins[end])
                yield Candidate(pattern, view, *bounds, "repeated")


def with_gaps(view: View, pieces: Sequence[tuple[Pattern, int, int]], gap: int) -> Iterator[Candidate]:
    """Places where the parts of a phrase follow each other with at most `gap` characters between two of them."""
    pieces = [piece for piece in pieces if not _is_inside_word(view.text, piece[1], piece[2])]
    spans_of: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for pattern, start, end in pieces:
        spans_of.setdefault((pattern.written, pattern.part), []).append((start, end))
    for spans in spans_of.values():
        spans.sort()
    for pattern, start, end in pieces:
        if pattern.part:
            continue
        reached = end
        for part in range(1, pattern.last_part + 1):
            spans = spans_of.get((pattern.written, part), [])
            place = bisect_left(spans, (reached, 0))
            if place == len(spans) or spans[place][0] - reached > gap:
                break
            reached = spans[place][1]
        else:
            yield Candidate(pattern, view, start, reached, "plain")


def _is_inside_word(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is cut out of a longer word or number of a script with blanks."""
    return any(
        0 <= outer < len(text)
        and all(text[place].isalnum() and not is_unspaced(text[place]) for place in (inner, outer))
        for inner, outer in ((start, start - 1), (end - 1, end))
    )


def to_word_ends(text: str, pattern: Pattern, start: int, end: int) -> tuple[int, int]:
    """The place of a pattern with an open end (`scam*`), widened to the whole word."""
    if pattern.string and not is_unspaced(pattern.string[0]) and not pattern.padded_start:
        start = text.rfind(" ", 0, start) + 1 if " " in text else start
    if pattern.string and not is_unspaced(pattern.string[-1]) and not pattern.padded_end:
        close = text.find(" ", end)
        end = close if close >= 0 else end
    return start, end


class Exceptions:
    """Where the harmless expressions stand that a phrase's `allow` lists."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        in_order = sorted(spans)
        self._starts = [start for start, _ in in_order]
        self._reach = list(accumulate((end for _, end in in_order), max))

    def cover(self, start: int, end: int) -> bool:
        """Whether [start, end) lies inside one of them; a search in order, so that a text full of them stays cheap."""
        before = bisect_right(self._starts, start)
        return before > 0 and self._reach[before - 1] >= end
