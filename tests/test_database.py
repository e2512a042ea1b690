from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from alerts.config import DatabaseConfig
from alerts.store.database import IDLE_TIMEOUT_SECONDS, open_engine, said, writing
from alerts.store.messages import adding
from alerts.store.round_trip import together
from stream.operate import upgrade_database
from stream.settings import Settings


async def test_a_worker_that_falls_asleep_in_a_transaction_gives_its_locks_back(postgres_url: str) -> None:
    asleep, successor = (open_engine(DatabaseConfig(postgres_url, "")) for _ in range(2))
    async with writing(successor) as connection:
        await connection.execute(text("CREATE TABLE t AS SELECT 1 AS id"))
    sleeper = await asleep.connect()
    await sleeper.begin()
    await sleeper.execute(text("SELECT * FROM t FOR UPDATE"))
    began = time.monotonic()
    async with asyncio.timeout(IDLE_TIMEOUT_SECONDS + 5), writing(successor) as connection:
        await connection.execute(text("SELECT * FROM t FOR UPDATE"))
    assert time.monotonic() - began > IDLE_TIMEOUT_SECONDS - 1, "the lock was not held at all"
    await sleeper.invalidate()
    await sleeper.close()
    for engine in (asleep, successor):
        await engine.dispose()


SECRET = "geheim-4711"


async def refusal(url: str, **wrong: Any) -> str:
    """What is said of a message that the database does not take."""
    await upgrade_database(Settings(database=url))
    engine = open_engine(DatabaseConfig(url))
    row = {name: "x" for name in ("platform", "conversation_id", "message_id", "kind", "side", "delivery", "action")}
    row |= {"text_sha256": b"1", "text": SECRET, "arrived_at": 1.0, "spans": [], "policy_version": 1, "verdict": b"{}"}
    with pytest.raises(DBAPIError) as refused:
        async with writing(engine) as connection:
            await together(connection, adding(connection, [row | wrong]))
    await engine.dispose()
    return said(refused.value)


async def test_an_error_tells_nothing_of_the_row_that_was_refused(database_url: str) -> None:
    told = await refusal(database_url, side=None)
    assert "side" in told and SECRET not in told


async def test_an_error_tells_nothing_of_an_argument_that_is_none(postgres_url: str) -> None:
    told = await refusal(postgres_url, text=4711, sender_id=SECRET)
    assert "argument" in told and SECRET not in told and "4711" not in told
