"""How often the shipped packs hit ordinary service turns, and what a word list is worth on labelled chats.

`python benchmarks/phrase_precision.py [CHATS…] [--json FILE]`; without a file the shared chats are taken. A message has
a JSON object a line: text, label (1 offensive, 0 not), lang. A file without a label 1 is ordinary talk: every message
hit is listed, and its share held to a bar. A file with both is read with a public list of its language, by our engine
and by a plain Aho-Corasick automaton, and with the shipped packs. Returns 1 where a bar is missed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.lines import Line, arguments, conclude
from benchmarks.phrase_peers import PlainLexicon
from benchmarks.phrase_texts import CHAT, as_lexicon, language_of, list_phrases, rows_of, shipped_lexicon
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine

MOST_HIT_PERCENT = {"en": 0.02, "zh": 0.1}
LIST = {"en": "surge_profanity_en", "zh": "ldnoobw_zh_en"}
"""The list with the best precision of each language among those at hand."""

Says = Callable[[str], Any]
"""Anything true where a message is taken for one with a prohibited phrase."""


def says(engine: PhraseEngine) -> Says:
    # As the agent's words, for which the packs are written, whoever said them: the harder question.
    return lambda text: engine.read(text, "agent").hits


def language_of_chat(rows: Sequence[dict[str, Any]]) -> str:
    return Counter(row.get("lang") or language_of(row["text"]) for row in rows).most_common(1)[0][0]


def ordinary_lines(name: str, rows: Sequence[dict[str, Any]], packs: PhraseEngine) -> list[Line]:
    language = language_of_chat(rows)
    plain = PlainLexicon([spelling for phrase in packs.lexicon.phrases for spelling in phrase.spellings])
    hit = peer_hit = 0
    for row in rows:
        hits = packs.read(row["text"], "agent").hits
        hit += bool(hits)
        peer_hit += bool(plain.spans(row["text"]))
        for found in hits:
            start, end = found.span
            print(f"{name}: {found.phrase_id} {found.phrase!r} as {row['text'][start:end]!r} in {row['text']!r}")
    note = f"{hit} of {len(rows)}; the peer has the same phrases"
    bar = MOST_HIT_PERCENT.get(language)
    share, peer = (100 * number / len(rows) for number in (hit, peer_hit))
    return [Line(f"{name}: messages hit by the shipped packs", share, "%", bar, peer=peer, note=note)]


def _figures(rows: Sequence[dict[str, Any]], finds: Says) -> dict[str, float]:
    counts = Counter((bool(row["label"]), bool(finds(row["text"]))) for row in rows)
    right, wrong, missed = counts[True, True], counts[False, True], counts[True, False]
    precision, recall = right / max(1, right + wrong), right / (right + missed)
    return {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / max(precision + recall, 1e-9),
        "share of clean messages hit": wrong / max(1, wrong + counts[False, False]),
    }


def labelled_lines(name: str, rows: Sequence[dict[str, Any]], packs: PhraseEngine) -> list[Line]:
    chosen = LIST[language_of_chat(rows)]
    phrases = list(list_phrases(chosen))
    ours = _figures(rows, says(PhraseEngine(as_lexicon(phrases), chinese_words)))
    peer = _figures(rows, PlainLexicon(phrases).spans)
    shipped = _figures(rows, says(packs))
    return [
        *(Line(f"{name}, {chosen}: {what}", value, peer=peer[what]) for what, value in ours.items()),
        *(Line(f"{name}, shipped packs: {what}", value) for what, value in shipped.items()),
    ]


def main() -> int:
    parser = arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("chats", nargs="*", type=Path, metavar="CHATS", default=sorted(CHAT.glob("*.jsonl")))
    given = parser.parse_args()
    packs = PhraseEngine(shipped_lexicon(), chinese_words)
    lines: list[Line] = []
    for path in given.chats:
        rows = rows_of(path)
        labelled = any(row.get("label") for row in rows)
        lines += (labelled_lines if labelled else ordinary_lines)(path.stem, rows, packs)
    if not lines:
        raise SystemExit(
            "no chats: name files of messages, or put the shared test data at ../shared/data of the project"
        )
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
