"""A message of WeCom's archive, decrypted (会话内容存档): developer.work.weixin.qq.com/document/path/91774.

WeCom tells nobody what its 聊天敏感词 (`intercept_type` 1) stopped: its documentation has no event of it and no call
to ask. What is in the archive was delivered, and is judged afterwards. Its event `hit_keyword` (path/99995) has a token
alone, and the records that this leads to (`get_hit_msg_list`, 99974) have no text. Who decrypts the archive with
WeCom's own library posts each message here as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.config import HookConfig
from alerts.hooks.hook import BadHook, message_of, pair, text_of
from alerts.intake.field_map import Reported, listed, part, stopped

PLATFORM = "wecom"


def read(event: Mapping[str, Any], config: HookConfig) -> Reported:
    """Return a text that was sent. Raises BadHook."""
    if "msgtype" not in event:
        return Reported(None, "it is no message of the archive; WeCom tells of no interceptions")
    text = part(event, "text").get("content")
    if event.get("action") != "send" or event.get("msgtype") != "text" or not isinstance(text, str):
        return Reported(None, "it is no text that was sent")
    sender, room = text_of(event.get("from")), text_of(event.get("roomid"))
    receivers = [name for name in listed(event, "tolist") if isinstance(name, str)]
    if not room and not receivers:
        raise BadHook(422, "tolist: is missing, and there is no roomid")
    return Reported(
        message_of(
            config,
            PLATFORM,
            sender=sender,
            receiver=None if room else receivers[0],
            conversation=room or pair(sender, receivers[0]),
            message_id=text_of(event.get("msgid")),
            text=text,
            sent_at_ms=event.get("msgtime"),
            **stopped("delivered"),
        )
    )
