"""Messages and what was found in them: the rows that one batch reads and writes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.database import insert
from alerts.store.tables import hits, interceptions, messages, violations


class TextKey(NamedTuple):
    """The identity of a text: an edited message is another text under its old id, a redelivery is not."""

    platform: str
    conversation_id: str
    message_id: str
    text_sha256: bytes


def text_key(platform: str, conversation_id: str, message_id: str, text: str) -> TextKey:
    """Return the identity of a text."""
    return TextKey(platform, conversation_id, message_id, hashlib.sha256(text.encode()).digest())


async def find(connection: AsyncConnection, keys: Collection[TextKey]) -> dict[TextKey, Row[Any]]:
    """Return the rows that are there already, by key."""
    c = messages.c
    wanted = tuple_(c.platform, c.conversation_id, c.message_id).in_({key[:3] for key in keys})
    rows = (await connection.execute(select(messages).where(wanted))).all()
    found = {TextKey(row.platform, row.conversation_id, row.message_id, bytes(row.text_sha256)): row for row in rows}
    return {key: found[key] for key in keys if key in found}


async def add(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> dict[TextKey, int]:
    """Insert messages and return their ids by key; the unique key refuses a second row of a text."""
    if not rows:
        return {}
    c = messages.c
    # As a list of parameters, not as VALUES of its own: the statement is then compiled once, not for every batch.
    statement = insert(connection, messages).returning(c.id, c.platform, c.conversation_id, c.message_id, c.text_sha256)
    result = await connection.execute(statement, [dict(row) for row in rows])
    return {TextKey(platform, conversation, name, bytes(sha)): id_ for id_, platform, conversation, name, sha in result}


async def move_deliveries(connection: AsyncConnection, moves: Mapping[int, tuple[str, str | None]]) -> None:
    """Write what became of messages: id -> (delivery, text that was delivered instead)."""
    if not moves:
        return
    statement = update(messages).where(messages.c.id == bindparam("key"))
    await connection.execute(
        statement.values(delivery=bindparam("to"), delivered_text=bindparam("instead")),
        [{"key": key, "to": delivery, "instead": text} for key, (delivery, text) in moves.items()],
    )


async def add_hits(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the hits of stopped or violating messages, for counts by phrase."""
    if rows:
        await connection.execute(insert(connection, hits).on_conflict_do_nothing(), [dict(row) for row in rows])


async def add_interceptions(
    connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, str], int]:
    """Insert interceptions and return id by (message, intercepted_by), of those that were not there."""
    if not rows:
        return {}
    c = interceptions.c
    statement = insert(connection, interceptions).on_conflict_do_nothing().returning(c.id, c.message, c.intercepted_by)
    result = await connection.execute(statement, [dict(row) for row in rows])
    return {(message, by): id_ for id_, message, by in result}


async def add_violations(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Insert violations and return id by message, of those that were not there."""
    if not rows:
        return {}
    c = violations.c
    statement = insert(connection, violations).on_conflict_do_nothing().returning(c.id, c.message)
    result = await connection.execute(statement, [dict(row) for row in rows])
    return {message: id_ for id_, message in result}


async def mark_delivered(connection: AsyncConnection, message_ids: Collection[int], at: float) -> None:
    """Note on our interceptions that the platform delivered the text all the same."""
    if message_ids:
        c = interceptions.c
        await connection.execute(
            update(interceptions)
            .where(c.message.in_(message_ids), c.intercepted_by == "us", c.delivered_at.is_(None))
            .values(delivered_at=at)
        )
