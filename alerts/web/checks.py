"""A message is checked over HTTP: who may ask, what is read of a request, and an answer before the deadline."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer

from alerts.intake.schema import ChatMessage
from alerts.judge import incoming_message
from alerts.moderate import Verdict
from alerts.verdict_queue import NotKept
from alerts.web.context import Web

SHARE_OF_VERDICT = 0.75
"""Of the deadline, for the verdict; the rest is for handing a late message to Kafka before it is answered."""
_bearer = HTTPBearer(auto_error=False, description="a key of `tonewatch key add`")
_basic = HTTPBasic(auto_error=False, description="the key as password, for who can only write it into an address")


def refusal(web: Web, via: str, status: int, detail: str) -> HTTPException:
    """Return a refusal to be raised, counted."""
    web.checks.refused.labels(via=via, status=str(status)).inc()
    return HTTPException(status, detail, headers={"WWW-Authenticate": "Bearer"} if status == 401 else None)


@dataclass(frozen=True, slots=True)
class Caller:
    """What somebody who asks has shown."""

    key: str | None
    """None where nothing was shown: a platform may have signed instead."""

    def platform(self, web: Web, via: str) -> str:
        """Return the platform of the key. Raises 401 where it is none, 503 while the keys are not known."""
        if not web.keys.is_loaded:
            raise refusal(web, via, 503, "The server is starting; try again in a second")
        platform = web.keys.platform_of(self.key) if self.key else None
        if platform is None:
            raise refusal(web, via, 401, "No valid API key; send it as Authorization: Bearer KEY")
        return platform

    def must_be(self, web: Web, via: str, platform: str) -> None:
        """Raise 403 where the key is another platform's, and what `platform` raises."""
        theirs = self.platform(web, via)
        if theirs != platform:
            raise refusal(web, via, 403, f"This key is of platform {theirs}; here one of {platform} is needed")


async def _caller(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    basic: Annotated[HTTPBasicCredentials | None, Depends(_basic)],
) -> Caller:
    return Caller(bearer.credentials if bearer else basic.password if basic else None)


Asking = Annotated[Caller, Depends(_caller)]
"""A route's parameter: who asks, by an API key."""


async def read_body(web: Web, via: str, request: Request) -> bytes:
    """Return a request's body. Raises 413 without reading on where it is too long."""
    most = web.config.hook(via).most_bytes
    declared = request.headers.get("content-length", "")
    size, parts = 0, []
    too_long = declared.isdigit() and int(declared[:15]) > most
    if not too_long:
        async for part in request.stream():
            size += len(part)
            if too_long := size > most:
                break
            parts.append(part)
    if too_long:
        raise refusal(web, via, 413, f"The body is longer than {most} bytes")
    return b"".join(parts)


async def check(web: Web, via: str, message: ChatMessage, began: float) -> Verdict | None:
    """Return the committed verdict on a message, None where the deadline came first.

    `began` is the loop's time at which the request arrived. A late message is in Kafka on return, if Kafka takes it
    in the time that is left; otherwise this process keeps it until it does. It is then `unverified` where the
    platform is told to deliver it; where it is told not to, it stays `pending`: nobody has it. Raises HTTPException.
    """
    config, loop = web.config.hook(via), asyncio.get_running_loop()
    ends = began + config.deadline_seconds
    if message.message_id is None:
        message = message.model_copy(update={"message_id": f"http:{uuid4().hex}"})
    incoming = incoming_message(message, source="", arrived_at=web.now())
    try:
        verdict = await web.verdicts.ask(incoming, (ends - loop.time()) * SHARE_OF_VERDICT)
    except NotKept as error:
        raise refusal(web, via, 422, f"The database refuses this message: {error}") from None
    if verdict is not None:
        web.checks.verdicts.labels(via=via, action=verdict.action, repeat=str(verdict.is_repeat).lower()).inc()
        if verdict.intercepted_by is not None:
            web.checks.intercepted.labels(action=verdict.action, by=verdict.intercepted_by).inc()
    else:
        if web.late.is_full:
            raise refusal(web, via, 503, "Neither the database nor Kafka takes messages; nothing is known of this one")
        if config.fail_policy == "open" and message.delivery == "pending":
            message = message.model_copy(update={"delivery": "unverified"})
        web.checks.late.labels(via=via, policy=config.fail_policy).inc()
        await web.late.take(message, ends - loop.time())
    web.checks.seconds.labels(via=via).observe(loop.time() - began)
    return verdict


def arrival() -> float:
    """Return the loop's time: a route's first line takes it."""
    return asyncio.get_running_loop().time()
