"""What agents must not type and what they must be free to: whole sentences, not the packs' own words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from alerts.packs import shipped_packs
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.lexicon import lexicon_of

FOLDER = Path(__file__).parent / "agent_turns"
FORBIDDEN = sorted(FOLDER.glob("*.forbidden.txt"))
CLEAN = sorted(FOLDER.glob("*.clean.txt"))
LEAST_FOUND = 0.95
"""The sentences were written before the packs grew, and the packs with them at hand, so that nearly all are found and
this only tells when one is lost; it is no measure of what is found elsewhere."""


@cache
def engine() -> PhraseEngine:
    return PhraseEngine(lexicon_of(shipped_packs()), chinese_words)


def sentences(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").split("\n") if line]


@pytest.mark.parametrize("path", FORBIDDEN, ids=lambda path: path.name)
def test_what_agents_must_not_type_is_found(path: Path) -> None:
    missed = [sentence for sentence in sentences(path) if not engine().read(sentence, "agent").hits]
    assert len(sentences(path)) > 40
    assert len(missed) <= (1 - LEAST_FOUND) * len(sentences(path)), missed


# Written to come close to what is forbidden: the same words, said as a good agent says them.
@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.name)
def test_what_a_good_agent_types_near_it_goes_through(path: Path) -> None:
    hits = [(sentence, hit.phrase_id) for sentence in sentences(path) for hit in engine().read(sentence, "agent").hits]
    assert len(sentences(path)) > 30
    assert hits == []
