"""Phrases as WeCom's own interception rules: the bodies of `externalcontact/add_intercept_rule`.

Limits and fields: developer.work.weixin.qq.com/document/path/95130.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detectors.phrases.fold import has_unspaced
from detectors.phrases.lexicon import Phrase
from detectors.values import PhraseAction

MOST_WORDS = 300
"""Of one rule."""
WORD_CODE_POINTS = 32
NAME_CODE_POINTS = 20
MOST_RULES = 100
"""Of one company."""
WHOLE_COMPANY = 1
"""The department that all others stand under."""
INTERCEPT_TYPES: dict[PhraseAction, int] = {"block": 1, "review": 1, "mask": 2, "allow": 2}
"""1 warns and stops the message, 2 only warns. WeCom has neither a person who looks first nor a mask."""


class Rules(NamedTuple):
    """What goes to WeCom."""

    bodies: tuple[dict[str, Any], ...]
    """One request each."""
    left_out: tuple[tuple[Phrase, str, str], ...]
    """(phrase, its spelling, why WeCom cannot have it)."""
    coarser: tuple[Phrase, ...]
    """Phrases that WeCom will find too often: it knows neither exceptions, negation nor whole words."""


def rules_of(
    phrases: Iterable[Phrase], departments: Sequence[int] = (WHOLE_COMPANY,), users: Sequence[str] = ()
) -> Rules:
    """The rules for what agents must not say, by category. Raises ValueError if there are more than WeCom takes."""
    words: dict[tuple[str, int], dict[str, None]] = {}
    left_out: list[tuple[Phrase, str, str]] = []
    coarser: list[Phrase] = []
    for phrase in phrases:
        if phrase.speaker == "customer":
            left_out.append((phrase, phrase.phrase, "it is about customers, and WeCom looks at staff"))
            continue
        taken = words.setdefault((phrase.category, INTERCEPT_TYPES[phrase.action]), {})
        sent = False
        for spelling in phrase.spellings:
            if why := _why_not(spelling):
                left_out.append((phrase, spelling, why))
            else:
                taken.setdefault(spelling.strip("*"))
                sent = True
        if sent and (phrase.allow or phrase.negation or any(_is_short_word(text) for text in phrase.spellings)):
            coarser.append(phrase)
    bodies: list[dict[str, Any]] = []
    for (category, intercept_type), found in words.items():
        every = list(found)
        for start in range(0, len(every), MOST_WORDS):
            number = f" {len(bodies) + 1}"
            name = f"Tonewatch {category}"[: NAME_CODE_POINTS - len(number)] + number
            bodies.append(
                {
                    "rule_name": name,
                    "word_list": every[start : start + MOST_WORDS],
                    "intercept_type": intercept_type,
                    "applicable_range": {"user_list": list(users), "department_list": list(departments)},
                }
            )
    if len(bodies) > MOST_RULES:
        raise ValueError(f"{len(bodies)} rules, and WeCom takes {MOST_RULES} of a company; export fewer packs")
    return Rules(tuple(bodies), tuple(left_out), tuple(coarser))


def _why_not(spelling: str) -> str | None:
    """Why WeCom cannot look for a spelling, None where it can."""
    word = spelling.strip("*")
    if "*" in word:
        return "it has a gap, and WeCom finds words only as they are written"
    if len(word) > WORD_CODE_POINTS:
        return f"it has {len(word)} characters, and WeCom takes {WORD_CODE_POINTS}"
    return None


def _is_short_word(spelling: str) -> bool:
    """Whether it is so short a Latin word that it stands in others: "ass" in "class"."""
    word = spelling.strip("*")
    return len(word) <= 4 and not has_unspaced(word)
