"""One conversation as it went: every message in its place, with what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope
from alerts.store.scope import within
from alerts.store.tables import conversations, hits, interceptions, messages, scores, violations

MOST_MESSAGES = 1000
"""Of a longer conversation the newest are shown."""

_OUTCOME_OF_ACTION = {"block": "intercepted", "mask": "replaced", "review": "held", "allow": "delivered"}


async def read_conversation(
    connection: AsyncConnection, scope: Scope, platform: str, conversation_id: str
) -> dict[str, Any] | None:
    """Return the conversation's row without its memory; None where it is not, or not for `scope` to see."""
    c = conversations.c
    columns = [column for column in c if column.name not in ("memory", "due_at")]
    query = select(*columns).where(c.platform == platform, c.conversation_id == conversation_id)
    row = (await connection.execute(query.where(within(scope, conversations)))).mappings().one_or_none()
    return None if row is None else dict(row)


async def read_messages(connection: AsyncConnection, platform: str, conversation_id: str) -> list[dict[str, Any]]:
    """Return the messages in the order of the conversation; only for whom `read_conversation` returned it."""
    m = messages.c
    query = select(messages).where(m.platform == platform, m.conversation_id == conversation_id)
    rows = (await connection.execute(query.order_by(m.arrived_at.desc(), m.id.desc()).limit(MOST_MESSAGES))).all()
    # Turns come when the recogniser is done with them; what was said first has to stand first.
    rows = sorted(
        rows, key=lambda row: (row.start_seconds if row.start_seconds is not None else row.arrived_at, row.id)
    )
    ids = [row.id for row in rows]
    stopped = await _of_messages(connection, interceptions, ids)
    violated = await _of_messages(connection, violations, ids)
    found = await _of_messages(connection, hits, ids)
    return [_message(row, stopped[row.id], violated[row.id], found[row.id]) for row in rows]


async def _of_messages(connection: AsyncConnection, table: Any, ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    """Return the rows of `table` that belong to messages, by message."""
    by_message: dict[int, list[Row[Any]]] = defaultdict(list)
    if ids:
        for row in await connection.execute(select(table).where(table.c.message.in_(ids))):
            by_message[row.message].append(row)
    return by_message


def _message(
    row: Row[Any], stopped: Sequence[Row[Any]], violated: Sequence[Row[Any]], found: Sequence[Row[Any]]
) -> dict[str, Any]:
    """Return one message in the form of GET /api/conversations; its text is as written, not masked."""
    outcome, intercepted_by = _outcome(row, stopped, bool(violated))
    finding = next(iter((*stopped, *violated)), None)
    return {
        "id": row.id,
        "message_id": row.message_id,
        "kind": row.kind,
        "side": row.side,
        "sender_name": row.sender_name,
        "text": row.text,
        "delivered_text": row.delivered_text,
        "at": row.sent_at if row.sent_at is not None else row.arrived_at,
        "start_seconds": row.start_seconds,
        "delivery": row.delivery,
        "action": row.action,
        "spans": row.spans,
        "outcome": outcome,
        "intercepted_by": intercepted_by,
        "attempt": finding.attempt if finding is not None else 0,
        "policy_version": row.policy_version,
        "hits": [
            {"phrase_id": hit.phrase_id, "category": hit.category, "severity": hit.severity, "how": hit.how}
            for hit in sorted(found, key=lambda hit: hit.position)
        ],
    }


def _outcome(row: Row[Any], stopped: Sequence[Row[Any]], is_violation: bool) -> tuple[str, str | None]:
    """Return what became of a message and who stopped it."""
    if is_violation:
        return "violation", None
    by = {finding.intercepted_by for finding in stopped}
    if "platform" in by or row.delivery in ("intercepted", "replaced"):
        return ("replaced" if row.delivery == "replaced" else "intercepted"), "platform"
    if row.delivery == "pending" and row.action != "allow":
        return _OUTCOME_OF_ACTION[row.action], "us"
    return "delivered", None


async def read_scores(connection: AsyncConnection, conversation_id: str, seconds: float) -> list[dict[str, Any]]:
    """Return the kept scores of the last `seconds` of a call's own time, oldest first."""
    s = scores.c
    query = select(s.at_seconds, s.sides).where(s.conversation_id == conversation_id).order_by(s.at_seconds.desc())
    rows = (await connection.execute(query.limit(int(seconds)))).all()
    start = rows[0].at_seconds - seconds if rows else 0.0
    return [{"at_seconds": row.at_seconds, "sides": row.sides} for row in reversed(rows) if row.at_seconds > start]
