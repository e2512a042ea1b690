"""Easemob's callbacks after a message was sent or stopped (环信 发送后回调): doc.easemob.com, `callback_postsending`.

Two of them tell of its own filters. `moderation` (内容审核, `callback_moderation`) has the text; `keyword_alert`
(`callback_sensitive_word`) has the words that were found and no text, so that the record's text is empty. Neither says
what was delivered instead of a replaced text, nor the names of those who write. Callbacks of messages that were sent
carry on what was asked about before; none comes for what was stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.config import HookConfig
from alerts.hooks import easemob as hook
from alerts.hooks.hook import message_of, pair, text_of
from alerts.intake.field_map import Reported, listed, stopped, without_none

PLATFORM = hook.PLATFORM
MODERATED = {"PASS": "delivered", "REJECT": "intercepted", "EXCHANGE": "replaced"}
"""By `moderationResult`; RECALL is about sound and pictures."""
ALERTED = {"refuse": "intercepted", "replace": "replaced"}
"""By `status`: `alertReason` says "intercepted" in the documentation's example of a replacement as well."""
_MESSAGE_URI = "msync:"


def read(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what a callback tells of a message. Raises BadHook."""
    kind = event.get("eventType")
    if kind == "moderation":
        return _moderated(event, config)
    if kind == "keyword_alert":
        return _alerted(event, config)
    if kind == "chat" and event.get("chat_type") in ("chat", "groupchat"):
        message = hook.message_in(event, config, **stopped("delivered"))
        return Reported(message, "" if message else "nothing in it is text")
    return Reported(None, f"eventType {text_of(kind)[:40]!r} tells of no message")


def _moderated(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what 内容审核 did with a text."""
    result, text = text_of(event.get("moderationResult")), event.get("msg")
    delivery = MODERATED.get(result)
    if event.get("messageType") != "txt" or not isinstance(text, str) or delivery is None:
        return Reported(None, f"moderationResult {result[:40]!r} of a message without text is not an interception")
    sender, receiver = text_of(event.get("from")), text_of(event.get("to"))
    is_single = event.get("targetType") == "chat"
    return Reported(
        message_of(
            config,
            PLATFORM,
            sender=sender,
            receiver=receiver if is_single else None,
            conversation=pair(sender, receiver) if is_single else receiver,
            message_id=text_of(event.get("messageId")) or text_of(event.get("callId")),
            text=text,
            sent_at_ms=event.get("timestamp"),
            matched=[{"category": event.get("riskType")}] if delivery != "delivered" else [],
            **stopped(delivery),
        )
    )


def _alerted(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what 敏感词监测 did with a message, whose text it does not send."""
    status = text_of(event.get("status"))
    if status not in ALERTED:
        return Reported(None, f"status {status[:40]!r} is not an interception, and the text is not sent")
    sender, receiver = (_user(event, name) for name in ("contentOwner", "contentReceiver"))
    is_single = text_of(event.get("chatType")).partition(":")[0] == "chat"
    return Reported(
        message_of(
            config,
            PLATFORM,
            sender=sender,
            receiver=receiver if is_single else None,
            conversation=pair(sender, receiver) if is_single else receiver,
            message_id=text_of(event.get("contentUri")).removeprefix(_MESSAGE_URI) or text_of(event.get("callId")),
            text="",
            sent_at_ms=event.get("timestamp"),
            matched=[without_none(phrase=word) for word in listed(event, "sensitiveWords") if isinstance(word, str)],
            **stopped(ALERTED[status]),
        )
    )


def _user(event: Mapping[str, Any], name: str) -> str:
    """Return a user's id, which stands there between the app's key and a host: `ORG#APP_USER@easemob.com`."""
    written = text_of(event.get(name)).partition("@")[0]
    # `callId` begins with the app's key as well: a user's id may have the underscore that ends it.
    for key in (text_of(event.get("appkey")), text_of(event.get("callId")).rpartition("_")[0]):
        if key and written.startswith(f"{key}_"):
            return written.removeprefix(f"{key}_")
    return written
