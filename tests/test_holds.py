from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.store import holds as store
from alerts.store.database import reading, writing
from alerts.store.holds import GONE_SECONDS, Hold
from alerts.store.tables import holds
from tests.builders_alerts import database
from tests.builders_web import NOW, outsider, running


def hold(worker: str, topic: str = "chat.messages", seen_at: float = NOW) -> Hold:
    error = "json: not JSON: unexpected character"
    return Hold(topic, worker, NOW - 100, "200 records in a row cannot be used", f"{topic}:3:1234", error, seen_at)


async def put(engine: AsyncEngine, *rows: Hold) -> None:
    async with writing(engine) as connection:
        for row in rows:
            await store.put(connection, row)


async def test_a_release_is_shared_by_the_workers_that_hold_the_topic(database_url: str) -> None:
    async with database(database_url) as engine:
        await put(engine, *(hold(f"chat/{n}") for n in range(3)), hold("audio/0", "call.events"))
        async with writing(engine) as connection:
            released = await store.release(connection, "chat.messages", 1000, "lin", NOW)
        assert {each.worker for each in released} == {"chat/0", "chat/1", "chat/2"}
        async with reading(engine) as connection:
            rows = [row for n in range(3) for row in await store.of_worker(connection, f"chat/{n}")]
            assert [each.topic for each in await store.held(connection, NOW)] == ["call.events"]
        assert sorted(row.allowance for row in rows) == [333, 333, 334]
        assert {(row.released_by, row.released_at) for row in rows} == {("lin", NOW)}
        async with writing(engine) as connection:
            assert await store.release(connection, "chat.messages", 1000, "lin", NOW) == [], "it is held no longer"


async def test_held_again_after_a_release_is_held(database_url: str) -> None:
    async with database(database_url) as engine:
        await put(engine, hold("chat/0"))
        async with writing(engine) as connection:
            await store.release(connection, "chat.messages", 1000, "lin", NOW)
            await store.spend(connection, "chat.messages", "chat/0", 40)
            [row] = await store.of_worker(connection, "chat/0")
            assert row.allowance == 40
            await store.put(connection, hold("chat/0"))
            assert await store.held(connection, NOW) == [hold("chat/0")]


async def test_a_worker_that_is_gone_holds_nothing(database_url: str) -> None:
    async with database(database_url) as engine:
        await put(engine, hold("chat/gone", seen_at=NOW - GONE_SECONDS - 1), hold("chat/here"))
        async with writing(engine) as connection:
            assert [each.worker for each in await store.held(connection, NOW)] == ["chat/here"]
            await store.renew(connection, "chat/gone", NOW)
            assert len(await store.held(connection, NOW)) == 2


async def test_the_web_process_tells_of_a_hold_and_stays_ready(database_url: str) -> None:
    async with database(database_url) as engine:
        await put(engine, hold("chat/0"))
        async with running(engine) as app, outsider(app) as client:
            # The pages' own clock tells whether the worker is alive.
            async with writing(engine) as connection:
                await connection.execute(update(holds).values(seen_at=app.state.web.now()))
            answer = await client.get("/readyz")
        assert answer.json()["holds"] == [
            "chat/0 holds chat.messages: 200 records in a row cannot be used, at last chat.messages:3:1234 "
            "(json: not JSON: unexpected character). Mend what publishes them, then: "
            "tonewatch rejects release chat.messages"
        ]
        assert not any("holds" in problem for problem in answer.json()["problems"])
