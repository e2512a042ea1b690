"""Who is at work now: the agents of the live floor, from their conversations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, distinct, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope
from alerts.store.scope import within
from alerts.store.tables import baselines, conversations, hits, messages

CALL_LIVE_SECONDS = 90.0
"""A call without a score for this long is over, whoever forgot to say so; the sweep uses the same."""
CHAT_LIVE_SECONDS = 15 * 60.0
"""A chat in which nobody wrote for this long does not occupy its agent."""
SHIFT_SECONDS = 8 * 3600.0
"""An agent without a conversation for this long is not at work."""


@dataclass(frozen=True, slots=True)
class AgentAtWork:
    """One agent and what occupies them."""

    agent_id: str
    name: str | None
    team: str
    last_at: float
    live: tuple[Row[Any], ...]
    """Rows of conversations, the newest first."""
    hits: int
    """Messages with a hit in these conversations."""


def _is_live(now: float) -> Any:
    """Return the condition on conversations that go on at `now`."""
    c = conversations.c
    recent = or_(
        and_(c.kind == "call", c.last_at > now - CALL_LIVE_SECONDS),
        and_(c.kind == "chat", c.last_at > now - CHAT_LIVE_SECONDS),
    )
    return and_(c.ended_at.is_(None), recent)


async def live_conversations(connection: AsyncConnection, scope: Scope, now: float) -> Sequence[Row[Any]]:
    """Return the conversations that go on, without their memory, the newest first."""
    columns = [column for column in conversations.c if column.name not in ("memory", "due_at")]
    query = select(*columns).where(_is_live(now), within(scope, conversations))
    return (await connection.execute(query.order_by(conversations.c.started_at.desc()))).all()


async def agents_at_work(
    connection: AsyncConnection, scope: Scope, live: Sequence[Row[Any]], now: float
) -> list[AgentAtWork]:
    """Return every agent with a conversation in this shift; `live` as `live_conversations` returned it."""
    c = conversations.c
    last_at = func.max(c.last_at).label("last_at")
    query = (
        select(c.agent_id, c.team, func.max(c.agent_name).label("agent_name"), last_at)
        .where(c.last_at > now - SHIFT_SECONDS, c.agent_id.is_not(None), within(scope, conversations))
        .group_by(c.agent_id, c.team)
        .order_by(last_at)
    )
    # Later rows win: an agent who changed the team today stands in the new one.
    newest = {row.agent_id: row for row in await connection.execute(query)}
    counts = await _hits(connection, scope, now)
    by_agent: dict[str | None, list[Row[Any]]] = defaultdict(list)
    for row in live:
        by_agent[row.agent_id].append(row)
    return [
        AgentAtWork(
            agent_id=name,
            name=row.agent_name,
            team=row.team,
            last_at=row.last_at,
            live=tuple(by_agent[name]),
            hits=counts.get(name, 0),
        )
        for name, row in sorted(newest.items())
    ]


async def _hits(connection: AsyncConnection, scope: Scope, now: float) -> dict[str, int]:
    """Count the messages of agents with a hit, in the conversations that go on."""
    c, m, h = conversations.c, messages.c, hits.c
    query = (
        select(c.agent_id, func.count(distinct(h.message)).label("count"))
        .select_from(conversations)
        .join(messages, and_(m.platform == c.platform, m.conversation_id == c.conversation_id, m.side != "customer"))
        .join(hits, h.message == m.id)
        .where(_is_live(now), within(scope, conversations))
        .group_by(c.agent_id)
    )
    return {agent_id: count for agent_id, count in await connection.execute(query)}


async def baselines_of(connection: AsyncConnection, agent_ids: Collection[str]) -> dict[str, dict[str, float]]:
    """Return what is usual for each agent, per metric."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    if agent_ids:
        b = baselines.c
        query = select(b.agent_id, b.metric, b.value).where(b.agent_id.in_(agent_ids))
        for agent_id, metric, value in await connection.execute(query):
            found[agent_id][metric] = value
    return found
