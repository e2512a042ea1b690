"""What is too old of each kind of data, and how it is deleted: few rows at a time, found without reading the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, exists, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.tables import (
    alerts,
    audit,
    baselines,
    conversations,
    cursors,
    interceptions,
    messages,
    outbox,
    scores,
    sessions,
)

LEASE = "daily:retention"
"""The row of `cursors` by which one process at a time purges."""
BATCH_ROWS = 200
"""Rows a transaction deletes: with what hangs on them 17 ms on SQLite (median, busy machine), which a worker waits."""


@dataclass(frozen=True, slots=True)
class Purge:
    """One kind of data."""

    kind: str
    table: Table
    old: Callable[[float], ColumnElement[bool]]
    """The rows that may go, given the Unix time before which they must lie."""


def _old_messages(before: float) -> ColumnElement[bool]:
    """Messages of nobody's interception; hits and violations go with them."""
    return and_(
        messages.c.id < _first_since(messages, messages.c.id, messages.c.arrived_at, before),
        messages.c.arrived_at < before,
        ~exists().where(interceptions.c.message == messages.c.id),
    )


def _old_interceptions(before: float) -> ColumnElement[bool]:
    """Messages whose interceptions are all reviewed and old: they, their hits and their findings go together."""
    i = interceptions.c
    still = exists().where(i.message == messages.c.id, or_(i.review == "pending", i.at >= before))
    reviewed = select(i.message).where(i.review != "pending", i.at < before)
    return and_(messages.c.id.in_(reviewed), ~still)


def _old_alerts(before: float) -> ColumnElement[bool]:
    """Closed alerts."""
    return alerts.c.closed_at < before


def _told(before: float) -> ColumnElement[bool]:
    """Rows that every feed has told; none where no feed has begun, for it would begin with these."""
    slowest = select(func.min(cursors.c.seq)).where(cursors.c.name != LEASE).scalar_subquery()
    newest_first = _first_since(outbox, outbox.c.seq, outbox.c.at, before)
    return and_(outbox.c.seq <= func.coalesce(slowest, 0), outbox.c.seq < newest_first, outbox.c.at < before)


def _old_scores(before: float) -> ColumnElement[bool]:
    return scores.c.at < before


def _old_baselines(before: float) -> ColumnElement[bool]:
    return baselines.c.at < before


def _empty_conversations(before: float) -> ColumnElement[bool]:
    """Conversations of which nothing else is left; their memory holds words of the last messages."""
    c = conversations.c

    def has(table: Table) -> ColumnElement[bool]:
        return exists().where(table.c.platform == c.platform, table.c.conversation_id == c.conversation_id)

    scored = exists().where(scores.c.conversation_id == c.conversation_id)
    return and_(c.last_at < before, ~has(messages), ~has(alerts), ~scored)


def _over_sessions(before: float) -> ColumnElement[bool]:
    return sessions.c.expires_at < before


def _old_audit(before: float) -> ColumnElement[bool]:
    return and_(audit.c.id < _first_since(audit, audit.c.id, audit.c.at, before), audit.c.at < before)


PURGES = (
    Purge("messages", messages, _old_messages),
    Purge("interceptions", messages, _old_interceptions),
    Purge("alerts", alerts, _old_alerts),
    Purge("outbox", outbox, _told),
    Purge("scores", scores, _old_scores),
    Purge("baselines", baselines, _old_baselines),
    Purge("conversations", conversations, _empty_conversations),
    Purge("sessions", sessions, _over_sessions),
    Purge("audit", audit, _old_audit),
)
"""In the order in which they are deleted: conversations after all that may belong to them."""


async def count(connection: AsyncConnection, purge: Purge, before: float) -> int:
    """Return how many rows would go."""
    query = select(func.count()).select_from(purge.table).where(purge.old(before))
    return int((await connection.execute(query)).scalar_one())


async def delete_some(connection: AsyncConnection, purge: Purge, before: float) -> int:
    """Delete at most BATCH_ROWS rows, the oldest first where they are numbered, and return how many."""
    keys = list(purge.table.primary_key.columns)
    chosen: Select[Any] = select(*keys).where(purge.old(before)).order_by(*keys).limit(BATCH_ROWS)
    condition = keys[0].in_(chosen) if len(keys) == 1 else tuple_(*keys).in_(chosen)
    return int((await connection.execute(delete(purge.table).where(condition))).rowcount)


def _first_since(table: Table, number: ColumnElement[Any], at: ColumnElement[Any], before: float) -> ColumnElement[Any]:
    """Return the number of the first row that is not too old, beyond all numbers where there is none.

    Rows are numbered about as they come, so that the search ends there instead of reading all that is newer;
    one that came out of order goes on a later day.
    """
    first = select(number).select_from(table).where(at >= before).order_by(number).limit(1).scalar_subquery()
    return func.coalesce(first, literal(2**62))
