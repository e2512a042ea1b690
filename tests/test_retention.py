from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.retention import DAY_SECONDS, Retention, cutoffs, preview, purge, purge_if_due
from alerts.store import cursors as cursor_store
from alerts.store.database import reading, writing
from alerts.store.retention import BATCH_ROWS, LEASE
from alerts.store.tables import (
    alerts,
    audit,
    baselines,
    conversations,
    cursors,
    hits,
    interceptions,
    messages,
    outbox,
    scores,
    sessions,
    users,
    violations,
)
from stream.operate import retention_of
from stream.settings import Settings
from tests.builders_alerts import database

NOW = 1_800_000_000.0
KEEP = Retention()


def ago(days: float) -> float:
    return NOW - days * DAY_SECONDS


async def add(engine: AsyncEngine, table: Table, *rows: dict[str, Any]) -> None:
    async with writing(engine) as connection:
        await connection.execute(table.insert(), list(rows))


async def left(engine: AsyncEngine, table: Table, column: str) -> Counter[Any]:
    async with reading(engine) as connection:
        return Counter((await connection.execute(select(table.c[column]))).scalars())


async def purge_all(engine: AsyncEngine, now: float = NOW) -> dict[str, int]:
    done: Counter[str] = Counter()
    async for purged in purge(engine, KEEP, now):
        done[purged.kind] += purged.rows
    return {kind: rows for kind, rows in done.items() if rows}


async def would_go(engine: AsyncEngine, now: float = NOW) -> dict[str, int]:
    return {each.kind: each.rows for each in await preview(engine, KEEP, now) if each.rows}


def message(id_: int, at: float, conversation: str = "c-1") -> dict[str, Any]:
    return {
        "id": id_,
        "platform": "test",
        "conversation_id": conversation,
        "message_id": f"m-{id_}",
        "text_sha256": b"%032d" % id_,
        "kind": "message",
        "side": "agent",
        "text": "您好",
        "arrived_at": at,
        "delivery": "pending",
        "action": "allow",
        "spans": [],
        "policy_version": 1,
        "verdict": b"{}",
    }


def finding(message_: int, at: float, **more: Any) -> dict[str, Any]:
    return {
        "message": message_,
        "platform": "test",
        "conversation_id": "c-1",
        "team": "refunds",
        "category": "abuse",
        "severity": "critical",
        "phrases": [],
        "attempt": 1,
        "at": at,
        "review": "pending",
        **more,
    }


def interception(message_: int, at: float, review: str, by: str = "us") -> dict[str, Any]:
    return finding(message_, at, review=review, intercepted_by=by, action="block")


def hit(message_: int, at: float) -> dict[str, Any]:
    words = {"phrase_id": "abuse.zh.001", "category": "abuse", "severity": "critical", "how": "exact"}
    return {"message": message_, "position": 0, "team": "refunds", "at": at, **words}


async def test_messages_go_with_their_findings_but_interceptions_wait_for_their_review(database_url: str) -> None:
    async with database(database_url) as engine:
        old, older, young = ago(181), ago(731), ago(179)
        ages = {1: old, 3: older, 4: older, 5: old, 6: older, 7: old, 8: young}
        await add(engine, messages, *(message(id_, at) for id_, at in ages.items()))
        await add(
            engine,
            interceptions,
            interception(3, older, "confirmed"),
            interception(4, older, "pending"),
            interception(5, old, "confirmed"),
            interception(6, older, "confirmed"),
            interception(6, older, "pending", by="platform"),
        )
        await add(engine, violations, finding(7, old), finding(8, young))
        await add(engine, hits, *(hit(id_, at) for id_, at in ages.items()))
        assert await would_go(engine) == {"messages": 2, "interceptions": 1}
        assert await purge_all(engine) == {"messages": 2, "interceptions": 1}
        stays = {4, 5, 6, 8}
        assert set(await left(engine, messages, "id")) == stays
        assert set(await left(engine, hits, "message")) == stays
        assert await left(engine, interceptions, "message") == Counter([4, 5, 6, 6])
        assert set(await left(engine, violations, "message")) == {8}
        assert await would_go(engine) == {}


