"""Stream's webhooks of messages and of its moderation: getstream.io/chat/docs, `push_webhook`; moderation/docs.

What its moderation did with a message stands in the message itself: `moderation.action` (`remove`, `shadow` and
`bounce` keep it from the others, `flag` and `keep` do not) and `moderation.original_text`, what was written. Where the
text beside it is another one, that was delivered instead. A bounced message is stored nowhere, so no webhook tells of
it; `moderation_check.completed` has neither text nor channel. An item of the review queue without its message does not
say its channel, and without that nothing can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.config import HookConfig
from alerts.hooks import stream_chat as hook
from alerts.hooks.hook import message_of, text_of
from alerts.intake.field_map import Reported, listed, moment, part, stopped

PLATFORM = hook.PLATFORM
QUEUED = ("review_queue_item.new", "review_queue_item.updated")
WRITTEN = ("message.new", "message.flagged")
MESSAGE = "stream:chat:v1:message"
"""As `entity_type`."""
KEPT_BACK = ("remove", "shadow", "bounce", "block")
"""`block` is what the older automod calls it."""
SHOWN = ("regular", "reply", "error")
"""The message types that somebody wrote; one of type `error` was stopped."""


def read(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what an event tells of a message. Raises BadHook."""
    kind = event.get("type")
    if kind in QUEUED:
        return _queued(event, config)
    if kind in WRITTEN:
        details = part(event, "details") or part(part(event, "flag"), "details")
        found = {"phrase": details.get("blocked_word"), "library": details.get("blocklist_name")}
        message = part(event, "message")
        return _told(message, event, config, text_of(details.get("action")), [found] if any(found.values()) else [])
    return Reported(None, f"type {text_of(kind)[:60]!r} tells of no message")


def _queued(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what an item of the review queue tells of its message."""
    item = part(event, "review_queue_item")
    if item.get("entity_type") != MESSAGE:
        return Reported(None, f"entity_type {text_of(item.get('entity_type'))[:60]!r} is no chat message")
    if part(event, "action").get("reporter_type") == "moderator":
        return Reported(None, "a moderator decided about it afterwards: the others had seen it, or had not, before")
    message = part(item, "message")
    if not message:
        return Reported(None, "the item comes without its message, so that its channel is not known")
    flags = [flag for flag in (listed(event, "flags") or listed(item, "flags")) if isinstance(flag, dict)]
    found = [
        {"category": label, "library": flag.get("type")}
        for flag in flags
        for label in (listed(flag, "labels") or [flag.get("reason")])
    ]
    return _told(message, event, config, text_of(item.get("recommended_action")), found)


def _told(
    message: Mapping[str, Any], event: Mapping[str, Any], config: HookConfig, action: str, found: list[dict[str, Any]]
) -> Reported:
    """Return what a message itself says of what became of it; `action` is what its event says."""
    kind, moderation = message.get("type", "regular"), part(message, "moderation")
    written = moderation.get("original_text") or message.get("text")
    if kind not in SHOWN or not isinstance(written, str) or not written:
        return Reported(None, "nothing in it is text that somebody wrote")
    action = text_of(moderation.get("action")) or action
    shown = message.get("text")
    delivery, instead = "delivered", None
    if kind == "error" or action.startswith(KEPT_BACK):
        delivery = "intercepted"
    elif isinstance(shown, str) and shown != written:
        delivery, instead = "replaced", shown
    user = part(message, "user") or part(event, "user")
    teams = listed(user, "teams")
    return Reported(
        message_of(
            config,
            PLATFORM,
            sender=text_of(user.get("id")),
            receiver=None,
            conversation=text_of(message.get("cid")) or text_of(event.get("cid")),
            message_id=text_of(message.get("id")),
            text=written,
            name=text_of(user.get("name"))[:256],
            team=teams[0] if teams and isinstance(teams[0], str) else None,
            sent_at=moment(message.get("created_at")),
            delivered_text=instead,
            matched=(_matched(moderation) or found) if delivery != "delivered" else [],
            **stopped(delivery),
        )
    )


def _matched(moderation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what Stream says it found in a message."""
    lists = listed(moderation, "blocklists_matched") or [moderation.get("blocklist_matched")]
    found: list[dict[str, Any]] = [{"library": name} for name in lists if name]
    if moderation.get("semantic_filter_matched"):
        found.append({"phrase": moderation["semantic_filter_matched"], "library": "semantic_filter"})
    return found + [{"category": harm} for harm in listed(moderation, "text_harms")]
