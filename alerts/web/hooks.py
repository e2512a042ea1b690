"""Where chat platforms ask before they deliver a message, each in its own words; see `alerts.hooks`."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request, Response

from alerts.hooks import easemob, openim, stream_chat, tencent_im
from alerts.hooks.hook import Answered, Asked, BadHook, Hook, HookRequest
from alerts.intake.tencent_im import TOLD
from alerts.web.bodies import WITHOUT_NUL, refusals
from alerts.web.checks import Asking, arrival, check, read_body, refusal
from alerts.web.context import Here, Web
from alerts.web.events import BAD_EVENT, take

router = APIRouter(prefix="/v1/hooks", tags=["hooks"])

Command = Annotated[str, Path(max_length=100, pattern=WITHOUT_NUL)]
_TAKEN: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
_CHECKED: dict[str, Any] = {
    "response_model": dict[str, Any],
    "responses": refusals(401, 403, 413, 503),
    "openapi_extra": _TAKEN,
}


@router.post("/openim", **_CHECKED)
async def openim_hook(web: Here, caller: Asking, request: Request) -> Response:
    """Answer OpenIM before it sends a message, where what stands between leaves out the callback's name."""
    began = arrival()
    caller.must_be(web, openim.PLATFORM, openim.PLATFORM)
    return await _answer(web, openim, request, began)


@router.post("/openim/{command}", **_CHECKED)
async def openim_command(command: Command, web: Here, caller: Asking, request: Request) -> Response:
    """Answer OpenIM before it sends a message; `http://openim:KEY@HOST:PORT/v1/hooks/openim` is its webhook's `url`."""
    return await openim_hook(web, caller, request)


@router.post("/easemob", **_CHECKED)
async def easemob_hook(web: Here, request: Request) -> Response:
    """Answer Easemob before it sends a message (发送前回调)."""
    return await _answer(web, easemob, request, arrival())


@router.post("/tencent-im", **(_CHECKED | {"responses": refusals(BAD_EVENT, 401, 403, 413, 503)}))
async def tencent_im_hook(web: Here, request: Request) -> Response:
    """Answer Tencent IM before it sends a message; it has one address for all, so what it tells afterwards is taken."""
    if request.query_params.get("CallbackCommand") in TOLD:
        await take(web, tencent_im.PLATFORM, request, is_signed=True)
        return Response(orjson.dumps(tencent_im.DONE), media_type="application/json")
    return await _answer(web, tencent_im, request, arrival())


@router.post("/stream", **_CHECKED)
async def stream_hook(web: Here, request: Request) -> Response:
    """Answer Stream before it sends a message."""
    return await _answer(web, stream_chat, request, arrival())


async def _answer(web: Web, hook: Hook, request: Request, began: float) -> Response:
    """Read, check and answer one request."""
    via = hook.PLATFORM
    body = await read_body(web, via, request)
    query, headers = dict(request.query_params), dict(request.headers)
    asking = HookRequest(query=query, headers=headers, body=body, now=web.now())
    try:
        asked = hook.read(asking, web.config.hook(via))
    except BadHook as bad:
        raise refusal(web, via, bad.status, str(bad)) from None
    answered = await _answered(web, via, asked, began)
    return Response(orjson.dumps(hook.answer(asked, answered)), media_type="application/json")


async def _answered(web: Web, via: str, asked: Asked, began: float) -> Answered:
    """Return what is to be said about what was asked."""
    if asked.message is None:
        return Answered("allow")
    verdict = await check(web, via, asked.message, began)
    if verdict is None:
        return Answered("allow" if web.config.hook(via).fail_policy == "open" else "review")
    said = orjson.loads(verdict.value)
    return Answered(said["action"], said["replacement"])
