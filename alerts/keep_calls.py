"""Keeps what the audio worker concluded: calls, score rows, alerts and baselines, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Insert, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alerts.alert import CALL_PLATFORM, UNASSIGNED, Change, Conversation
from alerts.store import alerts as alert_store
from alerts.store.conversations import conversation_of
from alerts.store.database import in_transaction, insert, reading
from alerts.store.many import AnyInsert, inserting
from alerts.store.tables import baselines, conversations, scores
from detectors.values import Side

SCORE_ROW_MEMORY_SECONDS = 900.0
"""A call whose last score row is older is not gone on with."""


@dataclass(frozen=True, slots=True)
class CallRow:
    """What is known of a call; None leaves what the row says."""

    conversation_id: str
    at: float
    columns: Mapping[str, Any] = field(default_factory=dict)
    """agent_id, agent_name, team, queue, customer_id, language, direction, ended_at."""
    learned_agent: bool = False
    """Whether this is the first that is known of who the agent is: alerts are stamped anew."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One row of scores, every 5 s: what a chart needs, and what another worker needs to go on."""

    conversation_id: str
    at_seconds: float
    agent_id: str | None
    team: str
    at: float
    sides: Mapping[Side, Mapping[str, float | None]]
    slow: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """An agent's own value of a metric, from the calls before."""

    agent_id: str
    metric: str
    value: float
    seconds: float
    """Speech it stands on."""


@dataclass(frozen=True, slots=True)
class KnownCall:
    """What the database knows of a call that another worker, or this one before, was scoring."""

    conversation: Conversation
    slow: Mapping[str, Mapping[str, float]]
    open_alerts: tuple[Mapping[str, Any], ...]
    ended_at: float | None
    """Unix time, None while it goes on."""


async def keep_calls(
    engine: AsyncEngine,
    policy_version: int,
    *,
    calls: Sequence[CallRow],
    changes: Sequence[Change],
    score_rows: Sequence[ScoreRow],
    learned: Sequence[Baseline],
    now: float,
) -> None:
    """Write it all; raises what the database raises, nothing is kept then and the call may be repeated."""

    async def work(connection: AsyncConnection) -> None:
        # In order of id, as the chat worker locks them: two transactions wait for each other, never both.
        ordered = sorted(calls, key=lambda call: call.conversation_id)
        learned_agents = [known for call in ordered if (known := await _write_call(connection, call)) is not None]
        if score_rows:
            statement = insert(connection, scores)
            rows = [_score_values(row) for row in score_rows]
            # Two workers may score one second of a call while it moves: the later knows more.
            names = ("agent_id", "team", "at", "sides", "slow")
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["conversation_id", "at_seconds"],
                    set_={name: statement.excluded[name] for name in names},
                ),
                rows,
            )
        await alert_store.apply_changes(connection, changes, policy_version, now, learned=learned_agents)
        for baseline in learned:
            await _learn(connection, baseline, now)

    await in_transaction(engine, work)


async def _write_call(connection: AsyncConnection, call: CallRow) -> Conversation | None:
    """Make or update a call's row, and return whose it is if that has just become known.

    The chat worker's columns (memory, waits) are left alone.
    """
    told = {name: value for name, value in call.columns.items() if value is not None}
    row = {
        "platform": CALL_PLATFORM,
        "conversation_id": call.conversation_id,
        "kind": "call",
        "started_at": call.at,
        "last_at": call.at,
        "memory": {},
        "team": UNASSIGNED,
        **told,
    }
    finish = _carrying_on((*sorted(told), "last_at"), call.learned_agent)
    kept = await connection.execute(*inserting(connection, conversations, [row], finish))
    return conversation_of(kept.one()) if call.learned_agent else None


@cache
def _carrying_on(names: tuple[str, ...], returning: bool) -> Callable[[AnyInsert], Insert]:
    """Return what to do about a call that has a row already: these columns of it are written anew."""

    def finish(statement: AnyInsert) -> Insert:
        new = {name: statement.excluded[name] for name in names}
        carried_on = statement.on_conflict_do_update(index_elements=["platform", "conversation_id"], set_=new)
        return carried_on.returning(conversations) if returning else carried_on

    return finish


def _score_values(row: ScoreRow) -> dict[str, Any]:
    """Return a score row's columns."""
    return {
        "conversation_id": row.conversation_id,
        "at_seconds": row.at_seconds,
        "agent_id": row.agent_id,
        "team": row.team,
        "at": row.at,
        "sides": {side: dict(metrics) for side, metrics in row.sides.items()},
        "slow": {side: dict(fields) for side, fields in row.slow.items()},
    }


async def _learn(connection: AsyncConnection, baseline: Baseline, now: float) -> None:
    """Join a call's baseline with the agent's earlier one, each by the speech it stands on."""
    statement = insert(connection, baselines).values(
        agent_id=baseline.agent_id,
        metric=baseline.metric,
        value=baseline.value,
        seconds=baseline.seconds,
        at=now,
    )
    c, new = baselines.c, statement.excluded
    # Half an hour of speech is enough to stand on: older calls fade beyond it, for voices and headsets change.
    old_seconds = func.min(c.seconds, 1800.0) if connection.dialect.name == "sqlite" else func.least(c.seconds, 1800.0)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["agent_id", "metric"],
            set_={
                "value": (c.value * old_seconds + new.value * new.seconds) / (old_seconds + new.seconds),
                "seconds": old_seconds + new.seconds,
                "at": new.at,
            },
        )
    )


async def read_baselines(engine: AsyncEngine, agent_id: str) -> dict[str, float]:
    """Return an agent's own values by metric, from the calls before."""
    async with reading(engine) as connection:
        query = select(baselines.c.metric, baselines.c.value).where(baselines.c.agent_id == agent_id)
        return {metric: value for metric, value in await connection.execute(query)}


async def read_calls(engine: AsyncEngine, conversation_ids: Collection[str], now: float) -> dict[str, KnownCall]:
    """Return what is known of calls that are to be gone on with; those nothing is known of are left out."""
    ids = list(conversation_ids)
    async with reading(engine) as connection:
        c, s = conversations.c, scores.c
        rows = await connection.execute(
            select(conversations).where(c.platform == CALL_PLATFORM, c.conversation_id.in_(ids))
        )
        latest = (
            select(s.conversation_id, func.max(s.at_seconds).label("at_seconds"))
            .where(s.conversation_id.in_(ids), s.at > now - SCORE_ROW_MEMORY_SECONDS)
            .group_by(s.conversation_id)
            .subquery()
        )
        slow = {
            name: fields
            for name, fields in await connection.execute(
                select(s.conversation_id, s.slow).join(
                    latest,
                    (s.conversation_id == latest.c.conversation_id) & (s.at_seconds == latest.c.at_seconds),
                )
            )
        }
        alerts_of: dict[str, list[Mapping[str, Any]]] = {}
        for alert in await alert_store.open_alerts(connection, CALL_PLATFORM, ids):
            alerts_of.setdefault(alert["conversation_id"], []).append(alert)
        return {
            row.conversation_id: KnownCall(
                conversation=conversation_of(row),
                slow=slow.get(row.conversation_id, {}),
                open_alerts=tuple(alerts_of.get(row.conversation_id, ())),
                ended_at=row.ended_at,
            )
            for row in rows
        }
