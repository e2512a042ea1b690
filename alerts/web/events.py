"""Where platforms tell what they themselves did with a message: into `chat.messages`, for the chat worker to keep.

Each speaks its own words; see `alerts.intake`. Who tells shows an API key of that platform, or signs as it signs its
checks. What is no message is thanked for: a platform tries again on anything but 200.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from alerts.config import HookConfig
from alerts.hooks import easemob, stream_chat, tencent_im
from alerts.hooks.hook import BadHook, HookRequest, json_object
from alerts.intake.maps import MAPS
from alerts.intake.schema import ChatMessage, Delivery
from alerts.web.bodies import refusals
from alerts.web.checks import Asking, read_body, refusal
from alerts.web.context import Here, Web

router = APIRouter(prefix="/v1/events", tags=["hooks"])

Platform = Literal["easemob", "tencent-im", "stream", "cometchat", "wecom", "amazon-connect"]
KAFKA_SECONDS = 1.5
"""How long an answer waits for Kafka; platforms give up after 2 s or more."""
OFFENDED = frozenset({easemob.PLATFORM})
"""Tells nothing for minutes after 90 failures within 30 s (`callback_postsending`), so it is told none of Kafka."""
BAD_EVENT = 400


class EventAnswer(BaseModel):
    """What was taken of an event; Tencent IM's own fields stand beside."""

    model_config = ConfigDict(extra="allow")

    taken: Delivery | None = Field(description="what it says became of the message; null: nothing was taken")
    conversation_id: str | None = None
    message_id: str | None = None
    because: str | None = Field(None, description="why nothing was taken")


@router.post(
    "/{platform}",
    response_model=EventAnswer,
    response_model_exclude_unset=True,
    responses=refusals(BAD_EVENT, 401, 403, 413, 503),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def platform_event(platform: Platform, web: Here, caller: Asking, request: Request) -> dict[str, Any]:
    """Take what a platform tells of a message it stopped, replaced or delivered; told twice it is kept once."""
    if caller.key is not None:
        caller.must_be(web, platform, platform)
    taken = await take(web, platform, request, is_signed=caller.key is None)
    return {**taken, **(tencent_im.DONE if platform == tencent_im.PLATFORM else {})}


async def take(web: Web, platform: str, request: Request, *, is_signed: bool) -> dict[str, Any]:
    """Return what was taken of an event, once Kafka has it; `is_signed`: no key was shown. Raises HTTPException."""
    body = await read_body(web, platform, request)
    query, headers = dict(request.query_params), dict(request.headers)
    told = HookRequest(query=query, headers=headers, body=body, now=web.now())
    try:
        event = _opened(platform, told, web.config.hook(platform), is_signed=is_signed)
        reported = MAPS[platform].read(event, web.config.hook(platform))
    except BadHook as bad:
        raise refusal(web, platform, BAD_EVENT if bad.status == 422 else bad.status, str(bad)) from None
    message = reported.message
    if message is not None and message.message_id is None:
        raise refusal(web, platform, BAD_EVENT, "the message's id: is missing; by it what is told twice is kept once")
    if message is not None:
        await _hand_on(web, platform, message)
    web.checks.events.labels(platform=platform, taken=message.delivery if message else "nothing").inc()
    if message is None:
        return {"taken": None, "because": reported.because}
    return {"taken": message.delivery, "conversation_id": message.conversation_id, "message_id": message.message_id}


def _opened(platform: str, told: HookRequest, config: HookConfig, *, is_signed: bool) -> dict[str, Any]:
    """Return the event of a request; `is_signed` where no key was shown. Raises BadHook."""
    if platform == stream_chat.PLATFORM:
        body = stream_chat.signed_body(told, config) if is_signed else stream_chat.unpacked(told, config)
        return json_object(body)
    if platform == tencent_im.PLATFORM:
        if is_signed:
            tencent_im.check_signature(told, config)
        event = json_object(told.body)
        command = event.get("CallbackCommand") or told.query.get("CallbackCommand")
        return {**event, "CallbackCommand": command}
    event = json_object(told.body)
    if is_signed and platform == easemob.PLATFORM:
        easemob.check_signature(event, config)
    elif is_signed:
        raise BadHook(401, "No valid API key; send it as Authorization: Bearer KEY")
    return event


async def _hand_on(web: Web, platform: str, message: ChatMessage) -> None:
    """Return once Kafka has the message. Raises 503; it is kept here even then, and told again it is still one."""
    if web.late.is_full:
        raise refusal(web, platform, 503, "Kafka takes no messages; nothing is known of this one")
    if not await web.late.take(message, KAFKA_SECONDS) and platform not in OFFENDED:
        raise refusal(web, platform, 503, "Kafka has not taken it yet; tell it again, it will be kept once")
