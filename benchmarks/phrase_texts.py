"""The messages, word lists and lexicons that the benchmarks of phrases share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from alerts.packs import shipped_packs
from detectors.phrases.fold import is_unspaced
from detectors.phrases.lexicon import MAX_PHRASE_CODE_POINTS, Lexicon, Phrase, lexicon_of

SHARED = Path(__file__).parents[2] / "shared" / "data"
CASES = SHARED / "evasion" / "cases.jsonl"
CHAT = SHARED / "chat"
LISTS = SHARED / "lexicons"
CLEAN = {"en": CHAT / "banking77_train.jsonl", "zh": CHAT / "crosswoz_val.jsonl"}
"""Ordinary customer-service turns of each language."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one a line; ends the benchmark, saying what it wants, where there is no such file."""
    if path.is_dir():
        inside = sorted(path.glob("*.jsonl"))
        instead = " ".join(map(str, inside)) if inside else "a file with a JSON object a line"
        raise SystemExit(f"{path} is a folder and a file is wanted; write {instead}")
    if not path.exists():
        raise SystemExit(f"{path.name} is missing: put the shared test data at ../shared/data of the project")
    # Not splitlines(): texts may hold the other line ends that Unicode knows.
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def texts_of(path: Path) -> list[str]:
    return [row["text"] for row in rows_of(path)]


def language_of(phrase: str) -> str:
    """`zh` for a phrase with a letter of a script without blanks, else `en`."""
    return "zh" if any(map(is_unspaced, phrase)) else "en"


def shipped_lexicon() -> Lexicon:
    return lexicon_of(shipped_packs())


def list_phrases(*names: str) -> Iterator[str]:
    """The different phrases of public word lists that an entry can hold: no single Latin letters or digits."""
    seen: set[str] = set()
    for name in names:
        for row in rows_of(LISTS / f"{name}.jsonl"):
            phrase = row["phrase"].replace("*", "").strip()
            letters = [letter for letter in phrase if letter.isalnum()]
            long_enough = len(letters) >= 2 or any(map(is_unspaced, letters))
            if long_enough and len(phrase) <= MAX_PHRASE_CODE_POINTS and phrase.lower() not in seen:
                seen.add(phrase.lower())
                yield phrase


def as_lexicon(phrases: Iterable[str]) -> Lexicon:
    """Each phrase with an entry's defaults: found in any disguise, Chinese at word boundaries."""
    return Lexicon(tuple(Phrase(f"policy.xx.{number:06d}", text, "policy") for number, text in enumerate(phrases)))
