"""How long each kind of data is kept, and the daily purge that lets go of what is older."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.store import cursors
from alerts.store.database import reading, writing
from alerts.store.retention import BATCH_ROWS, LEASE, PURGES, Purge, count, delete_some

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
LOOK_SECONDS = 600.0
"""How often a process asks whether a purge is due."""
LEASE_SECONDS = 60.0
PAUSE_SECONDS = 0.05
"""Between two batches, so that the workers' transactions come in between."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Ages in days."""

    messages_days: float = 180.0
    """Messages and turns that were not stopped, with their hits and violations; conversations."""
    interceptions_days: float = 730.0
    """Interceptions that were reviewed, with their messages; one that waits for its review stays."""
    alerts_days: float = 365.0
    """Alerts that are closed; an open one stays."""
    outbox_days: float = 30.0
    """What every feed has told: pages and feeds that were away this long begin anew."""
    scores_days: float = 90.0
    """The rows behind the charts of calls, and agents' own usual values that no call has renewed."""
    audit_days: float = 1095.0
    """Who listened, unmasked, exported and decided."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was, or would be, deleted of one kind."""

    kind: str
    rows: int
    before: float
    """Unix time; only what is older."""


def cutoffs(retention: Retention, now: float) -> dict[str, float]:
    """Return per kind the Unix time before which it is let go of."""
    days = {
        "messages": retention.messages_days,
        "interceptions": retention.interceptions_days,
        "alerts": retention.alerts_days,
        "outbox": retention.outbox_days,
        "scores": retention.scores_days,
        "baselines": retention.scores_days,
        "conversations": retention.messages_days,
        "sessions": 0.0,
        "audit": retention.audit_days,
    }
    return {kind: now - days_ * DAY_SECONDS for kind, days_ in days.items()}


async def preview(engine: AsyncEngine, retention: Retention, now: float) -> list[Purged]:
    """Return what a purge at `now` would delete. What hangs on a message is not counted by itself.

    A conversation that only becomes empty by the purge counts the next time.
    """
    before = cutoffs(retention, now)
    async with reading(engine) as connection:
        return [Purged(p.kind, await count(connection, p, before[p.kind]), before[p.kind]) for p in PURGES]


async def purge(engine: AsyncEngine, retention: Retention, now: float) -> AsyncIterator[Purged]:
    """Delete what is too old at `now`, in small transactions; yields after each what it has deleted."""
    before = cutoffs(retention, now)
    for kind in PURGES:
        async for rows in _purge_kind(engine, kind, before[kind.kind]):
            yield Purged(kind.kind, rows, before[kind.kind])


async def _purge_kind(engine: AsyncEngine, kind: Purge, before: float) -> AsyncIterator[int]:
    """Delete one kind batch after batch and yield how many rows each took."""
    rows = BATCH_ROWS
    while rows == BATCH_ROWS:
        async with writing(engine) as connection:
            rows = await delete_some(connection, kind, before)
        yield rows
        if rows == BATCH_ROWS:
            await asyncio.sleep(PAUSE_SECONDS)


async def purge_daily(engine: AsyncEngine, retention: Retention, now: Callable[[], float]) -> None:
    """Purge once a day, in one process at a time, until cancelled. Raises what the database raises; run it again."""
    owner = secrets.token_hex(8)
    while True:
        await purge_if_due(engine, retention, now, owner)
        await asyncio.sleep(LOOK_SECONDS)


async def purge_if_due(engine: AsyncEngine, retention: Retention, now: Callable[[], float], owner: str) -> int | None:
    """Purge where the last one was a day ago and no other process is at it; return how many rows went.

    The lease's number is the Unix time of the last purge that was done to its end.
    """
    began = now()
    async with writing(engine) as connection:
        done_at = await cursors.take_lease(connection, LEASE, owner, began, LEASE_SECONDS)
    if done_at is None:
        return None
    total: int | None = None
    if began - done_at >= DAY_SECONDS:
        total = 0
        async for purged in purge(engine, retention, began):
            total += purged.rows
            async with writing(engine) as connection:
                if not await cursors.move(connection, LEASE, owner, done_at, now(), LEASE_SECONDS):
                    return total  # slower than the lease: another process goes on where this one is
        log.info("retention: %d rows were too old", total)
        done_at = int(began)
    async with writing(engine) as connection:
        await cursors.move(connection, LEASE, owner, done_at, now(), LEASE_SECONDS)
        await cursors.release(connection, LEASE, owner)
    return total
