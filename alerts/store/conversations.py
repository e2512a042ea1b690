"""Rows of conversations: locked by whoever judges a batch, stamped with what calls and chats tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.alert import UNASSIGNED, Conversation
from alerts.store.many import Step, among, inserting, keys_among, skipping_known, updating
from alerts.store.tables import conversations

ConversationKey = tuple[str, str]
"""(platform, conversation_id)"""

_KEY = (conversations.c.platform, conversations.c.conversation_id)


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
        await connection.execute(*inserting(connection, conversations, rows, skipping_known))
        found |= await _locked(connection, missing)
    return found


@cache
def _locking(dialect: str) -> Select[Any]:
    return select(conversations).where(among(dialect, _KEY)).order_by(*_KEY).with_for_update()


async def _locked(connection: AsyncConnection, keys: Sequence[ConversationKey]) -> dict[ConversationKey, Row[Any]]:
    """Lock the rows that are there, in the order of `keys`, and return them."""
    dialect = connection.dialect.name
    rows = await connection.execute(_locking(dialect), keys_among(dialect, _KEY, keys))
    return {(row.platform, row.conversation_id): row for row in rows}


def writing(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> Step:
    """Return the step that writes rows back: each has `platform`, `conversation_id` and the same other columns."""
    return updating(connection, conversations, _KEY, rows)


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
