"""Does what no record comes for: waits that are over, alerts whose cooldown is over, alerts of calls gone quiet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alerts.alert import Change
from alerts.engine import judge_due, next_due
from alerts.rules import RuleSet
from alerts.store import alerts as alert_store
from alerts.store import conversations as conversation_store
from alerts.store.database import in_transaction, reading
from alerts.store.tables import alerts, conversations
from detectors.timing import Waits

QUIET_SECONDS = 90.0
"""A call that was not scored for this long is over, whether anybody said so or not."""
WAITS_PER_SWEEP = 200
"""Conversations locked at once; the rest a second later."""


class PolicyInForce(Protocol):
    """What the sweep takes of a policy."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def rules(self) -> RuleSet:
        """Its rules."""


async def sweep_once(engine: AsyncEngine, policy: Callable[[], PolicyInForce], now: float, *, lagging: bool) -> int:
    """Sweep at Unix time `now` and return how many alerts changed. Any number of processes may do it at once.

    While the chat topic is `lagging` no wait is judged: the reply may be among what is still to be read.
    """
    quiet = _is_of_quiet_call(now)
    due = conversations.c.due_at <= now
    over = and_(alerts.c.closed_at.is_(None), alerts.c.ends_at <= now)
    async with reading(engine) as connection:
        found = (
            await connection.execute(
                select(
                    exists().where(due),
                    exists().where(over),
                    exists().where(alerts.c.closed_at.is_(None), quiet),
                )
            )
        ).one()
    count = 0
    # One short transaction each: none keeps the chat path waiting for the others.
    if found[0] and not lagging:
        count += await in_transaction(engine, lambda connection: _judge_waits(connection, policy(), now))
    if found[1]:
        count += len(await in_transaction(engine, lambda connection: alert_store.close_due(connection, now)))
    if found[2]:
        count += len(await in_transaction(engine, lambda connection: alert_store.close_where(connection, quiet, now)))
    return count


def _is_of_quiet_call(now: float) -> Any:
    """Return the condition that an alert's call was not scored of late. Alerts on hits have their own end."""
    since = now - QUIET_SECONDS
    c = conversations.c
    is_scored = exists().where(
        c.platform == alerts.c.platform, c.conversation_id == alerts.c.conversation_id, c.last_at >= since
    )
    return and_(alerts.c.kind == "call", alerts.c.ends_at.is_(None), alerts.c.last_at < since, ~is_scored)


async def _judge_waits(connection: AsyncConnection, policy: PolicyInForce, now: float) -> int:
    """Raise what is due; a conversation that somebody else has locked is left to them or to the next sweep."""
    c = conversations.c
    rows = await connection.execute(
        select(conversations)
        .where(c.due_at <= now)
        .order_by(c.due_at)
        .limit(WAITS_PER_SWEEP)
        .with_for_update(skip_locked=True)
    )
    changes: list[Change] = []
    written: list[dict[str, Any]] = []
    for row in rows:
        conversation = conversation_store.conversation_of(row)
        waits, raised = judge_due(policy.rules, conversation, Waits.from_json(row.memory.get("waits", {})), now)
        changes += raised
        written.append(
            {
                "platform": row.platform,
                "conversation_id": row.conversation_id,
                "memory": {**row.memory, "waits": waits.to_json()},
                "due_at": next_due(policy.rules, conversation, waits),
            }
        )
    if written:
        await connection.execute(*conversation_store.writing(connection, written))
    return len(await alert_store.apply_changes(connection, changes, policy.version, now))
