"""CometChat's webhooks of its moderation: cometchat.com/docs/fundamentals/webhooks-events.

They name the rule, its revision and its pattern, not the words that were found. `message_sent` is not read: it comes
before the decision, and what is once delivered stays so. A message that a person let through after it was blocked
stays in the log as one that was intercepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.config import HookConfig
from alerts.hooks.hook import message_of, text_of
from alerts.intake.field_map import Reported, listed, part, stopped, without_none

PLATFORM = "cometchat"
DELIVERIES = {
    "moderation_engine_blocked": "intercepted",
    "moderation_engine_approved": "delivered",
    "moderation_manual_approved": "delivered",
}
"""By `trigger`."""


def read(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what an event tells of a message. Raises BadHook."""
    trigger = text_of(event.get("trigger"))
    if trigger not in DELIVERIES:
        return Reported(None, f"trigger {trigger[:60]!r} does not say what became of a message")
    data = part(event, "data")
    message = part(data, "message")
    content = part(message, "data")
    text = content.get("text")
    if message.get("type") != "text" or not isinstance(text, str):
        return Reported(None, "nothing in it is text")
    seconds = message.get("sentAt")
    is_single = message.get("receiverType") == "user"
    delivery = DELIVERIES[trigger]
    return Reported(
        message_of(
            config,
            PLATFORM,
            sender=text_of(message.get("sender")),
            receiver=text_of(message.get("receiver")) if is_single else None,
            conversation=text_of(message.get("conversationId")),
            message_id=text_of(message.get("id")),
            text=text,
            name=text_of(part(part(part(content, "entities"), "sender"), "entity").get("name"))[:256],
            sent_at_ms=seconds * 1000 if isinstance(seconds, int) else None,
            matched=[_rule(each) for each in listed(data, "moderation")] if delivery == "intercepted" else [],
            **stopped(delivery),
        )
    )


def _rule(decision: object) -> dict[str, Any]:
    """Return the rule of a decision."""
    rule = part(decision, "rule") if isinstance(decision, dict) else {}
    return without_none(rule_id=rule.get("id"), rule_version=rule.get("revisionId"), category=rule.get("name"))
