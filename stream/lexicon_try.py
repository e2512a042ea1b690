"""`tonewatch lexicon try`: a lexicon on messages of a file, and the report for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from detectors.phrases.engine import PhraseEngine
from detectors.phrases.trial import Trial
from detectors.values import Side
from stream.command import err, out, progress_bar

SHOWN_PHRASES = 20
EVERY_LINES = 1_000
"""So often the bar is moved on."""


def try_lexicon(engine: PhraseEngine, path: Path, default: Side, examples: int) -> Trial:
    """Read every message of a JSON Lines file. Raises OSError, ValueError naming the line and what to write."""
    trial = Trial(engine, examples)
    total = path.stat().st_size
    with progress_bar() as progressed:
        done = 0
        for number, line, size in _lines(path):
            done += size
            text, side, conversation = _message(line, f"{path}:{number}", default)
            trial.read(number, text, side, conversation)
            if number % EVERY_LINES == 0:
                progressed(path.name, done, total)
        progressed(path.name, total, total)
    if not trial.messages:
        raise ValueError(f'{path} has no message; write one a line: {{"text": "…", "side": "agent"}}')
    return trial


def _lines(path: Path) -> Iterator[tuple[int, str, int]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.decode("utf-8", "replace"), len(line)


def _message(line: str, where: str, default: Side) -> tuple[str, Side, str | None]:
    """Return (text, side, conversation) of a line: a record of `chat.messages` or its plainer form."""
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f'{where}: not JSON: {error.msg}; write {{"text": "…", "side": "agent"}}') from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f'{where}: no text; write {{"text": "…", "side": "agent"}}')
    sender = row.get("sender")
    said = row.get("side") or (sender.get("role") if isinstance(sender, dict) else None) or default
    side: Side = "customer" if said == "customer" else "bot" if said == "bot" else "agent"
    conversation = row.get("conversation_id")
    return row["text"], side, conversation if isinstance(conversation, str) else None


def print_trial(trial: Trial, json_file: Path | None) -> None:
    """Show the report, and write it as JSON where asked."""
    table = Table("side", "messages", "hit", "share")
    for side, counts in trial.sides.items():
        table.add_row(side, str(counts.messages), str(counts.hit), f"{counts.hit / counts.messages:.3%}")
    out.print(table)
    for action, count in trial.actions.most_common():
        out.print(f"{count} would be answered with {action}", highlight=False)
    phrases = trial.phrases()
    if phrases:
        found = Table("phrase", "id", "messages", "share", Column("where", overflow="fold"))
        for tried in phrases[:SHOWN_PHRASES]:
            places = "\n".join(
                f"{e.line}: {e.text[max(0, e.span[0] - 20) : e.span[0]]}【{e.text[slice(*e.span)]}】"
                f"{e.text[e.span[1] : e.span[1] + 20]}".replace("\n", " ")
                for e in tried.examples
            )
            share = f"{tried.messages / trial.messages:.3%}"
            found.add_row(tried.phrase.phrase, tried.phrase.id, str(tried.messages), share, places)
        out.print(found, markup=False)
    out.print(f"{len(phrases)} phrases were found, {trial.silent} were not", highlight=False)
    if json_file is not None:
        json_file.write_text(json.dumps(_as_json(trial), ensure_ascii=False, indent=2) + "\n", "utf-8")
        err.print(f"the report is in {json_file}", highlight=False, soft_wrap=True)


def _as_json(trial: Trial) -> dict[str, Any]:
    return {
        "messages": trial.messages,
        "hit": trial.hit,
        "actions": dict(trial.actions),
        "categories": dict(trial.categories),
        "phrases": [
            {
                "id": tried.phrase.id,
                "phrase": tried.phrase.phrase,
                "messages": tried.messages,
                "examples": [
                    {"line": e.line, "side": e.side, "text": e.text, "span": list(e.span), "how": e.how}
                    for e in tried.examples
                ],
            }
            for tried in trial.phrases()
        ],
    }
