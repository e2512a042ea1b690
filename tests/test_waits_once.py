from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sqlalchemy import select

from alerts.store.database import open_engine, writing
from alerts.store.tables import alerts, conversations, outbox
from stream.settings import Settings
from stream.worker import database_config
from tests.workers import WebProcess, producer, rows, until_rows, workers

WAITING = 30
MOVED_SECONDS = 56.0
"""So far the messages' arrival is moved back: the waits are over some seconds from then, not at once."""
REPLY_ALERTS = select(alerts).where(alerts.c.rule_id.startswith("reply."))


def message(name: str, number: int, role: str) -> dict[str, Any]:
    return {
        "conversation_id": name, "message_id": f"{name}-{number}", "platform": "test", "text": f"第 {number} 句",
        "sender": {"id": f"{role}-{name}", "role": role, "team": "refunds"},
        "delivery": "delivered",
    }  # fmt: skip


async def move_back(settings: Settings, names: Collection[str]) -> dict[str, float]:
    """Let the messages of these chats have come earlier; return since when each customer waits."""
    engine = open_engine(database_config(settings))
    c = conversations.c
    since = {}
    try:
        async with writing(engine) as connection:
            for row in (await connection.execute(select(conversations).where(c.conversation_id.in_(names)))).all():
                waits = row.memory["waits"]
                waits["waiting_since"] -= MOVED_SECONDS
                since[row.conversation_id] = waits["waiting_since"]
                assert row.due_at is not None
                change = conversations.update().where(c.conversation_id == row.conversation_id)
                earlier = {"memory": {**row.memory, "waits": waits}, "due_at": row.due_at - MOVED_SECONDS}
                await connection.execute(change.values(**earlier))
    finally:
        await engine.dispose()
    return since


async def test_who_is_not_answered_raises_one_alert_at_60_s_though_nothing_comes(
    kafka_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    settings = kafka_settings.model_copy(update={"database": database_url})
    waiting = [f"w-{number}" for number in range(WAITING)]
    webs = [WebProcess(settings, number, tmp_path) for number in range(2)]
    async with workers(settings, tmp_path, chat=2), producer(settings) as send:
        try:
            for web in webs:
                web.start()
            for web in webs:
                await web.until_ready()
            for name in (*waiting, "answered", "just-now"):
                await send("chat.messages", name, message(name, 0, "agent"))  # a greeting: whose chat it is
                await send("chat.messages", name, message(name, 1, "customer"))
            await send("chat.messages", "answered", message("answered", 2, "agent"))
            due = conversations.c.due_at
            await until_rows(settings, select(conversations).where(due.is_not(None)), count=WAITING + 1)
            await until_rows(settings, select(conversations).where(due.is_(None)))

            since = await move_back(settings, waiting)
            assert set(since) == set(waiting)
            assert await rows(settings, REPLY_ALERTS) == []
            first_due = min(since.values()) + 60
            assert first_due > time.time(), (
                "the machine was so slow that the waits were over before they were looked at"
            )
            await until_rows(settings, REPLY_ALERTS, seconds=MOVED_SECONDS / 2, count=WAITING)
            assert time.time() >= first_due
            await asyncio.sleep(4)  # each process sweeps four more times

            raised = await rows(settings, REPLY_ALERTS)
            assert Counter(row["conversation_id"] for row in raised) == Counter(waiting)
            for row in raised:
                assert (row["rule_id"], row["state"], row["version"]) == ("reply.first", "open", 1)
                # Times of the database are doubles of about 1e9: they agree to a microsecond.
                assert abs(row["opened_at"] - (since[row["conversation_id"]] + 60)) < 1e-5
                # Raised by the first sweep after it was due: one a second, and a busy machine.
                assert 0 <= row["changed_at"] - row["opened_at"] < 5
            told = await rows(settings, select(outbox))
            alerts_told = Counter(row["key"] for row in told if row["kind"] == "alert")
            assert alerts_told == Counter(f"alert:{row['id']}" for row in raised)
            reminded = Counter(row["agent_id"] for row in told if row["kind"] == "reminder")
            assert reminded == Counter(f"agent-{name}" for name in waiting)

            for name in waiting:
                await send("chat.messages", name, message(name, 2, "agent"))
            over = REPLY_ALERTS.where(alerts.c.closed_at.is_not(None))
            assert {row["version"] for row in await until_rows(settings, over, count=WAITING)} == {2}
            assert len(await rows(settings, REPLY_ALERTS)) == WAITING
        except BaseException:
            for web in webs:
                print(web.output[-3000:])
            raise
        finally:
            for web in webs:
                web.stop()
