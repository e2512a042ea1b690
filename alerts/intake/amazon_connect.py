"""What Amazon Connect's message processing did with a chat message, told by the function that did it, or by the stream.

docs.aws.amazon.com/connect/latest/adminguide/redaction-message-processing.html: the function gets a message and answers
with a status; it posts both here, one beside the other (`{**event, **answer}`). Or a message of the chat's stream
(`sns-payload.html`), alone or in the envelope of SNS, with the status of `connect-participant`'s MessageMetadata.
Who writes is told by role; `participantId` is a participant of this chat and not an agent's user, whom nothing here
names. FAILED does not say whether the message was delivered (that is `FailureMode`), and an event of a Contact Lens
rule has no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from alerts.config import HookConfig
from alerts.hooks.hook import BadHook, message_of, text_of
from alerts.intake.field_map import Reported, moment, part, stopped
from alerts.intake.schema import ChatMessage
from detectors.values import Side

PLATFORM = "amazon-connect"
ROLES: dict[str, Side] = {
    "AGENT": "agent",
    "SUPERVISOR": "agent",
    "CUSTOMER": "customer",
    "SYSTEM": "bot",
    "CUSTOM_BOT": "bot",
}
TEXTS = ("text/plain", "text/markdown")


def read(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what an event tells of a message. Raises BadHook."""
    if event.get("Type") in ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return _in_envelope(event, config)
    if "chatContent" in event:
        return _processed(event, config)
    if event.get("Type") == "MESSAGE":
        return _streamed(event, config)
    return Reported(None, "it has no text of a message")


def _in_envelope(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what SNS brings."""
    if event["Type"] != "Notification":
        return Reported(None, "open its SubscribeURL once, by hand, to confirm the subscription")
    try:
        inner = orjson.loads(text_of(event.get("Message")))
    except orjson.JSONDecodeError:
        raise BadHook(422, "Message: is not JSON") from None
    if not isinstance(inner, dict) or inner.get("Type") == "Notification":
        raise BadHook(422, "Message: is no message of a chat")
    return read(inner, config)


def _processed(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what a processor was given, with its answer."""
    content, status = part(event, "chatContent"), text_of(event.get("status"))
    text = content.get("content")
    if content.get("contentType") not in TEXTS or not isinstance(text, str):
        return Reported(None, "nothing in it is text")
    instead = part(part(event, "result"), "processedChatContent").get("content")
    delivery = {"APPROVED": "delivered", "REJECTED": "intercepted", "PROCESSED": "delivered"}.get(status)
    if delivery is None:
        return Reported(None, f"status {status[:40]!r} does not say what became of it")
    changed = status == "PROCESSED" and isinstance(instead, str) and instead != text
    return Reported(
        _message(
            config,
            content,
            text,
            **stopped("replaced" if changed else delivery),
            **({"delivered_text": instead} if changed else {}),
        )
    )


def _streamed(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return a message of the stream."""
    text = event.get("Content")
    if event.get("ContentType") not in TEXTS or not isinstance(text, str):
        return Reported(None, "nothing in it is text")
    status = text_of(part(event, "MessageMetadata").get("MessageProcessingStatus"))
    if status not in ("", "REJECTED"):
        return Reported(None, f"MessageProcessingStatus {status[:40]!r} does not say what became of it")
    fields = {name[:1].lower() + name[1:]: value for name, value in event.items()}
    return Reported(_message(config, fields, text, **stopped("intercepted" if status else "delivered")))


def _message(config: HookConfig, fields: Mapping[str, Any], text: str, **more: Any) -> ChatMessage:
    """Return the message of these fields. Raises BadHook."""
    role = text_of(fields.get("participantRole"))
    if role not in ROLES:
        raise BadHook(422, f"participantRole: is none of {', '.join(ROLES)}")
    return message_of(
        config,
        PLATFORM,
        sender=text_of(fields.get("participantId")),
        receiver=None,
        # A contact ends where the chat is handed on; to the customer it goes on.
        conversation=text_of(fields.get("initialContactId")) or text_of(fields.get("contactId")),
        message_id=text_of(fields.get("id")),
        text=text,
        name=text_of(fields.get("displayName"))[:256],
        role=ROLES[role],
        sent_at=moment(fields.get("absoluteTime")),
        **more,
    )
