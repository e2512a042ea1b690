"""Two chat workers on Kafka 4, killed again and again: every row once, every verdict out."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from alerts.store.database import open_engine, reading
from stream.settings import Settings
from stream.worker import database_config
from tests.workers import Listener, Worker, producer, workers

MESSAGES = 2000
KILLS = 10
EVERY = 5
"""One message in five is to be blocked, every fourth of those as two halves of a phrase."""


LAST_VERDICT_SECONDS = 60


def a_message(number: int) -> dict[str, Any]:
    return {
        "conversation_id": f"c-{number % 40}",
        "message_id": f"m-{number}",
        "platform": "test",
        "sender": {"id": f"a-{number % 40}", "role": "agent", "team": "refunds"},
        "text": "您这个人就是骗子" if number % EVERY == 0 else f"好的，第 {number} 号订单已经查到了",
    }


def the_messages() -> tuple[list[dict[str, Any]], set[str]]:
    """Messages in order, and the ids of those that must be blocked."""
    messages = [a_message(number) for number in range(MESSAGES)]
    blocked = {m["message_id"] for m in messages if "骗子" in m["text"]}
    halves = 0
    for first, second in zip(messages, messages[40:], strict=False):
        if first["message_id"] in blocked or second["message_id"] in blocked or halves == 30:
            continue
        if int(first["message_id"][2:]) % 7 == 1 and not first["text"].startswith(("骗", "子")):
            # Forty messages apart is the next one of the same conversation.
            first["text"], second["text"] = "骗", "子"
            blocked.add(second["message_id"])
            halves += 1
    assert halves == 30
    return messages, blocked


async def rows(settings: Settings, query: str) -> list[Any]:
    engine = open_engine(database_config(settings))
    try:
        async with reading(engine) as connection:
            return [tuple(row) for row in await connection.execute(text(query))]
    finally:
        await engine.dispose()


@pytest.mark.timeout(240)
async def test_every_message_once_and_every_verdict_out(
    kafka_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    settings = kafka_settings.model_copy(update={"database": database_url, "session_timeout_seconds": 6.0})
    messages, must_be_blocked = the_messages()
    chance = random.Random(7)

    async def kill_again_and_again(running: list[Worker]) -> None:
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.3, 1.2))
            victim = chance.choice(running)
            await asyncio.to_thread(victim.kill)
            victim.start()
            await victim.until_ready()

    async with workers(settings, tmp_path, chat=2) as running, Listener(settings, "chat.verdicts") as verdicts:
        async with producer(settings) as send:
            killing = asyncio.create_task(kill_again_and_again(running))
            for start in range(0, MESSAGES, 20):
                for message in messages[start : start + 20]:
                    await send("chat.messages", message["conversation_id"], message)
                await asyncio.sleep(0.05)
            await killing
        wanted = {m["message_id"] for m in messages}
        end = time.monotonic() + LAST_VERDICT_SECONDS
        while missing := wanted - {b["message_id"] for b in verdicts.bodies}:
            if time.monotonic() > end:
                kept_rows = {name for (name,) in await rows(settings, "SELECT message_id FROM messages")}
                pytest.fail(
                    f"{len(missing)} verdicts missing, {len(missing - kept_rows)} of them never kept, "
                    f"for example {sorted(missing)[:5]}\n" + "\n".join(worker.output[-3000:] for worker in running)
                )
            await asyncio.sleep(0.2)
        said: dict[str, set[bytes]] = {}
        for record, body in zip(verdicts.records, verdicts.bodies, strict=True):
            said.setdefault(body["message_id"], set()).add(record.value)
        assert {name for name, values in said.items() if len(values) > 1} == set(), "a repeat said something else"
        assert {b["message_id"] for b in verdicts.bodies if b["action"] == "block"} == must_be_blocked

    kept = Counter(name for (name,) in await rows(settings, "SELECT message_id FROM messages"))
    assert set(kept) == wanted
    assert set(kept.values()) == {1}
    logged = Counter(
        name
        for (name,) in await rows(
            settings, "SELECT m.message_id FROM interceptions i JOIN messages m ON m.id = i.message"
        )
    )
    assert logged == Counter(must_be_blocked)
    attempts = dict(await rows(settings, "SELECT agent_id, max(attempt) FROM interceptions GROUP BY agent_id"))
    made = Counter(f"a-{int(name[2:]) % 40}" for name in must_be_blocked)
    assert attempts == dict(made), "attempts counted are not attempts made"
    open_alerts = await rows(
        settings, "SELECT conversation_id, count(*) FROM alerts WHERE rule_id = 'phrase.prohibited' GROUP BY 1"
    )
    assert dict(open_alerts) == {f"c-{agent[2:]}": 1 for agent in made}
