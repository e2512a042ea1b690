"""Kinds 6 and 7: the broker or the database is away and comes back with what it had."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.line import Bar, Line
from tests.faults.run import Place, Run, Say, run

AWAY_SECONDS = 30.0
STALL_SECONDS = 5.0
ABSENT_SECONDS = 12.0
"""Long enough for a worker that gives up to have been started several times."""


@asynccontextmanager
async def database_away(state: Run) -> AsyncIterator[None]:
    """Stop PostgreSQL, or lock the SQLite file from another process: this one."""
    server = state.place.postgres
    began = time.monotonic()
    if server is not None:
        await asyncio.to_thread(server.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(server.start)
    else:
        file = state.place.settings.database.removeprefix("sqlite:///")
        # Its own thread would make the connection unusable here, and BEGIN waits only for one short transaction.
        connection = sqlite3.connect(file, timeout=10, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()
    state.faults += 1
    state.excused.append((began, time.monotonic()))


@asynccontextmanager
async def broker_away(state: Run) -> AsyncIterator[None]:
    """kill -9 Kafka; it comes back on its port with its data."""
    server = state.place.kafka
    assert server is not None, "this fault is one of Apache Kafka's"
    began = time.monotonic()
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)
    state.faults += 1
    state.excused.append((began, time.monotonic()))


async def database(
    place: Place,
    messages: int,
    say: Say,
    *,
    away_seconds: float = AWAY_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> Line:
    """The database is away in the middle of the run."""

    async def fault(state: Run) -> None:
        await state.share(0.2)
        async with database_away(state):
            await asyncio.sleep(away_seconds)

    return await run(
        place,
        f"7 database away {away_seconds:g} s",
        messages=messages,
        per_second=messages / (away_seconds * 2),
        fault=fault,
        bar=Bar(stall_seconds, since="it is back"),
        say=say,
    )


async def broker(place: Place, messages: int, say: Say) -> Line:
    """The broker is killed in the middle of the run."""

    async def fault(state: Run) -> None:
        await state.share(0.2)
        async with broker_away(state):
            await asyncio.sleep(AWAY_SECONDS)

    return await run(
        place,
        f"6 broker away {AWAY_SECONDS:g} s",
        messages=messages,
        per_second=messages / (AWAY_SECONDS * 2),
        fault=fault,
        bar=Bar(STALL_SECONDS, since="it is back"),
        say=say,
    )


async def broker_absent(place: Place, messages: int, say: Say) -> Line:
    """The workers are started before there is a broker, and the first message is there when it comes."""

    async def before(state: Run) -> None:
        async with broker_away(state):
            await asyncio.sleep(ABSENT_SECONDS)

    async def nothing_more(_: Run) -> None:
        pass

    return await run(
        place,
        "6 broker absent at start",
        messages=messages,
        per_second=100.0,
        before=before,
        fault=nothing_more,
        bar=Bar(STALL_SECONDS, since="it is back"),
        is_published_before_ready=True,
        say=say,
    )
