"""One conversation with its messages, alerts and scores, masked; unmasked only for a reason that is written down."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.masking import mask_optional, mask_text
from alerts.store import audit
from alerts.store.alert_log import alerts_of_conversation
from alerts.store.conversation_view import read_conversation, read_messages, read_scores
from alerts.store.database import reading, writing
from alerts.strips import KEPT_SECONDS
from alerts.web.bodies import ConversationView, Unmask, Word, refusals
from alerts.web.context import Here, Web
from alerts.web.login import SignedIn, Who

router = APIRouter(prefix="/api/conversations", tags=["conversations"])

_REFUSALS = refusals(401, 403, 404)


@router.get("/{platform}/{conversation_id:path}", response_model=ConversationView, responses=_REFUSALS)
async def conversation(platform: Word, conversation_id: Word, web: Here, who: Who) -> dict[str, Any]:
    """Return the conversation; its texts masked."""
    async with reading(web.engine) as connection:
        return _masked(await _view(connection, web, who, platform, conversation_id))


@router.post(
    "/{platform}/{conversation_id:path}/unmask", response_model=ConversationView, responses=_REFUSALS | refusals(400)
)
async def unmask(platform: Word, conversation_id: Word, wanted: Unmask, web: Here, who: Who) -> dict[str, Any]:
    """Return the conversation as it was written, and note who wanted to read it and why."""
    who.need("unmask")
    async with writing(web.engine) as connection:
        view = await _view(connection, web, who, platform, conversation_id)
        await audit.record(
            connection,
            who=who.user.login,
            what="unmask",
            object=f"conversation:{platform}/{conversation_id}",
            detail={"reason": wanted.reason},
            now=web.now(),
            address=who.address,
        )
    return view


async def _view(
    connection: AsyncConnection, web: Web, who: SignedIn, platform: str, conversation_id: str
) -> dict[str, Any]:
    """Return what there is to see, not masked. Raises 404 for what is not, or not for this person."""
    row = await read_conversation(connection, who.scope, platform, conversation_id)
    if row is None:
        raise HTTPException(404, "No such conversation")
    found = await alerts_of_conversation(connection, who.scope, platform, conversation_id)
    strip = web.strips.get(conversation_id) if row["kind"] == "call" else None
    if strip is not None:
        scores = strip.moments()
    else:
        scores = await read_scores(connection, conversation_id, KEPT_SECONDS) if row["kind"] == "call" else []
    return {
        "conversation": row,
        "messages": await read_messages(connection, platform, conversation_id),
        "alerts": await web.presenter.alerts(connection, found),
        "scores": scores,
    }


def _masked(view: dict[str, Any]) -> dict[str, Any]:
    """Hide personal numbers in what people wrote and in the customer's id."""
    row = view["conversation"]
    return view | {
        "conversation": row | {"customer_id": mask_optional(row["customer_id"])},
        "messages": [
            message | {"text": mask_text(message["text"]), "delivered_text": mask_optional(message["delivered_text"])}
            for message in view["messages"]
        ],
    }
