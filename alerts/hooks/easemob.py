"""Easemob's callback before a message is sent (环信 发送前回调): doc.easemob.com, `callback_presending`.

It waits 200 ms by default, counts an answer of more than 1,000 characters as an attack, and then does what the rule in
its console says of failures. `security` is the MD5 of callId, secret and timestamp; the text is not part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from alerts.config import HookConfig
from alerts.hooks.hook import (
    REFUSAL,
    Answered,
    Asked,
    BadHook,
    HookRequest,
    Replaced,
    is_signed,
    json_object,
    message_of,
    need_secret,
    pair,
    text_of,
)
from alerts.intake.schema import ChatMessage

PLATFORM = "easemob"
LONGEST_ANSWER = 1000
"""Characters; and a text that was changed may have at most 1 KB."""
LONGEST_CHANGED_BYTES = 1024
PASSED = "HX:10000"


def check_signature(body: Mapping[str, Any], config: HookConfig) -> None:
    """Raise BadHook where `security` is not the signature of one of our secrets."""
    need_secret(config, "TONEWATCH_EASEMOB_SECRET")
    call, at = text_of(body.get("callId")), text_of(body.get("timestamp"))
    wanted = [hashlib.md5(f"{call}{secret}{at}".encode()).hexdigest() for secret in config.secrets]
    if not is_signed(body.get("security"), wanted):
        raise BadHook(401, "security is not the MD5 of callId, secret and timestamp")


def read(request: HookRequest, config: HookConfig) -> Asked:
    """Return what is asked: the text of a message of two, a group or a chat room. Raises BadHook."""
    body = json_object(request.body)
    check_signature(body, config)
    return Asked(message_in(body, config), body)


def message_in(body: Mapping[str, Any], config: HookConfig, **more: Any) -> ChatMessage | None:
    """Return the message of a callback before or after it was sent, None where it has no words. Raises BadHook."""
    texts = [part["msg"] for part in _parts(body) if _is_text(part)]
    if not texts:
        return None
    sender, receiver = text_of(body.get("from")), text_of(body.get("to"))
    is_single = body.get("chat_type") == "chat"
    return message_of(
        config,
        PLATFORM,
        sender=sender,
        receiver=receiver if is_single else None,
        conversation=pair(sender, receiver) if is_single else text_of(body.get("group_id")) or receiver,
        message_id=text_of(body.get("msg_id")),
        text="\n".join(texts),
        sent_at_ms=body.get("timestamp"),
        **more,
    )


def _parts(body: Mapping[str, Any]) -> list[Any]:
    """Return what a message is made of: its payload itself, or, as older servers write it, the payload's `bodies`."""
    payload = body.get("payload")
    if not isinstance(payload, dict):
        return []
    bodies = payload.get("bodies")
    return bodies if isinstance(bodies, list) else [payload]


def _is_text(part: object) -> bool:
    """Return whether a part of a message has words."""
    return isinstance(part, dict) and part.get("type") == "txt" and isinstance(part.get("msg"), str)


def _changed(body: dict[str, Any], replacement: str) -> dict[str, Any]:
    """Return the payload with its texts replaced."""
    rest = Replaced(replacement)
    parts = [{**part, "msg": rest.next(part["msg"])} if _is_text(part) else part for part in _parts(body)]
    payload: dict[str, Any] = body["payload"]
    return {**payload, "bodies": parts} if isinstance(payload.get("bodies"), list) else parts[0]


def answer(asked: Asked, answered: Answered) -> dict[str, Any]:
    """Return whether the message is valid, and its payload where that was changed."""
    if answered.action == "allow":
        return {"valid": True, "code": PASSED}
    if answered.action == "mask" and answered.replacement is not None:
        payload = _changed(dict(asked.body), answered.replacement)
        changed = {"valid": True, "code": PASSED, "payload": payload}
        fits = len(orjson.dumps(payload)) <= LONGEST_CHANGED_BYTES
        if fits and len(orjson.dumps(changed).decode()) <= LONGEST_ANSWER:
            return changed
    return {"valid": False, "code": REFUSAL}
