"""The agent's own copies of alerts, few enough that they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.outbox import OutboxRow
from alerts.store.tables import outbox

MOST_PER_MINUTE = 2
"""Reminders to one agent: more than two a minute are noise to somebody who is talking."""


async def reminders_for(connection: AsyncConnection, opened: Sequence[Any], now: float) -> list[OutboxRow]:
    """Return the reminders of newly opened alerts, within each agent's budget; the outbox is to be locked before."""
    for_agents = [row for row in opened if row.agent_id and "agent" in row.audience]
    if not for_agents:
        return []
    c = outbox.c
    agents = sorted({row.agent_id for row in for_agents})
    found = await connection.execute(
        select(c.agent_id, func.count())
        .where(c.kind == "reminder", c.agent_id.in_(agents), c.at > now - 60.0)
        .group_by(c.agent_id)
    )
    used: dict[str, int] = {agent_id: count for agent_id, count in found}
    reminders = []
    for row in for_agents:
        if used.get(row.agent_id, 0) < MOST_PER_MINUTE:
            used[row.agent_id] = used.get(row.agent_id, 0) + 1
            reminders.append(OutboxRow("reminder", row.agent_id, row.team, row.agent_id, _body(row), now))
    return reminders


def _body(row: Any) -> dict[str, Any]:
    """Return what the agent's desktop shows."""
    evidence = row.evidence
    return {
        "agent_id": row.agent_id,
        "alert_id": row.id,
        "rule_id": row.rule_id,
        "rule_name": evidence.get("rule_name", {}),
        "category": evidence.get("category", ""),
        "severity": row.severity,
        "platform": row.platform,
        "conversation_id": row.conversation_id,
        "at": row.opened_at,
        **{name: evidence.get(name) for name in ("metric", "value", "limit", "unit", "message_id")},
    }
