"""Alerts in the database: what rules ask for is made so, once, and told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, case, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.alert import UNASSIGNED, Change, Conversation, Evidence, fold
from alerts.store.alert_statements import CONVERSATION, KEY, carrying_on, finding_nobodys, knowing
from alerts.store.many import Step, inserting, keys_among
from alerts.store.outbox import OutboxRow, append, lock
from alerts.store.reminders import reminders_for
from alerts.store.round_trip import Rows, Writer, together
from alerts.store.tables import alerts

Key = tuple[str, str, str]
"""(platform, conversation_id, rule_id)"""
ROWS_PER_STATEMENT = 500
"""Times 20 columns it stays under the 32,767 parameters a statement may have."""

_EVIDENCE = tuple(field.name for field in fields(Evidence))
_BODY = (
    *("id", "version", "state", "severity", "rule_id", "kind", "platform", "conversation_id"),
    *("agent_id", "agent_name", "team", "opened_at", "changed_at", "closed_at", "owner", "note"),
)


def alert_body(row: Any) -> dict[str, Any]:
    """Return an alert as the REST API, the WebSocket and the topic `qa.alerts` show it; `row` is of table alerts."""
    evidence = dict(row.evidence)
    return {
        **{name: getattr(row, name) for name in _BODY},
        "rule_name": evidence.pop("rule_name", {}),
        "category": evidence.pop("category", ""),
        "evidence": evidence,
    }


def told(row: Any) -> OutboxRow:
    """Return what is told of an alert that changed."""
    return OutboxRow("alert", f"alert:{row.id}", row.team, row.agent_id, alert_body(row), row.changed_at)


async def apply_changes(
    connection: AsyncConnection,
    changes: Iterable[Change],
    policy_version: int,
    now: float,
    *,
    learned: Collection[Conversation] = (),
    beside: Writer[Sequence[OutboxRow]] | None = None,
) -> list[dict[str, Any]]:
    """Make changes so and tell them; return the alerts that changed, as `alert_body` shows them.

    The same changes again change nothing: whoever does not know whether a commit went through may repeat it.
    Changes of dry-run rules are left out. `learned` are conversations whose agent has just become known
    (their alerts get that agent and team). What `beside` writes in the same round trips, and returns, is told in the
    same breath: all rows are locked before the outbox is. `now` is the Unix time that `changed_at` says.
    """
    by_key: dict[Key, list[Change]] = {}
    for change in changes:
        if not change.dry_run:
            by_key.setdefault(_key(change), []).append(change)
    steps = [fold(of_key) for _, of_key in sorted(by_key.items())]
    # Nearly always one turn: an alert that was opened and ended in the same batch takes two.
    turns = [
        [of_key[number] for of_key in steps if number < len(of_key)]
        for number in range(max(map(len, steps), default=0))
    ]
    making = _making(connection, turns, learned, policy_version, now)
    made, *more = await together(connection, making, *([beside] if beside else []))
    changed = {row.id: row for row in made}
    opened = [row for row in made if row.version == 1]
    rows = [told(row) for row in changed.values()]
    if opened:
        await lock(connection)
        rows += await reminders_for(connection, opened, now)
    await append(connection, [*rows, *(row for of_beside in more for row in of_beside)])
    return [alert_body(row) for row in changed.values()]


async def open_alerts(
    connection: AsyncConnection, platform: str, conversation_ids: Collection[str]
) -> list[dict[str, Any]]:
    """Return the rows of the alerts that are open in these conversations."""
    c = alerts.c
    found = await connection.execute(
        select(alerts).where(
            c.platform == platform, c.conversation_id.in_(list(conversation_ids)), c.closed_at.is_(None)
        )
    )
    return [dict(row._mapping) for row in found]


async def close_due(connection: AsyncConnection, now: float) -> list[dict[str, Any]]:
    """End the alerts on hits whose cooldown is over."""
    c = alerts.c
    return await close_where(connection, c.ends_at <= now, now)


async def close_where(connection: AsyncConnection, condition: ColumnElement[bool], now: float) -> list[dict[str, Any]]:
    """End the open alerts for which `condition` holds, and tell it.

    Alerts that somebody else is writing at the moment are left to the next time: waiting for them with the
    outbox locked could go on for ever.
    """
    await lock(connection)
    c = alerts.c
    # In the order of the index of open alerts: by id all that ever were would be read.
    due = select(c.id).where(c.closed_at.is_(None), condition).order_by(c.ends_at).limit(ROWS_PER_STATEMENT)
    found = await connection.execute(
        update(alerts)
        .where(c.id.in_(due.with_for_update(skip_locked=True).correlate(None)), c.closed_at.is_(None))
        .values(state="ended", version=c.version + 1, changed_at=now, closed_at=now)
        .returning(alerts)
    )
    rows = sorted(found, key=lambda row: row.id)
    await append(connection, [told(row) for row in rows])
    return [alert_body(row) for row in rows]


def _key(change: Change) -> Key:
    """Return what an alert is one of while it lasts."""
    return change.conversation.platform, change.conversation.conversation_id, change.rule_id


def _making(
    connection: AsyncConnection,
    turns: Sequence[Sequence[Change]],
    learned: Collection[Conversation],
    policy_version: int,
    now: float,
) -> Writer[list[Any]]:
    """Make changes so, turn after turn; returns the alerts that changed, as each came to be."""
    dialect = connection.dialect.name
    questions = [_asking_nobodys(dialect, learned)] if learned else []
    if turns:
        questions.append(_asking(dialect, turns[0]))
    if not questions:
        return []
    answers = yield questions
    made: list[Any] = []
    if learned:
        nobodys = {(row.platform, row.conversation_id) for row in answers[0]}
        for conversation in learned:
            if (conversation.platform, conversation.conversation_id) in nobodys:
                [stamped] = yield [_stamping(conversation, now)]
                made += stamped
    for number, turn in enumerate(turns):
        found = answers[-1] if number == 0 else (yield [_asking(dialect, turn)])[0]
        known = _by_key(found)
        if rows := [_columns(change, policy_version, now) for change in turn if _is_to_raise(change, known)]:
            [raised] = yield [inserting(connection, alerts, rows, carrying_on)]
            made += raised
        if ended_at := _to_end(turn, known):
            [ended] = yield [_ending(ended_at, now)]
            made += ended
    return made


def _asking(dialect: str, changes: Sequence[Change]) -> Step:
    """Return what locks and finds the open alerts that changes are about, and those that were closed of late.

    Closed ones matter that held at the time of a change or later: the change is then an old one, repeated.
    """
    keys = keys_among(dialect, KEY, {_key(change) for change in changes})
    return Step(knowing(dialect), {**keys, "since": min(change.at for change in changes)})


def _by_key(rows: Rows) -> dict[Key, list[Any]]:
    known: dict[Key, list[Any]] = {}
    for row in rows:
        known.setdefault((row.platform, row.conversation_id, row.rule_id), []).append(row)
    return known


def _is_to_raise(change: Change, known: Mapping[Key, list[Any]]) -> bool:
    """Whether a change is to open an alert or to carry the open one on."""
    rows = known.get(_key(change), [])
    if change.kind == "end":
        return False
    if any(row.closed_at is None for row in rows):
        return True
    if any(row.last_at >= change.at for row in rows):
        return False
    # A person closed it while the condition lasts: what only says how it goes on is not to open it again.
    return change.kind == "open" or change.rises


def _columns(change: Change, policy_version: int, now: float) -> dict[str, Any]:
    """Return the row of a newly opened alert."""
    who = change.conversation
    return {
        "platform": who.platform,
        "conversation_id": who.conversation_id,
        "agent_id": who.agent_id,
        "agent_name": who.agent_name,
        "team": who.team,
        "kind": who.kind,
        "rule_id": change.rule_id,
        "severity": change.severity,
        "audience": list(change.audience),
        "state": "open",
        "version": 1,
        "policy_version": policy_version,
        "opened_at": change.at if change.opened_at is None else change.opened_at,
        "changed_at": now,
        "last_at": change.at,
        "ends_at": change.at + change.cooldown_seconds if change.cooldown_seconds else None,
        "evidence": {
            **{name: getattr(change.evidence, name) for name in _EVIDENCE},
            "extra": dict(change.evidence.extra),
            "rule_name": dict(change.rule_name),
            "category": change.category,
        },
    }


def _to_end(changes: Sequence[Change], known: Mapping[Key, list[Any]]) -> dict[int, float]:
    """Return which alerts are still open that changes end, with the Unix time of each end."""
    ended_at: dict[int, float] = {}
    for change in changes:
        for row in known.get(_key(change), []) if change.kind == "end" else ():
            # A worker that was believed dead must not end what its successor has carried on since. (A wait has
            # one writer, and a reply that was late to arrive here may be older than the alert about it.)
            is_old = change.conversation.kind == "call" and change.at < row.last_at
            if row.closed_at is None and not is_old:
                ended_at[row.id] = change.at
    return ended_at


def _ending(ended_at: Mapping[int, float], now: float) -> Step:
    """Return what ends alerts, each at its time."""
    c = alerts.c
    ended = (
        update(alerts)
        .where(c.id.in_(ended_at), c.closed_at.is_(None))
        .values(
            state="ended",
            version=c.version + 1,
            changed_at=now,
            closed_at=case(ended_at, value=c.id, else_=now),
        )
        .returning(alerts)
    )
    return Step(ended, {})


def _asking_nobodys(dialect: str, learned: Collection[Conversation]) -> Step:
    """Return what finds conversations whose alerts no team is known for: hardly any, and each costs an update."""
    keys = {(one.platform, one.conversation_id) for one in learned}
    return Step(finding_nobodys(dialect), keys_among(dialect, CONVERSATION, keys, "nobodys"))


def _stamping(conversation: Conversation, now: float) -> Step:
    """Return what writes agent and team into the alerts of a conversation that nobody's team was known for."""
    c = alerts.c
    stamped = (
        update(alerts)
        .where(
            c.platform == conversation.platform,
            c.conversation_id == conversation.conversation_id,
            c.team == UNASSIGNED,
            literal(conversation.team) != UNASSIGNED,
        )
        .values(
            agent_id=conversation.agent_id,
            agent_name=conversation.agent_name,
            team=conversation.team,
            version=c.version + 1,
            changed_at=now,
        )
        .returning(alerts)
    )
    return Step(stamped, {})
