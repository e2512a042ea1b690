from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.store.database import reading, writing
from alerts.store.outbox import OutboxRow, append
from alerts.store.tables import outbox
from tests.builders_alerts import START, database


def _row(name: str) -> OutboxRow:
    return OutboxRow("alert", f"alert:{name}", "refunds", "a-1", {"name": name}, START)


async def _seen(engine: AsyncEngine) -> list[Any]:
    async with reading(engine) as connection:
        found = await connection.execute(select(outbox).order_by(outbox.c.seq))
        return list(found.all())


async def test_rows_are_numbered_in_the_order_they_are_given(database_url: str) -> None:
    async with database(database_url) as engine:
        async with writing(engine) as connection:
            await append(connection, [_row("1"), _row("2")])
            await append(connection, [])
            await append(connection, [_row("3")])
        rows = await _seen(engine)
        assert [row.body["name"] for row in rows] == ["1", "2", "3"]
        assert sorted({row.seq for row in rows}) == [row.seq for row in rows]


async def test_a_transaction_that_fails_tells_nothing(database_url: str) -> None:
    async with database(database_url) as engine:
        try:
            async with writing(engine) as connection:
                await append(connection, [_row("1")])
                raise RuntimeError("the rest failed")
        except RuntimeError:
            pass
        assert await _seen(engine) == []


async def test_a_commit_that_is_held_back_is_not_overtaken(database_url: str) -> None:
    async with database(database_url) as engine:
        has_number, may_commit = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            async with writing(engine) as connection:
                await append(connection, [_row("slow")])
                has_number.set()
                await may_commit.wait()

        async def quick() -> None:
            async with writing(engine) as connection:
                await append(connection, [_row("quick")])

        first = asyncio.create_task(slow())
        await has_number.wait()
        second = asyncio.create_task(quick())
        await asyncio.sleep(0.3)
        assert not second.done(), "the second writer must wait for the first one's commit"
        assert await _seen(engine) == []
        may_commit.set()
        await asyncio.gather(first, second)
        assert [row.body["name"] for row in await _seen(engine)] == ["slow", "quick"]


async def test_postgres_calls_the_readers_when_it_is_committed(postgres_url: str) -> None:
    async with database(postgres_url) as engine, engine.connect() as listener:
        called = asyncio.Event()
        driver: Any = (await listener.get_raw_connection()).driver_connection

        def on_call(*_: object) -> None:
            called.set()

        await driver.add_listener("outbox", on_call)
        async with writing(engine) as connection:
            await append(connection, [_row("1")])
            await asyncio.sleep(0.2)
            assert not called.is_set(), "nobody is called for what is not committed"
        await asyncio.wait_for(called.wait(), 5)
        await driver.remove_listener("outbox", on_call)
