"""The interception log in numbers: how many, of whom, by which phrase, how often wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Subquery, and_, case, cast, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope
from alerts.store.interception_log import LogFilter, findings, matching
from alerts.store.scope import within
from alerts.store.tables import conversations, hits, messages

HOUR_SECONDS = 3600
LONGEST_LIST = 50
"""Agents, teams and phrases that are listed, the most frequent first."""

STOPPED = ("blocked", "held", "platform")
"""Outcomes after which the customer got nothing of what was written."""


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Count the rows that fulfil `condition`."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _from(found: Subquery, *columns: Any) -> Select[Any]:
    """Select from the findings with their messages, which the search needs."""
    return select(*columns).select_from(found).join(messages, found.c.message == messages.c.id)


def _hour(connection: AsyncConnection, at: ColumnElement[float]) -> ColumnElement[int]:
    """Return the number of the hour since 1970; SQLite's cast cuts off, PostgreSQL's rounds."""
    hours = at / HOUR_SECONDS
    return cast(func.floor(hours) if connection.dialect.name == "postgresql" else hours, Integer)


async def numbers(connection: AsyncConnection, scope: Scope, wanted: LogFilter, now: float) -> dict[str, Any]:
    """Return all counts of what is wanted, in the form of GET /api/interceptions/numbers."""
    found = findings()
    c = found.c
    condition = matching(found, scope, wanted)
    totals = (
        await connection.execute(
            _from(
                found,
                _count(c.outcome.in_(STOPPED)).label("intercepted"),
                _count(c.outcome == "delivered").label("delivered"),
                _count(c.outcome == "replaced").label("replaced"),
                _count(c.review == "pending").label("pending"),
                _count(c.review != "pending").label("reviewed"),
                _count(c.review == "mistaken").label("mistaken"),
                func.min(case((c.review == "pending", c.at))).label("oldest_pending_at"),
            ).where(condition)
        )
    ).mappings().one()  # fmt: skip
    hour = _hour(connection, c.at).label("hour")
    by_hour = await connection.execute(
        _from(found, hour, func.count().label("count")).where(condition).group_by(hour).order_by(hour)
    )
    phrase_count = func.count(distinct(hits.c.message)).label("count")
    by_phrase = await connection.execute(
        _from(
            found,
            hits.c.phrase_id,
            phrase_count,
            func.count(distinct(case((c.review == "mistaken", hits.c.message)))).label("mistaken"),
        )
        .join(hits, hits.c.message == c.message)
        .where(condition)
        .group_by(hits.c.phrase_id)
        .order_by(phrase_count.desc(), hits.c.phrase_id)
        .limit(LONGEST_LIST)
    )
    return {
        **totals,
        "per_thousand": await _per_thousand(connection, scope, wanted, int(totals["intercepted"])),
        "per_thousand_before": await _per_thousand_before(connection, scope, wanted, now),
        "by_hour": [{"at": float(row["hour"] * HOUR_SECONDS), "count": row["count"]} for row in by_hour.mappings()],
        "by_agent": await _by(connection, found, condition, c.agent_id, func.max(c.agent_name).label("agent_name")),
        "by_team": await _by(connection, found, condition, c.team),
        "by_category": await _by(connection, found, condition, c.category),
        "by_phrase": [dict(row) for row in by_phrase.mappings()],
    }


async def _by(
    connection: AsyncConnection,
    found: Subquery,
    condition: ColumnElement[bool],
    column: ColumnElement[Any],
    *more: ColumnElement[Any],
) -> Sequence[dict[str, Any]]:
    """Count by one column, the most frequent first."""
    count = func.count().label("count")
    query = _from(found, column, *more, count).where(condition).group_by(column).order_by(count.desc(), column)
    return [dict(row) for row in (await connection.execute(query.limit(LONGEST_LIST))).mappings()]


async def _messages_written(connection: AsyncConnection, scope: Scope, wanted: LogFilter) -> int:
    """Count what agents and bots wrote or said, stopped or not, in the time and by the people that are wanted."""
    m, c = messages.c, conversations.c
    same = and_(m.platform == c.platform, m.conversation_id == c.conversation_id)
    query = select(func.count()).select_from(messages).join(conversations, same)
    query = query.where(within(scope, conversations), m.side != "customer")
    if wanted.since is not None:
        query = query.where(m.arrived_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(m.arrived_at < wanted.until)
    if wanted.team is not None:
        query = query.where(c.team == wanted.team)
    if wanted.agent is not None:
        query = query.where(c.agent_id == wanted.agent)
    if wanted.platform is not None:
        query = query.where(m.platform == wanted.platform)
    return int((await connection.execute(query)).scalar_one())


async def _per_thousand(connection: AsyncConnection, scope: Scope, wanted: LogFilter, intercepted: int) -> float | None:
    """Return stopped texts per 1,000 written; None where nothing was written."""
    written = await _messages_written(connection, scope, wanted)
    return round(1000.0 * intercepted / written, 2) if written else None


async def _per_thousand_before(
    connection: AsyncConnection, scope: Scope, wanted: LogFilter, now: float
) -> float | None:
    """Return the same of the time before, equally long; None where the time has no beginning."""
    if wanted.since is None:
        return None
    until = wanted.until if wanted.until is not None else now
    before = replace(wanted, since=wanted.since - (until - wanted.since), until=wanted.since)
    found = findings()
    query = _from(found, _count(found.c.outcome.in_(STOPPED))).where(matching(found, scope, before))
    return await _per_thousand(connection, scope, before, int((await connection.execute(query)).scalar_one()))
