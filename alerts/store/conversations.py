"""Rows of conversations: locked by whoever judges a batch, stamped with what calls and chats tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.alert import UNASSIGNED, Conversation
from alerts.store.database import insert
from alerts.store.tables import conversations

ConversationKey = tuple[str, str]
"""(platform, conversation_id)"""

_KEY_COLUMNS = (conversations.c.platform, conversations.c.conversation_id)
_KEY = tuple_(*_KEY_COLUMNS)


async def lock(
    connection: AsyncConnection, new: Mapping[ConversationKey, Mapping[str, Any]]
) -> dict[ConversationKey, Row[Any]]:
    """Make the rows that are not there (`new`: key -> columns), lock all of them and return them.

    In order of key, so that two workers with the same conversations wait for each other and never both.
    """
    found = await _locked(connection, sorted(new))
    missing = sorted(new.keys() - found.keys())
    if missing:
        blank = {"team": UNASSIGNED, "memory": {}}
        rows = [{**blank, **new[key], "platform": key[0], "conversation_id": key[1]} for key in missing]
        await connection.execute(insert(connection, conversations).on_conflict_do_nothing(), rows)
        found |= await _locked(connection, missing)
    return found


async def _locked(connection: AsyncConnection, keys: Sequence[ConversationKey]) -> dict[ConversationKey, Row[Any]]:
    """Lock the rows that are there, in the order of `keys`, and return them."""
    query = select(conversations).where(_KEY.in_(keys)).order_by(*_KEY_COLUMNS)
    rows = await connection.execute(query.with_for_update())
    return {(row.platform, row.conversation_id): row for row in rows}


async def write(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows back: each with `platform`, `conversation_id` and the same other columns."""
    if not rows:
        return
    c = conversations.c
    names = [name for name in rows[0] if name not in ("platform", "conversation_id")]
    statement = update(conversations).where(
        c.platform == bindparam("key_platform"), c.conversation_id == bindparam("key_conversation")
    )
    await connection.execute(
        statement.values({name: bindparam(f"to_{name}") for name in names}),
        [
            {"key_platform": row["platform"], "key_conversation": row["conversation_id"]}
            | {f"to_{name}": row[name] for name in names}
            for row in rows
        ],
    )


def conversation_of(row: Any) -> Conversation:
    """Return what a row says about whose conversation it is."""
    return Conversation(
        platform=row.platform,
        conversation_id=row.conversation_id,
        kind=row.kind,
        agent_id=row.agent_id,
        agent_name=row.agent_name,
        team=row.team,
        queue=row.queue,
        language=row.language,
    )