async def test_what_came_out_of_order_goes_on_a_later_day(database_url: str) -> None:
    async with database(database_url) as engine:
        await add(engine, messages, message(1, ago(200)), message(2, ago(100)), message(3, ago(200)))
        assert await would_go(engine) == await purge_all(engine) == {"messages": 1}
        assert set(await left(engine, messages, "id")) == {2, 3}
        assert await purge_all(engine, NOW + 81 * DAY_SECONDS) == {"messages": 2}


async def test_closed_alerts_go_and_open_ones_stay(database_url: str) -> None:
    async with database(database_url) as engine:
        row = {
            "platform": "call",
            "team": "refunds",
            "kind": "call",
            "rule_id": "volume.raised",
            "severity": "warning",
            "audience": [],
            "state": "open",
            "version": 1,
            "opened_at": ago(400),
            "changed_at": ago(400),
            "last_at": ago(400),
            "evidence": {},
        }
        closed = {"old": ago(366), "young": ago(364), "open": None}
        await add(engine, alerts, *({**row, "conversation_id": n, "closed_at": at} for n, at in closed.items()))
        assert await would_go(engine) == await purge_all(engine) == {"alerts": 1}
        assert set(await left(engine, alerts, "conversation_id")) == {"young", "open"}


async def test_the_outbox_keeps_what_any_feed_has_still_to_tell(database_url: str) -> None:
    async with database(database_url) as engine:
        ages = {1: 40, 2: 35, 3: 31, 4: 29}
        rows = [{"kind": "alert", "key": "k", "team": "t", "body": {}, "seq": n, "at": ago(d)} for n, d in ages.items()]
        await add(engine, outbox, *rows)
        assert await would_go(engine) == await purge_all(engine) == {}, "no feed has begun"
        await add(engine, cursors, {"name": "feed:a", "seq": 4}, {"name": "feed:b", "seq": 2})
        # The purge's own row is no reader: its number is a time.
        await add(engine, cursors, {"name": LEASE, "seq": 0})
        assert await would_go(engine) == await purge_all(engine) == {"outbox": 2}
        async with writing(engine) as connection:
            await connection.execute(cursors.update().where(cursors.c.name == "feed:b").values(seq=4))
        assert await purge_all(engine) == {"outbox": 1}
        assert set(await left(engine, outbox, "seq")) == {4}


async def test_conversations_go_last_and_only_when_nothing_of_them_is_left(database_url: str) -> None:
    async with database(database_url) as engine:
        row = {"platform": "test", "kind": "chat", "team": "t", "started_at": ago(200), "memory": {}}
        ages = {"empty": 181, "young": 179, "emptied": 181, "watched": 181, "scored": 181}
        await add(engine, conversations, *({**row, "conversation_id": n, "last_at": ago(d)} for n, d in ages.items()))
        await add(engine, messages, message(1, ago(181), "emptied"), message(2, ago(179), "watched"))
        score = {"team": "t", "sides": {}, "slow": {}}
        await add(
            engine,
            scores,
            {**score, "conversation_id": "scored", "at_seconds": 5.0, "at": ago(80)},
            {**score, "conversation_id": "scored", "at_seconds": 10.0, "at": ago(91)},
        )
        assert await would_go(engine) == {"messages": 1, "scores": 1, "conversations": 1}
        assert await purge_all(engine) == {"messages": 1, "scores": 1, "conversations": 2}
        assert set(await left(engine, conversations, "conversation_id")) == {"young", "watched", "scored"}


