"""Tencent IM's callbacks before a message is sent: cloud.tencent.com/document/product/269/1632, 1619, 1522.

It waits 2 s, which nobody can change, and then delivers. `Sign` is the SHA-256 of token and `RequestTime`, good for a
minute; it does not cover the body. Callbacks that only tell are thanked for, so that one address may serve all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

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

PLATFORM = "tencent-im"
SINGLE, GROUP = "C2C.CallbackBeforeSendMsg", "Group.CallbackBeforeSendMsg"
SIGNATURE_SECONDS = 60.0
REFUSED = 1
DONE = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
"""Lets a message through, and thanks for what was told."""


def check_signature(request: HookRequest, config: HookConfig) -> None:
    """Raise BadHook where the address' parameters are not signed with our token just now, or are another app's."""
    need_secret(config, "TONEWATCH_TENCENT_IM_TOKEN")
    at = request.query.get("RequestTime", "")
    wanted = [hashlib.sha256(f"{secret}{at}".encode()).hexdigest() for secret in config.secrets]
    if not is_signed(request.query.get("Sign"), wanted):
        raise BadHook(401, "Sign is not the SHA-256 of token and RequestTime")
    if not at.isascii() or not at.isdigit() or abs(request.now - int(at[:15])) > SIGNATURE_SECONDS:
        raise BadHook(401, f"RequestTime is more than {SIGNATURE_SECONDS:g} s from now")
    if config.app_id and request.query.get("SdkAppid") != config.app_id:
        raise BadHook(403, "SdkAppid is another app's")


def read(request: HookRequest, config: HookConfig) -> Asked:
    """Return what is asked: the text of a single or group message. Raises BadHook."""
    check_signature(request, config)
    body = json_object(request.body)
    command = body.get("CallbackCommand") or request.query.get("CallbackCommand")
    if command not in (SINGLE, GROUP):
        return Asked(None, body)
    return Asked(message_in(body, config, in_group=command == GROUP), body)


def message_in(body: Mapping[str, Any], config: HookConfig, *, in_group: bool, **more: Any) -> ChatMessage | None:
    """Return the message of a callback before or after it was sent, None where it has no words. Raises BadHook."""
    texts = _texts(body)
    if not texts:
        return None
    sender, receiver = text_of(body.get("From_Account")), text_of(body.get("To_Account"))
    group = text_of(body.get("GroupId")) if in_group else ""
    seconds = body.get("MsgTime")
    return message_of(
        config,
        PLATFORM,
        sender=sender,
        receiver=receiver if not group else None,
        conversation=group or pair(sender, receiver),
        # A group message has no number yet, but the 32 random bits its client gave it.
        message_id=text_of(body.get("MsgKey")) or text_of(body.get("Random")) or text_of(body.get("MsgRandom")),
        text="\n".join(texts),
        sent_at_ms=seconds * 1000 if isinstance(seconds, int) else _milliseconds(body.get("EventTime")),
        **more,
    )


def _texts(body: Mapping[str, Any]) -> list[str]:
    """Return the texts of a message's elements, in order."""
    elements = body.get("MsgBody")
    return (
        [element["MsgContent"]["Text"] for element in elements if _is_text(element)]
        if isinstance(elements, list)
        else []
    )


def _is_text(element: object) -> bool:
    """Return whether an element of a message has words."""
    if not isinstance(element, dict) or element.get("MsgType") != "TIMTextElem":
        return False
    content = element.get("MsgContent")
    return isinstance(content, dict) and isinstance(content.get("Text"), str)


def _milliseconds(value: object) -> int | None:
    """Return a time that comes as a number or in digits."""
    text = text_of(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def answer(asked: Asked, answered: Answered) -> dict[str, Any]:
    """Return whether the message is let through, and its elements where a text was changed."""
    if answered.action == "allow":
        return dict(DONE)
    if answered.action == "mask" and answered.replacement is not None:
        rest = Replaced(answered.replacement)
        elements = [
            {**element, "MsgContent": {**element["MsgContent"], "Text": rest.next(element["MsgContent"]["Text"])}}
            if _is_text(element)
            else element
            for element in asked.body["MsgBody"]
        ]
        return {**DONE, "MsgBody": elements}
    return {"ActionStatus": "OK", "ErrorInfo": REFUSAL, "ErrorCode": REFUSED}
