from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.alert import Change, Conversation
from alerts.engine import judge_reply, next_due
from alerts.rules import RuleSet
from alerts.store.alerts import apply_changes
from alerts.store.database import insert, reading, writing
from alerts.store.tables import alerts, conversations, outbox
from alerts.sweep import sweep_once
from detectors.timing import Waits, hear
from tests.builders_alerts import CALL, CHAT, START, change, database, rules_of

RULES = rules_of(
    'id = "reply.first"\nno_reply_seconds = 60\nreply = "first"',
    'id = "reply.later"\nno_reply_seconds = 120\nreply = "later"',
)


@dataclass(frozen=True)
class FakePolicy:
    version: int = 3
    rules: RuleSet = RULES


async def _sweep(engine: AsyncEngine, now: float, lagging: bool = False) -> int:
    return await sweep_once(engine, FakePolicy, now, lagging=lagging)


async def _talk(engine: AsyncEngine, who: Conversation, at: float, waits: Waits | None = None) -> None:
    memory = {"speakers": {"agent:a-1": "kept"}, "waits": waits.to_json()} if waits else {}
    row = {
        "platform": who.platform,
        "conversation_id": who.conversation_id,
        "kind": who.kind,
        "agent_id": who.agent_id,
        "team": who.team,
        "started_at": START,
        "last_at": at,
        "memory": memory,
        "due_at": next_due(RULES, who, waits) if waits else None,
    }
    async with writing(engine) as connection:
        statement = insert(connection, conversations).values(row)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["platform", "conversation_id"], set_=row)
        )


async def _apply(engine: AsyncEngine, *changes: Change) -> None:
    async with writing(engine) as connection:
        await apply_changes(connection, changes, 3, START)


async def _alerts(engine: AsyncEngine) -> list[Any]:
    async with reading(engine) as connection:
        return list((await connection.execute(select(alerts).order_by(alerts.c.id))).all())


WAITING, _ = hear(Waits(), "customer", START, True)


async def test_a_wait_is_raised_when_it_is_due_and_once(database_url: str) -> None:
    async with database(database_url) as engine:
        await _talk(engine, CHAT, START, WAITING)
        assert await _sweep(engine, START + 59.9) == 0
        assert await _sweep(engine, START + 60.4) == 1
        assert await _sweep(engine, START + 61.4) == 0
        [row] = await _alerts(engine)
        assert (row.rule_id, row.state, row.opened_at, row.policy_version) == ("reply.first", "open", START + 60, 3)
        assert row.evidence["metric"] == "timing.first_reply_seconds"
        async with reading(engine) as connection:
            kept = (await connection.execute(select(conversations))).one()
        assert kept.due_at is None
        assert kept.memory["speakers"] == {"agent:a-1": "kept"}, "the sweep must leave the rest of the memory alone"


async def test_a_reply_ends_it_and_a_later_wait_has_its_own_limit(database_url: str) -> None:
    async with database(database_url) as engine:
        await _talk(engine, CHAT, START, WAITING)
        await _sweep(engine, START + 61)
        await _apply(engine, *judge_reply(RULES, CHAT, START + 70))
        waits, _ = hear(WAITING, "agent", START + 70, True)
        waits, _ = hear(waits, "customer", START + 80, True)
        await _talk(engine, CHAT, START + 80, waits)
        assert await _sweep(engine, START + 80 + 119) == 0
        assert await _sweep(engine, START + 80 + 120) == 1
        assert [(row.rule_id, row.state) for row in await _alerts(engine)] == [
            ("reply.first", "ended"),
            ("reply.later", "open"),
        ]


async def test_a_reply_that_was_underway_ends_an_alert_that_is_younger(database_url: str) -> None:
    async with database(database_url) as engine:
        await _talk(engine, CHAT, START, WAITING)
        await _sweep(engine, START + 62)
        await _apply(engine, *judge_reply(RULES, CHAT, START + 59))  # arrived in time, was read late
        assert [row.state for row in await _alerts(engine)] == ["ended"]