async def test_sessions_that_are_over_old_audit_and_unused_baselines_go(database_url: str) -> None:
    async with database(database_url) as engine:
        person = {"id": 1, "login": "lin", "name": "Lin", "password": "x", "roles": [], "teams": [], "created_at": NOW}
        await add(engine, users, person)
        session = {"user": 1, "csrf": "x", "created_at": ago(1)}
        await add(
            engine,
            sessions,
            {**session, "token_sha256": b"over", "expires_at": NOW - 1},
            {**session, "token_sha256": b"not yet", "expires_at": NOW + 1},
        )
        entry = {"who": "lin", "what": "unmask", "detail": {}}
        await add(
            engine, audit, {**entry, "object": "old", "at": ago(1096)}, {**entry, "object": "young", "at": ago(1094)}
        )
        learned = {"metric": "volume.level_dbov", "value": -20.0, "seconds": 60.0}
        await add(
            engine,
            baselines,
            {**learned, "agent_id": "left", "at": ago(91)},
            {**learned, "agent_id": "here", "at": ago(1)},
        )
        assert await would_go(engine) == await purge_all(engine) == {"sessions": 1, "audit": 1, "baselines": 1}
        assert set(await left(engine, sessions, "token_sha256")) == {b"not yet"}
        assert set(await left(engine, audit, "object")) == {"young"}
        assert set(await left(engine, baselines, "agent_id")) == {"here"}


async def test_many_rows_go_in_small_transactions(database_url: str) -> None:
    async with database(database_url) as engine:
        await add(engine, messages, *(message(n, ago(200)) for n in range(1, 2 * BATCH_ROWS + 2)))
        taken = [each.rows async for each in purge(engine, KEEP, NOW) if each.kind == "messages"]
        assert taken == [BATCH_ROWS, BATCH_ROWS, 1]


async def test_one_process_purges_once_a_day(database_url: str) -> None:
    async with database(database_url) as engine:
        clock = [NOW]

        async def once(owner: str) -> int | None:
            return await purge_if_due(engine, KEEP, lambda: clock[0], owner)

        await add(engine, messages, *(message(n, ago(200)) for n in range(1, 1001)))
        done = await asyncio.gather(*(once(f"process {n}") for n in range(4)))
        assert sum(rows for rows in done if rows) == 1000
        assert sum(1 for rows in done if rows) == 1, "the others leave it to the first"
        await add(engine, messages, message(2000, ago(200)))
        clock[0] += DAY_SECONDS - 60
        assert await once("process 1") is None
        clock[0] += 60
        assert await once("process 2") == 1

        # A process that died while it purged holds the lease until it ends.
        clock[0] += DAY_SECONDS
        await add(engine, messages, message(3000, ago(200)))
        async with writing(engine) as connection:
            await cursor_store.take_lease(connection, LEASE, "dead", clock[0], 60.0)
        assert await once("process 3") is None
        clock[0] += 61
        assert await once("process 3") == 1


def test_every_kind_has_an_age_and_the_settings_are_the_defaults() -> None:
    assert retention_of(Settings()) == Retention()
    assert cutoffs(Retention(alerts_days=1), NOW)["alerts"] == NOW - DAY_SECONDS
    with pytest.raises(ValueError, match="keep_messages_days"):
        Settings(keep_messages_days=7)


async def test_the_command_says_what_would_go_and_then_deletes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from stream.cli import app

    url = f"sqlite:///{tmp_path / 'a.sqlite3'}"
    monkeypatch.setenv("TONEWATCH_DATABASE", url)
    monkeypatch.setenv("COLUMNS", "120")
    async with database(url) as engine:
        await add(engine, messages, message(1, 1_000_000_000.0), message(2, 1_000_000_001.0))
        said = await asyncio.to_thread(CliRunner().invoke, app, ["db", "purge", "--dry-run"])
        assert said.exit_code == 0, said.output
        [line] = [line for line in said.output.splitlines() if "messages" in line]
        assert line.split("│")[2].strip() == "2"
        assert "rows to be deleted" in said.output
        async with reading(engine) as connection:
            assert (await connection.execute(select(func.count()).select_from(messages))).scalar() == 2
        said = await asyncio.to_thread(CliRunner().invoke, app, ["db", "purge"])
        assert said.exit_code == 0, said.output
        assert not await left(engine, messages, "id")
