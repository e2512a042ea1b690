"""How far each feed has told the outbox on, and which process does it now: a lease that passes on by itself."""

from __future__ import annotations

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.database import insert
from alerts.store.tables import cursors


async def take_lease(connection: AsyncConnection, name: str, owner: str, now: float, seconds: float) -> int | None:
    """Take or prolong the lease of `name` and return its number; None while another process holds it."""
    await connection.execute(insert(connection, cursors).values(name=name, seq=0).on_conflict_do_nothing())
    free = or_(cursors.c.leased_by.is_(None), cursors.c.leased_by == owner, cursors.c.leased_until < now)
    taken = await connection.execute(
        update(cursors).where(cursors.c.name == name, free).values(leased_by=owner, leased_until=now + seconds)
    )
    if taken.rowcount == 0:
        return None
    return int((await connection.execute(select(cursors.c.seq).where(cursors.c.name == name))).scalar_one())


async def move(connection: AsyncConnection, name: str, owner: str, seq: int, now: float, seconds: float) -> bool:
    """Move the cursor on and prolong the lease; False where it was lost meanwhile, and nothing is moved."""
    moved = await connection.execute(
        update(cursors)
        .where(cursors.c.name == name, cursors.c.leased_by == owner, cursors.c.seq <= seq)
        .values(seq=seq, leased_until=now + seconds)
    )
    return moved.rowcount == 1


async def release(connection: AsyncConnection, name: str, owner: str) -> None:
    """Give the lease back, so that the next process need not wait for its end."""
    await connection.execute(
        update(cursors)
        .where(cursors.c.name == name, cursors.c.leased_by == owner)
        .values(leased_by=None, leased_until=None)
    )
