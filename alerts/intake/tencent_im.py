"""What Tencent IM's cloud moderation did with a message: cloud.tencent.com/document/product/269/95616.

`ContentCallback.ResultNotify` comes for what it stopped, or, as its console is set, for all it looked at. It does not
say when the message was sent. A message to a group that was stopped has no `MsgID`: then the check's own id stands for
it. Callbacks after a message was sent (269/2716, 2661) carry on what was asked about before, and come for what its
older filter of words stopped as well, with the error's number and without the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.config import HookConfig
from alerts.hooks import tencent_im as hook
from alerts.hooks.hook import message_of, pair, text_of
from alerts.intake.field_map import Reported, listed, part, stopped

PLATFORM = hook.PLATFORM
RESULT = "ContentCallback.ResultNotify"
SENT_SINGLE, SENT_GROUP = "C2C.CallbackAfterSendMsg", "Group.CallbackAfterSendMsg"
TOLD = (RESULT, SENT_SINGLE, SENT_GROUP)
"""The callbacks that are read here."""
SCENES = ("C2C", "C2CCustom", "Group", "GroupCustom")
"""The others are profiles and relations."""
PASSED, STOPPED = 0, 1
GROUP = 2
"""As `ContactType`."""
FILTERED = 80001
"""As `SendMsgResult`: its text has words that are not let through."""


def read(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return what a callback tells of a message. Raises BadHook."""
    command = event.get("CallbackCommand")
    if command in (SENT_SINGLE, SENT_GROUP):
        return _sent(event, config, in_group=command == SENT_GROUP)
    # Its own examples leave the command to the address.
    if command not in (None, RESULT) or "CtxcbResult" not in event:
        return Reported(None, f"CallbackCommand {text_of(command)[:60]!r} tells of no message")
    texts = [text for text in listed(event, "TextContent") if isinstance(text, str)]
    if event.get("Scene") not in SCENES or event.get("ContentType") != "Text" or not texts:
        return Reported(None, "it is about no text of a message")
    result = event["CtxcbResult"]
    if result not in (PASSED, STOPPED):
        return Reported(None, "CtxcbResult is neither 0 nor 1")
    sender, contact = text_of(event.get("From_Account")), part(event, "ContactItem")
    receiver = text_of(contact.get("To_Account"))
    is_group = contact.get("ContactType") == GROUP
    return Reported(
        message_of(
            config,
            PLATFORM,
            sender=sender,
            receiver=receiver if not is_group else None,
            conversation=text_of(contact.get("ToGroupId")) if is_group else pair(sender, receiver),
            message_id=text_of(event.get("MsgID")) or text_of(event.get("CtxcbRequestId")),
            text="\n".join(texts),
            matched=_found(event) if result == STOPPED else [],
            **stopped("intercepted" if result == STOPPED else "delivered"),
        )
    )


def _found(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was found: its words, each with its library and kind, or the kind alone."""
    about = {"library": event.get("CtxcbLibName"), "category": event.get("CtxcbLabel")}
    words = [word for word in listed(event, "CtxcbKeywords") if isinstance(word, str)]
    return [{"phrase": word, **about} for word in words] or [about]


def _sent(event: Mapping[str, Any], config: HookConfig, *, in_group: bool) -> Reported:
    """Return a message that was sent, or was filtered; one that could not be sent is told of as well."""
    result = event.get("SendMsgResult", 0)
    if result not in (0, FILTERED):
        return Reported(None, f"SendMsgResult is neither 0 nor {FILTERED}: it failed for another reason")
    delivery = "intercepted" if result == FILTERED else "delivered"
    message = hook.message_in(event, config, in_group=in_group, **stopped(delivery))
    return Reported(message, "" if message else "nothing in it is text")
