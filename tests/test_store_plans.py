"""What is asked again and again finds its rows by an index: no batch costs the more, the more was kept before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.judge import Incoming, incoming_message
from alerts.keep_calls import Baseline, CallRow, ScoreRow, keep_calls, read_baselines, read_calls
from alerts.moderate import moderate
from alerts.policy import compiled, read_files
from alerts.store import database as opened
from alerts.store.database import reading
from alerts.store.outbox_tail import changes_after
from alerts.store.tables import metadata
from alerts.sweep import sweep_once
from stream.records import parse_chat
from tests.builders_alerts import START, change, database
from tests.messages import traffic


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[dict[str, Any]]:
    """Every statement that is executed -> its parameters."""
    asked: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        asked[statement] = parameters[0] if many and isinstance(parameters, list) else parameters

    engines = (engine.sync_engine, opened._DIRECT[engine.sync_engine])
    for each in engines:
        event.listen(each, "before_cursor_execute", note)
    yield asked
    for each in engines:
        event.remove(each, "before_cursor_execute", note)


def scanned(file: Path, asked: dict[str, Any]) -> dict[str, str]:
    """Statement -> the table that it would read from one end to the other."""
    found = {}
    with sqlite3.connect(file) as plain:
        for statement, parameters in asked.items():
            if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
                continue
            for *_, step in plain.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                words = step.split()
                if words[0] == "SCAN" and words[1] in metadata.tables and "INDEX" not in words:
                    found[statement] = words[1]
    return found


def batch(count: int, seed: int) -> list[Incoming]:
    messages = (parse_chat(orjson.dumps(message), ()) for message in traffic(count, seed).messages)
    return [incoming_message(message, source="", arrived_at=START) for message in messages]


async def test_no_statement_of_a_batch_or_of_a_second_reads_a_whole_table(tmp_path: Path) -> None:
    file = tmp_path / "plans.sqlite3"
    policy = compiled(1, read_files())
    async with database(f"sqlite:///{file}") as engine:
        with statements(engine) as asked:
            for seed in (1, 2):
                await moderate(engine, policy, batch(100, seed), lambda: START)
            await moderate(engine, policy, batch(100, 2), lambda: START)  # all of it is known
            assert await sweep_once(engine, lambda: policy, START + 1000, lagging=False)
            await keep_calls(
                engine,
                1,
                calls=[CallRow("k-1", START, {"agent_id": "a-1", "team": "refunds"}, learned_agent=True)],
                changes=[change()],
                score_rows=[ScoreRow("k-1", 5.0, "a-1", "refunds", START, {}, {})],
                learned=[Baseline("a-1", "speech_rate.spm", 240.0, 60.0)],
                now=START,
            )
            assert await read_calls(engine, ["k-1"], START) and await read_baselines(engine, "a-1")
            assert await sweep_once(engine, lambda: policy, START + 1000, lagging=False), "no call has gone quiet"
            async with reading(engine) as connection:
                assert await changes_after(connection, 3, 10)
    tables = {name for name in metadata.tables if any(name in statement for statement in asked)}
    assert tables >= {"messages", "conversations", "alerts", "interceptions", "hits", "outbox", "scores", "baselines"}
    assert scanned(file, asked) == {}
