"""Follows the outbox and hands every committed change on, in order, as soon as it is there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alerts.store.database import reading
from alerts.store.outbox_tail import OutboxItem, changes_after, last_seq

CHANNEL = "outbox"
"""The PostgreSQL channel that a writer notifies when it commits."""
# SQLite has nobody who calls: asking costs about a millisecond, and this is the delay of an alert.
SQLITE_POLL_SECONDS = 0.05
# PostgreSQL calls; asking is for the notification that got lost with its connection.
POSTGRES_POLL_SECONDS = 1.0
# A busy house calls at every commit: the first call is answered at once, those that follow it together.
PAUSE_SECONDS = 0.05
# Pages are served between two batches: more than one page may have waiting (`hub.QUEUE_LENGTH`) would drop them all.
BATCH = 100


class Relay:
    """Reads the outbox after a number of its own, which begins at the newest change."""

    def __init__(
        self,
        engine: AsyncEngine,
        begin: Callable[[int], None],
        deliver: Callable[[Sequence[OutboxItem]], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._begin = begin
        self._deliver = deliver
        self._postgres = engine.dialect.name == "postgresql"
        self._poll_seconds = POSTGRES_POLL_SECONDS if self._postgres else SQLITE_POLL_SECONDS
        self._called = asyncio.Event()
        self.seq: int | None = None
        """Number of the newest change that was handed on."""
        self._read_at = time.monotonic()

    def behind_seconds(self) -> float:
        """Return how long ago the outbox was last read to its end, beyond the usual pause between two readings."""
        return max(0.0, time.monotonic() - self._read_at - self._poll_seconds)

    async def run(self) -> None:
        """Follow the outbox until cancelled. Raises what the database raises; run again, it goes on where it was."""
        if not self._postgres:
            await self._follow()
            return
        async with self._engine.connect() as connection:
            # One statement is a view of its own; with BEGIN and COMMIT around it a look would cost three times as much.
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.add_listener(CHANNEL, self._on_call)  # type: ignore[union-attr]  # asyncpg ships no types
            try:
                await self._follow(connection)
            finally:
                # Back in the pool the connection must not go on calling; closed, it is not put back at all.
                await connection.invalidate()

    def _on_call(self, *_: Any) -> None:
        self._called.set()

    async def _follow(self, listening: AsyncConnection | None = None) -> None:
        """Hand on what there is, then wait to be called or for the next look."""
        if self.seq is None:
            async with reading(self._engine) as connection:
                self.seq = await last_seq(connection)
            self._begin(self.seq)
        while True:
            self._called.clear()
            while await self._hand_on(listening) == BATCH:
                pass
            self._read_at = time.monotonic()
            if listening is not None:
                driver = (await listening.get_raw_connection()).driver_connection
                if driver.is_closed():  # type: ignore[union-attr]  # asyncpg ships no types
                    raise ConnectionError("the connection that listens for changes was closed")
                await asyncio.sleep(PAUSE_SECONDS)
            # Not wait_for: in Python 3.11 it may swallow a cancellation that comes with its own timeout.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._called.wait()

    async def _hand_on(self, listening: AsyncConnection | None) -> int:
        """Hand on the next changes and return how many there were."""
        assert self.seq is not None
        async with contextlib.nullcontext(listening) if listening else reading(self._engine) as connection:
            items = await changes_after(connection, self.seq, BATCH)
        if items:
            await self._deliver(items)
            self.seq = items[-1].seq
        return len(items)
