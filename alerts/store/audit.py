"""The audit log: who listened, unmasked, exported, decided or changed what, and when; rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.tables import audit


async def record(
    connection: AsyncConnection,
    *,
    who: str,
    what: str,
    object: str,  # noqa: A002  (the column's name)
    now: float,
    detail: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> None:
    """Add one entry in the caller's transaction: the act and its trace are committed together or not at all."""
    await connection.execute(
        audit.insert().values(at=now, who=who, what=what, object=object, detail=dict(detail or {}), address=address)
    )


async def latest(connection: AsyncConnection, limit: int, before_id: int | None = None) -> Sequence[RowMapping]:
    """Return the newest entries, those before `before_id` where it is given."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    return (await connection.execute(query)).mappings().all()
