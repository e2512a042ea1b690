"""Which disguises of a phrase are found and which look-alikes are left alone, beside a plain lexicon in the same run.

`python benchmarks/phrase_recall.py [CASES…] [--pinyin off|full|mixed] [--json FILE]`; without a file the shared cases
are taken. A case has a JSON object a line: phrase, text, hit, kind, span ([start, end) in code points of the text,
null for a trap), tier (1 must, 2 should, 3 only told), and where it has them allow, aliases, context (earlier messages
of the same sender), context_other_sender, syntax. Each is read by a lexicon of its one phrase. Returns 1 where a bar
is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.lines import Line, arguments, conclude
from benchmarks.phrase_peers import PlainLexicon
from benchmarks.phrase_texts import CASES, language_of, rows_of
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.lexicon import Lexicon, Phrase, Pinyin
from detectors.phrases.memory import EMPTY

Spans = list[tuple[int, int]]

TIER_1_TRAPS_WRONG = 1
TIER_2_RIGHT = 0.9
UNKNOWN_SYNTAX = "single char"
"""`?` for one character is no part of an entry; such cases are told apart."""


@dataclass(frozen=True)
class Result:
    """One case and what was found of it; None where reading raised."""

    case: dict[str, Any]
    ours: Spans | None
    peer: Spans | None

    def right(self, spans: Spans | None) -> bool:
        return spans is not None and bool(spans) == self.case["hit"]

    def exact(self, spans: Spans | None) -> bool:
        return spans is not None and tuple(self.case["span"] or ()) in spans


def ours(case: dict[str, Any], pinyin: Pinyin) -> Spans:
    """Spans found in the last message, each sender with a memory of their own as in a conversation."""
    phrase = Phrase(
        id="policy.xx.001",
        phrase=case["phrase"],
        category="policy",
        aliases=tuple(case.get("aliases", ())),
        allow=tuple(case.get("allow", ())),
        pinyin=pinyin if language_of(case["phrase"]) == "zh" else "off",
    )
    engine = PhraseEngine(Lexicon((phrase,)), chinese_words)
    memory = other = EMPTY
    for text in case.get("context_other_sender", ()):
        other = engine.read(text, "customer", other).memory
    for text in case.get("context", ()):
        memory = engine.read(text, "agent", memory).memory
    return [hit.span for hit in engine.read(case["text"], "agent", memory).hits]


def peers(case: dict[str, Any]) -> Spans:
    return PlainLexicon([case["phrase"], *case.get("aliases", ())], case.get("allow", ())).spans(case["text"])


def result_of(case: dict[str, Any], pinyin: Pinyin) -> Result:
    found: list[Spans | None] = []
    for read in (lambda: ours(case, pinyin), lambda: peers(case)):
        try:
            found.append(read())
        except Exception as error:  # a case that raises is a wrong case, whatever it raised
            print(f"{type(error).__name__} in {case['phrase']!r}, {case['text']!r}: {error}", file=sys.stderr)
            found.append(None)
    return Result(case, *found)


def share(results: Sequence[Result]) -> tuple[float, float]:
    """Of some cases the share that is right: ours and the peer's."""
    right, peer = (sum(result.right(spans) for result, spans in pairs) for pairs in _both(results))
    return right / len(results), peer / len(results)


def _both(results: Sequence[Result]) -> tuple[list[tuple[Result, Spans | None]], list[tuple[Result, Spans | None]]]:
    return [(result, result.ours) for result in results], [(result, result.peer) for result in results]


def told_lines(name: str, results: Iterable[Result]) -> list[Line]:
    """Share of right hits and of right traps, without a bar."""
    lines = []
    for what, is_hit in (("hits", True), ("traps", False)):
        group = [result for result in results if result.case["hit"] == is_hit]
        if group:
            right, peer = share(group)
            note = f"{round(right * len(group))} of {len(group)}"
            lines.append(Line(f"{name}, {what}", right, peer=peer, note=note))
    return lines


def groups(results: Iterable[Result], *keys: str) -> list[tuple[str, list[Result]]]:
    def key(result: Result) -> tuple[str, ...]:
        values = result.case | {"language": language_of(result.case["phrase"])}
        return tuple(str(values[name]) for name in keys)

    in_order = sorted(results, key=key)
    return [(" ".join(names), list(group)) for names, group in groupby(in_order, key)]


def tier_lines(tier: int, results: Sequence[Result]) -> list[Line]:
    """What the tier is held to."""
    hits = [result for result in results if result.case["hit"]]
    traps = [result for result in results if not result.case["hit"]]
    lines = told_lines(f"tier {tier}", results)
    found, peer_found = ([result for result, spans in pairs if spans] for pairs in _both(hits))
    inexact = sum(not result.exact(result.ours) for result in found)
    peer_exact = sum(result.exact(result.peer) for result in peer_found)
    note = f"of {len(found)} found; the peer has {peer_exact} of {len(peer_found)} exact"
    spans = Line(f"tier {tier}, hits whose span is another", inexact, note=note)
    if tier == 1:
        missed = sum(not result.right(result.ours) for result in hits)
        wrong = sum(not result.right(result.ours) for result in traps)
        return [
            *lines,
            Line("tier 1, hits missed", missed, bar=0, peer=sum(not result.right(result.peer) for result in hits)),
            Line("tier 1, traps fallen into", wrong, bar=TIER_1_TRAPS_WRONG),
            Line(spans.what, inexact, bar=0, note=note),
        ]
    if tier == 2:
        # Without the peer in it: who finds nothing falls into no trap.
        return [
            *(
                Line(line.what, line.value, "", TIER_2_RIGHT, True, note=f"{line.note}; peer {line.peer:.3f}")
                for line in lines
            ),
            spans,
        ]
    return [*lines, spans]


def main() -> int:
    parser = arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", type=Path, metavar="CASES", default=[CASES])
    parser.add_argument("--pinyin", choices=("off", "full", "mixed"), default="mixed", help="of each Chinese phrase")
    given = parser.parse_args()
    cases = [case for path in given.cases for case in rows_of(path)]
    known = [case for case in cases if case.get("syntax") != UNKNOWN_SYNTAX]
    results = [result_of(case, given.pinyin) for case in known]
    for result in results:
        if not result.right(result.ours):
            case = result.case
            what = "missed" if case["hit"] else "fell for"
            print(f"tier {case['tier']} {what} {case['kind']}: {case['phrase']!r} in {case['text']!r}")
    lines: list[Line] = []
    for name, group in groups(results, "tier", "language", "kind"):
        lines += told_lines(f"tier {name}", group)
    for name, group in groups(results, "tier", "language"):
        lines += told_lines(f"tier {name}", group)
    for name, group in groups(results, "tier"):
        lines += tier_lines(int(name), group)
    if len(known) < len(cases):
        lines.append(Line("cases with `?` in the phrase, which is no part of an entry", len(cases) - len(known)))
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
