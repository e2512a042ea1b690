"""Messages and what was found in them: the rows that one batch reads and writes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Insert, Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.many import AnyInsert, Step, among, inserting, keys_among, skipping_known, updating
from alerts.store.round_trip import Writer
from alerts.store.tables import hits, interceptions, messages, violations


class TextKey(NamedTuple):
    """The identity of a text: an edited message is another text under its old id, a redelivery is not."""

    platform: str
    conversation_id: str
    message_id: str
    text_sha256: bytes


class KnownText(Exception):
    """A text that was to be added is there already."""


def text_key(platform: str, conversation_id: str, message_id: str, text: str) -> TextKey:
    """Return the identity of a text."""
    return TextKey(platform, conversation_id, message_id, hashlib.sha256(text.encode()).digest())


_TEXT = tuple(messages.c[name] for name in TextKey._fields)


@cache
def _finding(dialect: str) -> Select[Any]:
    return select(messages).where(among(dialect, _TEXT))


async def find(connection: AsyncConnection, keys: Collection[TextKey]) -> dict[TextKey, Row[Any]]:
    """Return the rows that are there already, by key."""
    dialect = connection.dialect.name
    rows = await connection.execute(_finding(dialect), keys_among(dialect, _TEXT, keys))
    return {TextKey(row.platform, row.conversation_id, row.message_id, bytes(row.text_sha256)): row for row in rows}


def _with_id(statement: AnyInsert) -> Insert:
    c = messages.c
    return skipping_known(statement).returning(c.id, c.platform, c.conversation_id, c.message_id, c.text_sha256)


def adding(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]], *beside: Step) -> Writer[dict[TextKey, int]]:
    """Insert messages, at least one and no text twice, and return their ids by key. Raises KnownText."""
    added, *_ = yield [inserting(connection, messages, rows, _with_id), *beside]
    # By place: a row's names are looked up one by one.
    ids = {TextKey(platform, name, message, bytes(sha)): id_ for id_, platform, name, message, sha in added}
    if len(ids) < len(rows):
        raise KnownText
    return ids


def moving_deliveries(connection: AsyncConnection, moves: Mapping[int, tuple[str, str | None]]) -> Writer[None]:
    """Write what became of messages: id -> (delivery, text that was delivered instead)."""
    rows = [{"id": id_, "delivery": delivery, "delivered_text": text} for id_, (delivery, text) in moves.items()]
    if rows:
        yield [updating(connection, messages, (messages.c.id,), rows)]


def adding_hits(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> Step:
    """Return the insertion of the hits of stopped or violating messages, for counts by phrase."""
    return inserting(connection, hits, rows, skipping_known)


def _new_interceptions(statement: AnyInsert) -> Insert:
    c = interceptions.c
    return skipping_known(statement).returning(c.id, c.message, c.intercepted_by)


def adding_interceptions(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> Step:
    """Return the insertion of interceptions; of those that were not there it returns id, message, intercepted_by."""
    return inserting(connection, interceptions, rows, _new_interceptions)


def _new_violations(statement: AnyInsert) -> Insert:
    return skipping_known(statement).returning(violations.c.id, violations.c.message)


def adding_violations(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> Step:
    """Return the insertion of violations; of those that were not there it returns id and message."""
    return inserting(connection, violations, rows, _new_violations)


def marking_delivered(message_ids: Collection[int], at: float) -> Writer[None]:
    """Note on our interceptions that the platform delivered the text all the same."""
    if message_ids:
        c = interceptions.c
        found = (c.message.in_(message_ids), c.intercepted_by == "us", c.delivered_at.is_(None))
        yield [Step(update(interceptions).where(*found).values(delivered_at=at), {})]
