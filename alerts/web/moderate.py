"""POST /v1/moderate: a platform asks what to do with a message, and is answered after the commit, without Kafka."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field, ValidationError

from alerts.bodies import VerdictBody
from alerts.config import FailPolicy
from alerts.intake.schema import ChatMessage, explain
from alerts.web.bodies import refusals, takes
from alerts.web.checks import Asking, arrival, check, read_body, refusal
from alerts.web.context import Here, Web

router = APIRouter(prefix="/v1", tags=["verdicts"])

VIA = "moderate"
LATE_ACTIONS = {"open": "allow", "closed": "review"}


class CheckVerdict(VerdictBody):
    """The verdict's own bytes, as on `chat.verdicts`; or, too late, what fail_policy says."""

    unverified: bool = Field(
        False, description="true: the deadline came first, nothing was read of it; it is judged afterwards"
    )


@router.post(
    "/moderate",
    response_model=CheckVerdict,
    responses=refusals(401, 403, 413, 503),
    openapi_extra=takes(ChatMessage, "message_id"),
)
async def moderate(web: Here, caller: Asking, request: Request) -> Response:
    """Judge and keep a message, and say what to do with it; the same message again gets the same bytes."""
    began = arrival()
    platform = caller.platform(web, VIA)
    message = _checked(web, platform, await read_body(web, VIA, request))
    verdict = await check(web, VIA, message, began)
    body = verdict.value if verdict is not None else _late(web, message, began)
    return Response(body, media_type="application/json")


def _checked(web: Web, platform: str, body: bytes) -> ChatMessage:
    """Return the message of a body. Raises 422, and 403 for another platform's."""
    try:
        message = ChatMessage.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError:
        raise refusal(web, VIA, 422, "The body is not JSON in UTF-8") from None
    except ValidationError as error:
        raise refusal(web, VIA, 422, explain(error)) from None
    if message.message_id is None:
        raise refusal(web, VIA, 422, "message_id: is missing; by it the same question gets the same answer")
    if "platform" in message.model_fields_set and message.platform != platform:
        raise refusal(web, VIA, 403, f"This key is of platform {platform}; leave platform out or use another key")
    return message.model_copy(update={"platform": platform})


def _late(web: Web, message: ChatMessage, began: float) -> bytes:
    """Return what is said instead of a verdict that came too late."""
    policy: FailPolicy = web.config.hook(VIA).fail_policy
    body: dict[str, Any] = {
        "message_id": message.message_id,
        "conversation_id": message.conversation_id,
        "platform": message.platform,
        "action": LATE_ACTIONS[policy],
        "replacement": None,
        "reasons": [],
        "policy_version": web.policy_version(),
        "decided_at": datetime.fromtimestamp(web.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "latency_ms": round((arrival() - began) * 1000, 1),
        "unverified": True,
    }
    return orjson.dumps(body)
