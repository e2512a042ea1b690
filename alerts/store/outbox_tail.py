"""Reads the outbox in order: what changed since a number, for pages and for the topics of others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope
from alerts.store.scope import within
from alerts.store.tables import outbox


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One change, as it was committed with what it tells of."""

    seq: int
    kind: str
    """alert, interception, violation or reminder."""
    key: str
    team: str
    agent_id: str | None
    body: dict[str, Any]
    at: float


async def last_seq(connection: AsyncConnection) -> int:
    """Return the number of the newest visible change, 0 where there is none."""
    return int((await connection.execute(select(func.max(outbox.c.seq)))).scalar() or 0)


async def first_seq(connection: AsyncConnection) -> int | None:
    """Return the number of the oldest change that is still kept."""
    oldest = (await connection.execute(select(func.min(outbox.c.seq)))).scalar()
    return None if oldest is None else int(oldest)


async def changes_after(
    connection: AsyncConnection,
    seq: int,
    limit: int,
    *,
    up_to: int | None = None,
    kinds: Collection[str] | None = None,
    scope: Scope | None = None,
) -> list[OutboxItem]:
    """Return at most `limit` changes after `seq`, in order; those of `kinds` and in `scope` where given.

    Numbers become visible in order (the writer's lock sees to that), so what was read once is complete.
    """
    query = select(outbox).where(outbox.c.seq > seq).order_by(outbox.c.seq).limit(limit)
    if up_to is not None:
        query = query.where(outbox.c.seq <= up_to)
    if kinds is not None:
        query = query.where(outbox.c.kind.in_(kinds))
    if scope is not None:
        query = query.where(within(scope, outbox))
    return [OutboxItem(**row) for row in (await connection.execute(query)).mappings()]
