"""Prints what the phrase engine costs a message, and how often the shipped packs hit ordinary service turns."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from alerts.packs import chinese_words, shipped_packs
from detectors.phrases.automaton import installed_matchers
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.lexicon import lexicon_of
from detectors.phrases.memory import EMPTY

CHAT = Path(__file__).parents[2] / "shared" / "data" / "chat"
RUNS = 5


def texts_of(name: str) -> list[str]:
    """The messages of one file of the shared test data."""
    path = CHAT / name
    if not path.exists():
        sys.exit(f"{name} is missing: put the shared test data at ../shared/data of the project")
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def microseconds(engine: PhraseEngine, texts: list[str], remembering: bool) -> float:
    """CPU time a message, the median of some runs over all."""
    spent = []
    for _ in range(RUNS):
        memory = EMPTY
        begin = time.process_time()
        for text in texts:
            reading = engine.read(text, "agent", memory)
            if remembering:
                memory = reading.memory
        spent.append((time.process_time() - begin) / len(texts) * 1e6)
    return statistics.median(spent)


def main() -> None:
    lexicon = lexicon_of(shipped_packs())
    spellings = sum(len(phrase.spellings) for phrase in lexicon.phrases)
    print(f"{len(lexicon.phrases)} phrases, {spellings} spellings; CPU µs a message, one thread, {RUNS} runs, median")
    print(f"{'matcher':16}{'messages':24}{'first message':>14}{'with memory':>13}{'hit':>10}")
    for name in installed_matchers():
        engine = PhraseEngine(lexicon, chinese_words, name)
        for file in ("crosswoz_val.jsonl", "banking77_train.jsonl"):
            texts = texts_of(file)
            hit = sum(bool(engine.read(text, "agent").hits) for text in texts)
            first, later = microseconds(engine, texts, False), microseconds(engine, texts, True)
            print(f"{name:16}{file:24}{first:14.2f}{later:13.2f}{hit / len(texts):10.3%}")


if __name__ == "__main__":
    main()
