from __future__ import annotations

import asyncio
import time

from sqlalchemy import text

from alerts.config import DatabaseConfig
from alerts.store.database import IDLE_TIMEOUT_SECONDS, open_engine, writing


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
