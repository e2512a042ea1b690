"""What is told to people and other products: every change of a row that they see, in order, in its own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.many import POSTGRES, inserting
from alerts.store.tables import outbox

LOCK = 7_463_219
"""Number of the advisory lock, the same for every writer of one database."""
_LOCK = text(f"SELECT pg_advisory_xact_lock({LOCK})")
# Joined to the rows, so that none is given its number before the lock is ours; who listens is called at the commit.
_TURN = select(func.pg_advisory_xact_lock(LOCK), func.pg_notify("outbox", "")).subquery("turn")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One thing to tell."""

    kind: str
    """alert, interception, violation or reminder."""
    key: str
    """What it is about; a feed keeps the newest of a key."""
    team: str
    agent_id: str | None
    body: Mapping[str, Any]
    at: float
    """Unix time."""


async def lock(connection: AsyncConnection) -> None:
    """Wait until no other transaction is writing the outbox; lasts until this one ends, may be called again.

    Numbers are given when a row is inserted and become visible when it is committed: without the lock a
    reader could see number 8 before 7, and never come back for 7. SQLite has one writer anyway.
    """
    if connection.dialect.name == POSTGRES:
        await connection.execute(_LOCK)


async def append(connection: AsyncConnection, rows: Sequence[OutboxRow]) -> None:
    """Add rows as the last step of a transaction: every other writer waits from here to its commit.

    Rows of other tables are to be locked before, never after, or two transactions may wait for each other.
    """
    if not rows:
        return
    values = [{name: getattr(row, name) for name in OutboxRow.__slots__} for row in rows]
    await connection.execute(*inserting(connection, outbox, values, after=_TURN))
