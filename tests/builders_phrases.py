from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine, Reading
from detectors.phrases.fold import has_unspaced
from detectors.phrases.lexicon import Lexicon, Phrase
from detectors.phrases.memory import EMPTY, SpeakerMemory
from detectors.values import Side
from tests.shared_data import shared_data


def phrase(text: str, number: int = 1, **options: Any) -> Phrase:
    return Phrase(id=f"abuse.zh.{number:03d}", phrase=text, category=options.pop("category", "abuse"), **options)


def engine_of(*texts: str, matcher: str | None = None, **options: Any) -> PhraseEngine:
    phrases = tuple(phrase(text, number, **options) for number, text in enumerate(texts, 1))
    return PhraseEngine(Lexicon(phrases), chinese_words, matcher)


def read_in_turn(
    engine: PhraseEngine, *texts: str, side: Side = "agent", memory: SpeakerMemory = EMPTY
) -> tuple[Reading, ...]:
    readings: list[Reading] = []
    for text in texts:
        readings.append(engine.read(text, side, memory))
        memory = readings[-1].memory
    return tuple(readings)


def evasion_cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in shared_data("evasion", "cases.jsonl").read_text("utf-8").splitlines()]


def chat_rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shared_data("chat", name).read_text("utf-8").splitlines()]


def chat_texts(name: str) -> list[str]:
    return [row["text"] for row in chat_rows(name)]


def engine_of_case(case: Mapping[str, Any], matcher: str | None = None) -> PhraseEngine:
    lists = {key: tuple(case.get(key, ())) for key in ("allow", "aliases")}
    pinyin = "mixed" if has_unspaced(case["phrase"]) else "off"
    return engine_of(case["phrase"], matcher=matcher, pinyin=pinyin, **lists)


def reading_of_case(case: Mapping[str, Any], matcher: str | None = None) -> Reading:
    return read_in_turn(engine_of_case(case, matcher), *case.get("context", ()), case["text"])[-1]
