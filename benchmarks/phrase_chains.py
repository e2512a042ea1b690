"""What joins a chain of attempts: variants of phrases that were stopped, and ordinary turns by chance; and its cost.

`python benchmarks/phrase_chains.py [--json FILE]`. Every phrase of the shipped packs that stops an agent's message is
taken as stopped just before. Ordinary turns of the shared chats in which the engine finds nothing are compared with
each; of each phrase variants are made: a character replaced by one that is said alike, a letter changed or two of them
swapped, one doubled, separators put in. What the engine finds by itself needs no chain. Returns 1 where a bar is
missed.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.lines import Line, arguments, conclude
from benchmarks.phrase_texts import CHAT, CLEAN, language_of, rows_of, shipped_lexicon, texts_of
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import MAX_CODE_POINTS, PhraseEngine
from detectors.phrases.lexicon import Phrase
from detectors.phrases.pinyin import READINGS
from detectors.phrases.variants import MAX_STOPPED, Stopped
from detectors.values import Hit

MOST_JOINED_PER_MILLION = 50
"""Who was stopped writes some 20 messages within the next 10 minutes: at most 0.1 % of interceptions are then followed
by an attempt that is none."""
LEAST_FOUND_PERCENT = 90
MOST_US_A_CHARACTER = 2.0
"""The bar of the engine's own worst case."""

_ALIKE: defaultdict[str, list[str]] = defaultdict(list)
for _character, _readings in READINGS.items():
    _ALIKE[_readings[0]].append(_character)


def of(engine: PhraseEngine, phrase: Phrase) -> Stopped:
    hit = Hit(
        phrase.id, phrase.phrase, phrase.category, phrase.severity, phrase.action, (0, len(phrase.phrase)), "exact"
    )
    remembered = engine.stopped(hit, phrase.phrase)
    assert remembered is not None
    return remembered


def said_alike(text: str, chance: random.Random) -> str:
    place = chance.choice([place for place, character in enumerate(text) if character in READINGS])
    return text[:place] + chance.choice(_ALIKE[READINGS[text[place]][0]]) + text[place + 1 :]


def one_changed(text: str, chance: random.Random) -> str:
    place = chance.choice([place for place, letter in enumerate(text) if place and letter.isalpha()])
    return text[:place] + chance.choice("abcdefghijklmnopqrstuvwxyz") + text[place + 1 :]


def two_swapped(text: str, chance: random.Random) -> str:
    pairs = [place for place in range(1, len(text) - 1) if text[place : place + 2].isalpha()]
    place = chance.choice(pairs or [0])
    return text[:place] + text[place : place + 2][::-1] + text[place + 2 :]


