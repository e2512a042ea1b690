"""What the phrase engine remembers of one speaker in one conversation, to find a phrase split over messages."""

from __future__ import annotations

from typing import Any, NamedTuple

from detectors.phrases.fold import MESSAGE_END, is_unspaced, word_end

TAIL_CODE_POINTS = 64
"""Folded characters that are kept; a phrase is at most as long (`lexicon.MAX_PHRASE_CODE_POINTS`)."""

_new = tuple.__new__
_BLANKS = f" {MESSAGE_END}"


def _end(text: str) -> str:
    """The end of a folded text, without the rest of a word that was cut: "ss" of "glass" must not look like a word."""
    cut = len(text) - TAIL_CODE_POINTS
    if not (is_unspaced(text[cut - 1]) or text[cut - 1] in _BLANKS):
        cut = word_end(text, cut)
    return text[cut:].lstrip()


class SpeakerMemory(NamedTuple):
    """The end of what one speaker said and the customer saw; JSON-able, at most some hundred bytes."""

    tail: str = ""
    """Last folded characters of the delivered messages, oldest first, with a line break between two messages."""
    reported: tuple[tuple[str, int], ...] = ()
    """(phrase id, end in `tail`) of hits already reported, which a repeated last letter must not report again."""

    def to_json(self) -> dict[str, Any]:
        """A dict of str, list and int that `from_json` takes back."""
        return {"tail": self.tail, "reported": [[phrase_id, end] for phrase_id, end in self.reported]}

    @staticmethod
    def from_json(value: Any) -> SpeakerMemory:
        """The memory of a stored value; None and {} give an empty one. Raises ValueError for another shape."""
        if not value:
            return EMPTY
        try:
            tail, reported = value["tail"], value.get("reported", [])
            if not isinstance(tail, str):
                raise TypeError
            return SpeakerMemory(tail, tuple((str(phrase_id), int(end)) for phrase_id, end in reported))
        except (TypeError, KeyError, AttributeError, ValueError):
            raise ValueError(
                f'{value!r} is no memory of a speaker; write {{"tail": "...", "reported": [["phrase id", 3]]}}'
            ) from None

    def after(self, words: str, hits: tuple[tuple[str, int], ...] = ()) -> SpeakerMemory:
        """The memory once a message is delivered.

        `words` is the message folded, its blanks squeezed and stripped; `hits` are (phrase id, end in `words`).
        """
        if not words:
            return self
        before, reported_before = self
        joined = f"{before}{MESSAGE_END}{words}" if before else words
        if len(joined) > TAIL_CODE_POINTS:
            joined = _end(joined)
        if not hits and not reported_before:
            return _new(SpeakerMemory, (joined, ()))  # nearly always; by name it takes twice as long
        moved = len(joined) - len(words)
        reported = [(name, end + moved) for name, end in hits if end + moved > 0]
        if reported_before:
            moved -= len(MESSAGE_END) + len(before)
            reported += [(name, end + moved) for name, end in reported_before if end + moved > 0]
        if len(reported) > 1:
            reported = sorted(set(reported), key=lambda one: (one[1], one[0]))
        return _new(SpeakerMemory, (joined, tuple(reported)))


EMPTY = SpeakerMemory()
"""A speaker who has not said anything yet."""
