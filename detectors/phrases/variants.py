"""Compares a message loosely with phrases that were stopped just before: the same said alike, or a letter changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from detectors.phrases.boundaries import Edges, Segment
from detectors.phrases.fold import Mapped, fold, has_unspaced, is_unspaced, run_on_view
from detectors.phrases.lexicon import MAX_PHRASE_CODE_POINTS, Match
from detectors.phrases.loose import Loose, Spelling
from detectors.phrases.pinyin import ENGLISH_TOO, partly_spelled_out, spelled_out
from detectors.values import Hit, Severity

MAX_STOPPED = 8
"""Phrases a message is compared with, the latest that were stopped."""
MAX_LOOKED_AT = 32
"""Places of one message that are looked at closely, so that hostile texts stay linear."""
_SPELLINGS = 4
_MIXTURES = 16
_SHORTEST_IN_PINYIN = 4
"""Letters: two or three are also a name or an abbreviation."""
_CACHED = 256
"""Chains whose phrases are kept ready: one message after the other of a conversation asks for the same."""


class Stopped(NamedTuple):
    """A phrase as it was stopped: what the messages after it are compared with."""

    phrase_id: str
    category: str
    severity: Severity
    match: Match | None
    """How our own lexicon looks for it, None for another's: what it has judged to be no hit is not judged again."""
    spellings: tuple[str, ...]
    """As the lexicon writes it, unless that has a gap, and as the message wrote it; folded, blanks squeezed."""


def stopped(hit: Hit, text: str, match: Match | None) -> Stopped | None:
    """What is to be remembered of a hit in a text that was stopped; None where no letters are left of it.

    Only the phrase: whoever writes the rest of the sentence again has done what was asked.
    """
    written = ["" if "*" in hit.phrase else hit.phrase, text[slice(*hit.span)]]
    squeezed = (" ".join(fold(each).split()) for each in written)
    kept = tuple(dict.fromkeys(each for each in squeezed if each and len(each) <= MAX_PHRASE_CODE_POINTS))
    return Stopped(hit.phrase_id, hit.category, hit.severity, match, kept) if kept else None


def errors_of(phrase: str) -> int:
    """How many letters of a folded phrase may differ: none in short ones, for every other word is their neighbour.

    Chinese characters that are said alike do not count as different. Of several words only one letter may: two make
    "same thing" of "sure thing". Over ordinary turns (`benchmarks/phrase_chains.py`) fewer than one in ten thousand
    comparisons join by chance.
    """
    letters = run_on_view(phrase)
    is_unspaced_too = has_unspaced(letters)
    long, longer = (4, 8) if is_unspaced_too else (5, 9)
    return (len(letters) >= long) + (len(letters) >= longer and (is_unspaced_too or " " not in phrase))


def near(text: str, phrases: Sequence[Stopped], segment: Segment | None = None) -> tuple[Hit, ...]:
    """The places where a message says loosely what was stopped, one for each phrase; `how` is `near`.

    For messages in which the engine found nothing. Linear in the length of the text, of which 100,000 code points are
    the caller's limit. The hits' action is `allow`: so loose a likeness counts as an attempt, but stops no message.
    """
    if not phrases:
        return ()
    phrases = tuple(phrases[-MAX_STOPPED:])
    loose, owners = _compiled(phrases)
    mapped = Mapped("", text)
    view, at = _view(mapped.characters)
    edges = Edges(mapped.characters, segment)
    hits: dict[int, Hit] = {}
    for place in loose.find(view, MAX_LOOKED_AT):
        owner = owners[place.spelling]
        phrase = phrases[owner]
        inner = [at[index] for index in range(place.start, place.end) if view[index] != " "]
        first, end = inner[0], inner[-1] + 1
        letters = mapped.characters[first:end]
        if owner in hits or _was_judged(phrase, letters):
            continue
        if has_unspaced(letters) and not edges.fit(first, end, len(inner)):
            continue
        span = mapped.origin[first], mapped.origin[end - 1] + 1
        hits[owner] = Hit(
            phrase.phrase_id, phrase.spellings[0], phrase.category, phrase.severity, "allow", span, "near"
        )
    return tuple(sorted(hits.values(), key=lambda hit: hit.span))


def _was_judged(phrase: Stopped, letters: str) -> bool:
    """Whether the lexicon itself would have found the phrase here: it has, and let it pass (包赚不赔 after 没有)."""
    if phrase.match is None:
        return False
    if phrase.match == "evasive":
        return any(run_on_view(letters) == run_on_view(spelling) for spelling in phrase.spellings)
    return " ".join(letters.split()) in phrase.spellings


def _padded(letters: str) -> str:
    """The letters with a blank at an end where a word of a script with blanks has to end too."""
    start, end = ("" if is_unspaced(letter) else " " for letter in (letters[0], letters[-1]))
    return f"{start}{letters}{end}"


def _spellings_of(phrase: str) -> Iterator[Spelling]:
    """The ways a folded phrase is looked for: its letters, and in Chinese all or some of them in pinyin."""
    letters = run_on_view(phrase)
    yield Spelling(_padded(letters), errors_of(phrase))
    for syllables in islice(spelled_out(letters), _SPELLINGS):
        word = "".join(syllables)
        if len(word) >= _SHORTEST_IN_PINYIN and word not in ENGLISH_TOO:
            yield Spelling(f" {word} ", 0)
    if len(letters) > 1 and all(map(is_unspaced, letters)):
        for mixture in islice(partly_spelled_out(letters), _MIXTURES):
            yield Spelling(_padded(mixture), 0)


@lru_cache(_CACHED)
def _compiled(phrases: tuple[Stopped, ...]) -> tuple[Loose, tuple[int, ...]]:
    """Every way the phrases are looked for, and for each which phrase it stands for."""
    spellings: list[Spelling] = []
    owners: list[int] = []
    for index, phrase in enumerate(phrases):
        own = dict.fromkeys(spelling for written in phrase.spellings for spelling in _spellings_of(written))
        spellings += own
        owners += [index] * len(own)
    return Loose(spellings), tuple(owners)


def _view(characters: str) -> tuple[str, list[int]]:
    """Folded characters with one blank wherever a word may begin or end; and for each where it came from."""
    letters, at = [" "], [0]
    was_unspaced = False
    for index, letter in enumerate(characters):
        if letter != " ":
            unspaced = is_unspaced(letter)
            if unspaced != was_unspaced and letters[-1] != " ":
                letters.append(" ")
                at.append(index)
            was_unspaced = unspaced
        elif letters[-1] == " ":
            continue
        letters.append(letter)
        at.append(index)
    letters.append(" ")
    at.append(len(characters))
    return "".join(letters), at