def one_doubled(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    return text[:place] + text[place] + text[place:]


def pulled_apart(text: str, chance: random.Random) -> str:
    return chance.choice(".-_ *~").join(text)


VARIANTS: dict[str, dict[str, Callable[[str, random.Random], str]]] = {
    "zh": {"said alike": said_alike, "doubled": one_doubled, "pulled apart": pulled_apart},
    "en": {"one letter changed": one_changed, "two letters swapped": two_swapped, "pulled apart": pulled_apart},
}
FRAMES = {"zh": ("{}", "你这个人真是{}", "我说了{}吧，听不懂吗"), "en": ("{}", "well {} then", "I told you: {}!")}


def variant_lines(engine: PhraseEngine, phrases: Sequence[Phrase], language: str) -> list[Line]:
    chance = random.Random(3)
    lines = []
    for kind, variant in VARIANTS[language].items():
        alone = joined = made = 0
        for phrase in phrases:
            letters = sum(map(str.isalnum, phrase.phrase))
            if "*" in phrase.phrase or (language == "en" and letters < 5):
                continue  # of four letters and fewer every other word is a variant: none is sought
            for frame in FRAMES[language]:
                text = frame.format(variant(phrase.phrase, chance))
                made += 1
                if engine.read(text, "agent").hits:
                    alone += 1
                elif engine.near(text, [of(engine, phrase)]):
                    joined += 1
        note = f"of {made}; {100 * alone / made:.1f} % are found by the engine itself"
        bar = None if kind == "doubled" else LEAST_FOUND_PERCENT
        share = 100 * (alone + joined) / made
        lines.append(Line(f"{language}: {kind}, found or joined", share, "%", bar, True, note=note))
    return lines


def chance_lines(
    engine: PhraseEngine, phrases: Sequence[Phrase], name: str, texts: Sequence[str], bar: float | None
) -> list[Line]:
    remembered = [of(engine, phrase) for phrase in phrases]
    clean = [text for text in texts if not engine.read(text, "agent").hits]
    joined: Counter[tuple[str, str]] = Counter()
    spent = time.process_time()
    for first in range(0, len(remembered), MAX_STOPPED):
        for text in clean:
            for hit in engine.near(text, remembered[first : first + MAX_STOPPED]):
                joined[hit.phrase, text[slice(*hit.span)].lower()] += 1
    spent = time.process_time() - spent
    calls = len(clean) * -(-len(remembered) // MAX_STOPPED)
    print(f"{name}: {', '.join(f'{a} as {b} {n}×' for (a, b), n in joined.most_common(12)) or 'none'}")
    note = f"{joined.total()} of {len(remembered)} phrases × {len(clean)} turns"
    per_million = 1e6 * joined.total() / len(remembered) / len(clean)
    return [
        Line(f"{name}: joined by chance, per million", per_million, "", bar, note=note),
        Line(f"{name}: a turn compared with {MAX_STOPPED} phrases", 1e6 * spent / calls, "µs"),
    ]


def cost_lines(engine: PhraseEngine, phrases: Sequence[Phrase]) -> list[Line]:
    remembered = [of(engine, phrase) for phrase in phrases if len(phrase.phrase) > 3][:MAX_STOPPED]
    cut = "".join(phrase.spellings[0][:-1] for phrase in remembered)
    lines = []
    texts = {
        "ordinary": "您好, ok ",
        "phrases but their ends": cut,
        "one letter": cut[0],
        "phrases": remembered[0].spellings[0],
    }
    for name, text in texts.items():
        long = (text * MAX_CODE_POINTS)[:MAX_CODE_POINTS]
        engine.near(text, remembered)
        spent = time.process_time()
        engine.near(long, remembered)
        each = 1e6 * (time.process_time() - spent) / len(long)
        lines.append(Line(f"100,000 characters of {name}", each, "µs/ch", MOST_US_A_CHARACTER))
    times = 1_000_000
    spent = time.process_time()
    for _ in range(times):
        engine.near("您好，请问有什么可以帮您", ())
    lines.append(Line("nothing was stopped before", 1e6 * (time.process_time() - spent) / times, "µs", 1.0))
    return lines


def main() -> int:
    options = arguments(__doc__ or "").parse_args()
    engine = PhraseEngine(shipped_lexicon(), chinese_words)
    stops = [each for each in engine.lexicon.phrases if each.action != "allow" and each.speaker != "customer"]
    lines: list[Line] = []
    for language, path in CLEAN.items():
        mine = [phrase for phrase in stops if language_of(phrase.phrase) == language]
        lines += variant_lines(engine, mine, language)
        lines += chance_lines(engine, mine, path.stem, texts_of(path), MOST_JOINED_PER_MILLION)
        for other in ("cold_dev",) if language == "zh" else ("davidson_first_half",):
            texts = [row["text"] for row in rows_of(CHAT / f"{other}.jsonl") if not row["label"]]
            lines += chance_lines(engine, mine, f"{other}, not offensive", texts, None)
        lines += [Line(f"{language}: {line.what}", *_rest(line)) for line in cost_lines(engine, mine)]
    return conclude(lines, options.json)


def _rest(line: Line) -> tuple[float, str, float | None]:
    return line.value, line.unit, line.bar


if __name__ == "__main__":
    sys.exit(main())