async def test_what_a_person_dismissed_is_not_asked_again_about_the_same_wait(database_url: str) -> None:
    async with database(database_url) as engine:
        await _talk(engine, CHAT, START, WAITING)
        await _sweep(engine, START + 61)
        async with writing(engine) as connection:
            await connection.execute(alerts.update().values(state="dismissed", closed_at=START + 65))
        for seconds in range(66, 70):
            assert await _sweep(engine, START + seconds) == 0


async def test_no_wait_is_raised_while_the_topic_lags(database_url: str) -> None:
    async with database(database_url) as engine:
        await _talk(engine, CHAT, START, WAITING)
        assert await _sweep(engine, START + 61, lagging=True) == 0
        assert await _sweep(engine, START + 62, lagging=False) == 1


async def test_many_sweeps_at_once_raise_once(database_url: str) -> None:
    async with database(database_url) as engine:
        chats = [replace(CHAT, conversation_id=f"c-{n}") for n in range(20)]
        for chat in chats:
            await _talk(engine, chat, START, WAITING)
        for _ in range(3):
            await asyncio.gather(*(_sweep(engine, START + 61) for _ in range(4)))
        rows = await _alerts(engine)
        assert sorted(row.conversation_id for row in rows) == sorted(chat.conversation_id for chat in chats)
        assert {row.version for row in rows} == {1}
        async with reading(engine) as connection:
            assert len((await connection.execute(select(outbox))).all()) == 20


async def test_a_chat_that_is_being_judged_is_left_to_the_next_sweep(postgres_url: str) -> None:
    async with database(postgres_url) as engine:
        await _talk(engine, CHAT, START, WAITING)
        await _talk(engine, replace(CHAT, conversation_id="c-2"), START, WAITING)
        async with writing(engine) as connection:
            mine = select(conversations).where(conversations.c.conversation_id == "c-1").with_for_update()
            await connection.execute(mine)
            assert await asyncio.wait_for(_sweep(engine, START + 61), 5) == 1
        assert await _sweep(engine, START + 62) == 1
        assert [row.conversation_id for row in await _alerts(engine)] == ["c-2", "c-1"]


async def test_alerts_on_hits_end_with_their_cooldown_even_while_the_topic_lags(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(conversation=CHAT, rule_id="phrase.prohibited", cooldown_seconds=600))
        assert await _sweep(engine, START + 599) == 0
        assert await _sweep(engine, START + 600, lagging=True) == 1
        assert [row.state for row in await _alerts(engine)] == ["ended"]


async def test_alerts_of_a_call_gone_quiet_end(database_url: str) -> None:
    async with database(database_url) as engine:
        living = replace(CALL, conversation_id="k-2")
        await _talk(engine, CALL, START)
        await _talk(engine, living, START + 60)
        on_hits = change(rule_id="phrase.prohibited", cooldown_seconds=600)
        await _apply(engine, change(), change(conversation=living), on_hits)
        await _apply(engine, change(conversation=replace(CALL, conversation_id="k-nobody-knows")))
        assert await _sweep(engine, START + 89) == 0
        assert await _sweep(engine, START + 91) == 2
        still = {(row.conversation_id, row.rule_id) for row in await _alerts(engine) if row.closed_at is None}
        assert still == {("k-2", "volume.raised"), ("k-1", "phrase.prohibited")}


async def test_many_sweeps_at_once_end_an_alert_once(database_url: str) -> None:
    async with database(database_url) as engine:
        many = [change(conversation=replace(CALL, conversation_id=f"k-{n}")) for n in range(20)]
        await _apply(engine, *many)
        done = await asyncio.gather(*(_sweep(engine, START + 91) for _ in range(4)))
        assert sum(done) == 20
        assert {(row.state, row.version) for row in await _alerts(engine)} == {("ended", 2)}
