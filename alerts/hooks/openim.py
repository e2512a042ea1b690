"""OpenIM's callbacks before a message is sent: docs.openim.io, webhooks `callbackBeforeSendSingleMsgCommand` and group.

OpenIM signs nothing: who asks shows an API key, written into the callback's address as its password
(`url: http://openim:KEY@HOST:8400/v1/hooks/openim`). These callbacks cannot change a text, so what is to be masked is
refused. Its `failedContinue` is read nowhere in its source: a callback that fails stops the message.
"""

from __future__ import annotations

from typing import Any

import orjson

from alerts.config import HookConfig
from alerts.hooks.hook import REFUSAL, Answered, Asked, HookRequest, json_object, message_of, pair, text_of

PLATFORM = "openim"
COMMANDS = ("callbackBeforeSendSingleMsgCommand", "callbackBeforeSendGroupMsgCommand")
REFUSED_CODE = 5001
"""The documentation leaves 5000 to 9999 to us."""
_GROUP_PREFIX = {2: "g_", 3: "sg_"}
"""By `sessionType`, as OpenIM names the conversation itself: an ordinary group, a super group."""


def read(request: HookRequest, config: HookConfig) -> Asked:
    """Return what is asked: the text of a single or group message. Raises BadHook."""
    body = json_object(request.body)
    command = body.get("callbackCommand")
    # One address serves all callbacks of OpenIM; what it asks of us beyond texts is let through.
    text = _text(body.get("content")) if command in COMMANDS else None
    if text is None:
        return Asked(None, body)
    sender, receiver = text_of(body.get("sendID")), text_of(body.get("recvID"))
    group = text_of(body.get("groupID")) if command == COMMANDS[1] else ""
    kind = body.get("sessionType")
    prefix = _GROUP_PREFIX.get(kind, "sg_") if isinstance(kind, int) else "sg_"
    message = message_of(
        config,
        PLATFORM,
        sender=sender,
        receiver=receiver if not group else None,
        conversation=prefix + group if group else "si_" + pair(sender, receiver),
        # The client's own id stays the same when it sends again; the server's is a new one each time.
        message_id=text_of(body.get("clientMsgID")) or text_of(body.get("serverMsgID")),
        text=text,
        sent_at_ms=body.get("sendTime") or body.get("createTime"),
        name=text_of(body.get("senderNickname"))[:256],
    )
    return Asked(message, body)


def _text(content: object) -> str | None:
    """Return the words of a message's content: JSON with them in it, or, as the documentation shows it, plain text."""
    if not isinstance(content, str) or not content:
        return None
    try:
        inner = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    if not isinstance(inner, dict):
        return content  # somebody wrote a number, or true
    for name in ("content", "text"):  # a text; a text that names somebody, answers another, or has links
        if isinstance(inner.get(name), str):
            return str(inner[name])
    return None


def answer(asked: Asked, answered: Answered) -> dict[str, Any]:
    """Return whether OpenIM goes on: `nextCode` 1 refuses."""
    if answered.action == "allow":
        return {"actionCode": 0, "errCode": 0, "errMsg": "", "errDlt": "", "nextCode": 0}
    return {"actionCode": 0, "errCode": REFUSED_CODE, "errMsg": REFUSAL, "errDlt": answered.action, "nextCode": 1}
