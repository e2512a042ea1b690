"""Events of platforms as their documentation prints them, and the record of `chat.messages` that each becomes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from tests.builders_hooks import SECRET, stream_headers, tencent_query


@dataclass(frozen=True)
class Told:
    """One event, and what is taken of it; None: it tells of no message."""

    platform: str
    event: dict[str, Any]
    record: dict[str, Any] | None

    def with_text(self, text: str) -> dict[str, Any]:
        """The event about another text, for the tests that follow it into the log."""
        was = orjson.dumps(self.record and self.record["text"])
        return orjson.loads(orjson.dumps(self.event).replace(was, orjson.dumps(text)))


def signed(platform: str, event: dict[str, Any], now: float) -> tuple[bytes, dict[str, Any]]:
    """The body as its platform signs it, and what goes with it, for platforms that sign."""
    if platform == "easemob":
        body = {**event, "security": hashlib.md5(f"{event['callId']}{SECRET}{event['timestamp']}".encode()).hexdigest()}
        return orjson.dumps(body), {}
    if platform == "tencent-im":
        command = event.get("CallbackCommand", "ContentCallback.ResultNotify")
        return orjson.dumps(event), {"params": tencent_query(now, CallbackCommand=command)}
    body = orjson.dumps(event)
    return body, {"headers": stream_headers(body)}


# doc.easemob.com/document/server-side/callback_sensitive_word.html, callback_moderation.html, callback_postsending.html
EASEMOB_ALERT: dict[str, Any] = {
    "callId": "XXXX#XXXX_16396528-2a9c-4d96-8219-15723e436fd6", "alertReason": "intercepted",
    "contentReceiver": "XXXX#XXXX_test1@easemob.com", "eventType": "keyword_alert", "sensitiveWords": ["12"],
    "contentOwner": "XXXX#XXXX_test2@easemob.com", "security": "47ce006af8a8f9ad26acf125244093ab",
    "contentUri": "msync:1232040174779635136", "host": "msync@ebs-ali-beijing-msync68", "appkey": "XXXX#XXXX",
    "contentType": "message", "timestamp": 1704421506954, "chatType": "chat:user:text", "status": "refuse",
}  # fmt: skip
_ALERTED: dict[str, Any] = {
    "platform": "easemob", "conversation_id": "test1_test2", "message_id": "1232040174779635136",
    "sent_at": "2024-01-05T02:25:06.954000Z", "sender": {"id": "test2", "role": "agent"}, "customer": {"id": "test1"},
    "text": "", "delivery": "intercepted", "intercepted_by": "platform", "matched": [{"phrase": "12"}],
}  # fmt: skip
EASEMOB_MODERATION: dict[str, Any] = {
    "callId": "100220419126072#demo_54ae7e93-xxxx-xxxx-92f5-323e33187243", "moderationResult": "PASS",
    "providerResult": "PASS", "security": "1f4857f120b2789b7d0abcd372c4f9e8", "messageType": "txt",
    "messageId": "1F4MX6iSdI7VFnN7Hm0vrcr3Uwr", "targetType": "chat", "appkey": "100220419126072#lydemo", "source": {},
    "riskType": "广告", "eventType": "moderation", "from": "qa2", "to": "qa1", "url": "", "msg": "你好",
    "timestamp": 1668766253245,
}  # fmt: skip
_MODERATED: dict[str, Any] = {
    "platform": "easemob", "conversation_id": "qa1_qa2", "message_id": "1F4MX6iSdI7VFnN7Hm0vrcr3Uwr",
    "sent_at": "2022-11-18T10:10:53.245000Z", "sender": {"id": "qa2", "role": "agent"}, "customer": {"id": "qa1"},
    "text": "你好", "delivery": "delivered", "matched": [],
}  # fmt: skip
_STOPPED = {"delivery": "intercepted", "intercepted_by": "platform"}
_REPLACED = {"delivery": "replaced", "intercepted_by": "platform"}

# cloud.tencent.com/document/product/269/95616 and 269/2716
TENCENT_RESULT: dict[str, Any] = {
    "Scene": "C2C", "SdkAppId": 1400187352, "From_Account": "jared",
    "ContactItem": {"ContactType": 1, "To_Account": "Jonh"}, "ContentType": "Text",
    "TextContent": ["aaabbbccc", "1234567"], "MsgID": "1434460578_4137340972_1661154487", "CtxcbResult": 1,
    "CtxcbRequestId": "241ed925-4c56-4357-95dd-1e6e7798f214", "CtxcbKeywords": ["aaabbbccc", "1234567"],
    "CtxcbSuggestion": "Review", "CtxcbLabel": "Sexy", "CtxcbSubLabel": "InsinuationPorn",
    "CtxcbSubLabelDesc": "影射XX", "CtxcbLibName": "test", "CloudCustomData": "aaabbbccc",
}  # fmt: skip
_RESULT: dict[str, Any] = {
    "platform": "tencent-im", "conversation_id": "Jonh_jared", "message_id": "1434460578_4137340972_1661154487",
    "sender": {"id": "jared", "role": "agent"}, "customer": {"id": "Jonh"}, "text": "aaabbbccc\n1234567",
    **_STOPPED,
    "matched": [{"phrase": word, "library": "test", "category": "Sexy"} for word in ("aaabbbccc", "1234567")],
}  # fmt: skip
TENCENT_SENT: dict[str, Any] = {
    "CallbackCommand": "C2C.CallbackAfterSendMsg", "From_Account": "jared", "To_Account": "Jonh", "MsgSeq": 48374,
    "MsgRandom": 2837546, "MsgTime": 1557481126, "MsgKey": "48374_2837546_1557481126",
    "MsgId": "144115233406643804-1727580296-4026038328", "OnlineOnlyFlag": 1, "SendMsgResult": 0,
    "ErrorInfo": "send msg succeed", "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "red packet"}}],
    "CloudCustomData": "your cloud custom data",
}  # fmt: skip
_SENT: dict[str, Any] = {
    "platform": "tencent-im", "conversation_id": "Jonh_jared", "message_id": "48374_2837546_1557481126",
    "sent_at": "2019-05-10T09:38:46Z", "sender": {"id": "jared", "role": "agent"}, "customer": {"id": "Jonh"},
    "text": "red packet", "delivery": "delivered", "matched": [],
}  # fmt: skip

# getstream.io/chat/docs/react/push_webhook
_STREAM_MESSAGE: dict[str, Any] = {
    "id": "8bffc454-e1da-4d91-8b88-a87853dfb41c", "text": "67d61fa4-74b6-4e1a-bfe7-589d84b8215b",
    "html": "<p>67d61fa4-74b6-4e1a-bfe7-589d84b8215b</p>\n", "type": "regular",
    "user": {
        "id": "tommaso-52ec3a5f-e916-469f-bf54-b53b5247a4b0", "role": "user",
        "created_at": "2020-03-30T07:54:46.207332Z", "updated_at": "2020-03-30T07:54:46.207719Z", "banned": False,
        "online": False,
    },
    "attachments": [], "latest_reactions": [], "own_reactions": [], "reaction_counts": None, "reaction_scores": {},
    "reply_count": 0, "created_at": "2020-03-30T07:54:46.277381Z", "updated_at": "2020-03-30T07:54:46.277382Z",
    "mentioned_users": [],
}  # fmt: skip
_CID = "messaging:fun-d5f396e3-fbaf-469c-9b45-8837b4f75baa"
STREAM_NEW: dict[str, Any] = {"type": "message.new", "cid": _CID, "message": _STREAM_MESSAGE}
_NEW: dict[str, Any] = {
    "platform": "stream", "conversation_id": _CID, "message_id": "8bffc454-e1da-4d91-8b88-a87853dfb41c",
    "sent_at": "2020-03-30T07:54:46.277381Z",
    "sender": {"id": "tommaso-52ec3a5f-e916-469f-bf54-b53b5247a4b0", "role": "agent"},
    "text": "67d61fa4-74b6-4e1a-bfe7-589d84b8215b", "delivery": "delivered", "matched": [],
}  # fmt: skip
# getstream.io/moderation/docs/api/webhooks prints tables of fields, not an example: these are its fields, the message
# above with `moderation` as the chat API's ModerationV2Response has it.
_REMOVED = {
    **_STREAM_MESSAGE, "cid": _CID, "type": "error", "text": "Message was blocked by moderation policies",
    "moderation": {"action": "remove", "original_text": "you cheat", "blocklist_matched": "insults"},
}  # fmt: skip
STREAM_QUEUED: dict[str, Any] = {
    "type": "review_queue_item.new", "created_at": "2026-11-21T10:00:00.120Z",
    "review_queue_item": {
        "id": "q-1", "entity_type": "stream:chat:v1:message", "entity_id": _STREAM_MESSAGE["id"],
        "entity_creator_id": _STREAM_MESSAGE["user"]["id"], "moderation_payload": {"texts": ["you cheat"]},
        "recommended_action": "remove", "status": "", "message": _REMOVED,
    },
    "flags": [{"type": "blocklist", "reason": "blocklist", "labels": ["insults"]}], "action": None,
}  # fmt: skip
_QUEUED = {**_NEW, "text": "you cheat", **_STOPPED, "matched": [{"library": "insults"}]}

# cometchat.com/docs/fundamentals/webhooks-events
COMETCHAT_BLOCKED: dict[str, Any] = {
    "trigger": "moderation_engine_blocked",
    "data": {
        "message": {
            "id": "38439", "muid": "_zhovsxqdo", "conversationId": "cometchat-uid-1_user_cometchat-uid-2",
            "sender": "cometchat-uid-2", "receiverType": "user", "receiver": "cometchat-uid-1", "category": "message",
            "type": "text",
            "data": {
                "text": "andrew@gmail.com",
                "resource": "WEB-4_0_10-a10f2a72-8d27-4fbc-aceb-05a2258e98f4-1738586366602",
                "entities": {
                    "sender": {
                        "entity": {
                            "uid": "cometchat-uid-2", "name": "George Alan", "status": "available", "role": "default",
                            "avatar": "https://assets.cometchat.io/sampleapp/v2/users/cometchat-uid-2.webp",
                            "lastActiveAt": 1738589887,
                        },
                        "entityType": "user",
                    },
                    "receiver": {
                        "entity": {
                            "uid": "cometchat-uid-1", "name": "Andrew Joseph", "status": "available",
                            "avatar": "https://assets.cometchat.io/sampleapp/v2/users/cometchat-uid-1.webp",
                            "role": "default", "lastActiveAt": 1738589887,
                            "conversationId": "cometchat-uid-1_user_cometchat-uid-2",
                        },
                        "entityType": "user",
                    },
                },
            },
            "sentAt": 1738591286, "updatedAt": 1738591286,
        },
        "moderation": [
            {
                "condition": {
                    "entity": "message", "operand": "text", "category": "pattern", "operator": "contains",
                    "value": ["^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}$"],
                    "message": "Text message contains a pattern matching an email address",
                },
                "rule": {
                    "id": "email_filter", "name": "Email filter",
                    "revisionId": "2531882e5e289115_contact_email_filter_7", "action": ["blockMessage"],
                    "blockedAt": 1738591286,
                },
            }
        ],
    },
    "appId": "<appId>", "region": "<region>", "webhook": "<webhookID>",
}  # fmt: skip
_BLOCKED: dict[str, Any] = {
    "platform": "cometchat", "conversation_id": "cometchat-uid-1_user_cometchat-uid-2", "message_id": "38439",
    "sent_at": "2025-02-03T14:01:26Z", "sender": {"id": "cometchat-uid-2", "role": "agent", "name": "George Alan"},
    "customer": {"id": "cometchat-uid-1"}, "text": "andrew@gmail.com", **_STOPPED,
    "matched": [
        {
            "rule_id": "email_filter", "rule_version": "2531882e5e289115_contact_email_filter_7",
            "category": "Email filter",
        }
    ],
}  # fmt: skip
COMETCHAT_APPROVED = {**COMETCHAT_BLOCKED, "trigger": "moderation_manual_approved"}

# developer.work.weixin.qq.com/document/path/91774 (文本) and 99995
WECOM_TEXT: dict[str, Any] = {
    "msgid": "CAQQluDa4QUY0On2rYSAgAMgzPrShAE=", "action": "send", "from": "XuJinSheng", "tolist": ["icefog"],
    "roomid": "", "msgtime": 1547087894783, "msgtype": "text", "text": {"content": "test"},
}  # fmt: skip
_WECOM: dict[str, Any] = {
    "platform": "wecom", "conversation_id": "XuJinSheng_icefog", "message_id": "CAQQluDa4QUY0On2rYSAgAMgzPrShAE=",
    "sent_at": "2019-01-10T02:38:14.783000Z", "sender": {"id": "XuJinSheng", "role": "agent"},
    "customer": {"id": "icefog"}, "text": "test", "delivery": "delivered", "matched": [],
}  # fmt: skip
WECOM_HIT: dict[str, Any] = {"event_type": "hit_keyword", "timestamp": 1408091189, "hit_keyword": {"token": "xxx"}}

# docs.aws.amazon.com/connect/latest/adminguide/redaction-message-processing.html: its fields, in the documentation all
# "string"; and sns-payload.html, as printed but for the signature.
CONNECT_PROCESSED: dict[str, Any] = {
    "version": "1.0", "instanceId": "i-1", "associatedResourceArn": "arn:aws:connect:us-west-2:1:instance/i-1",
    "chatContent": {
        "absoluteTime": "2021-09-08T13:28:24.656Z", "content": "my card is 4111", "contentType": "text/plain",
        "id": "m-1", "participantId": "p-1", "displayName": "Lin", "participantRole": "AGENT",
        "initialContactId": "c-1", "contactId": "c-2",
    },
    "status": "PROCESSED",
    "result": {"processedChatContent": {"content": "my card is [PII]", "contentType": "text/plain"}},
}  # fmt: skip
_PROCESSED: dict[str, Any] = {
    "platform": "amazon-connect", "conversation_id": "c-1", "message_id": "m-1",
    "sent_at": "2021-09-08T13:28:24.656000Z", "sender": {"id": "p-1", "role": "agent", "name": "Lin"},
    "text": "my card is 4111", **_REPLACED, "delivered_text": "my card is [PII]", "matched": [],
}  # fmt: skip
CONNECT_STREAMED: dict[str, Any] = {
    "AbsoluteTime": "2021-09-08T13:28:24.656Z", "Content": "help", "ContentType": "text/plain",
    "Id": "333333333-be0d-4a44-889d-d2a86fc06f0c", "Type": "MESSAGE",
    "ParticipantId": "bbbbbbbb-c562-4d95-b76c-dcbca8b4b5f7", "DisplayName": "Jane", "ParticipantRole": "CUSTOMER",
    "InitialContactId": "33333333-abc5-46db-9ad5-d772559ab556", "ContactId": "33333333-abc5-46db-9ad5-d772559ab556",
}  # fmt: skip
CONNECT_SNS: dict[str, Any] = {
    "Type": "Notification", "MessageId": "ccccccccc-cccc-cccc-cccc-ccccccccccccc",
    "TopicArn": "arn:aws:sns:us-west-2:009969138378:connector-svc-test",
    "Message": orjson.dumps(CONNECT_STREAMED).decode(), "Timestamp": "2021-09-08T13:28:24.860Z",
    "SignatureVersion": "1",
}  # fmt: skip
_STREAMED: dict[str, Any] = {
    "platform": "amazon-connect", "conversation_id": "33333333-abc5-46db-9ad5-d772559ab556",
    "message_id": "333333333-be0d-4a44-889d-d2a86fc06f0c", "sent_at": "2021-09-08T13:28:24.656000Z",
    "sender": {"id": "bbbbbbbb-c562-4d95-b76c-dcbca8b4b5f7", "role": "customer", "name": "Jane"},
    "customer": {"id": "bbbbbbbb-c562-4d95-b76c-dcbca8b4b5f7"}, "text": "help", "delivery": "delivered", "matched": [],
}  # fmt: skip

TOLD: dict[str, Told] = {
    "easemob: words, stopped": Told("easemob", EASEMOB_ALERT, _ALERTED),
    # Its example of a replacement says alertReason "intercepted".
    "easemob: words, replaced": Told("easemob", {**EASEMOB_ALERT, "status": "replace"}, {**_ALERTED, **_REPLACED}),
    "easemob: words, passed": Told(
        "easemob",
        {**EASEMOB_ALERT, "alertReason": "through", "sensitiveWords": [], "status": "pass"},
        None,
    ),
    "easemob: moderation, passed": Told("easemob", EASEMOB_MODERATION, _MODERATED),
    "easemob: moderation, stopped": Told(
        "easemob",
        {**EASEMOB_MODERATION, "moderationResult": "REJECT"},
        {**_MODERATED, **_STOPPED, "matched": [{"category": "广告"}]},
    ),
    "easemob: moderation, replaced": Told(
        "easemob",
        {**EASEMOB_MODERATION, "moderationResult": "EXCHANGE"},
        {**_MODERATED, **_REPLACED, "matched": [{"category": "广告"}]},
    ),
    "easemob: a sound taken back": Told(
        "easemob", {**EASEMOB_MODERATION, "moderationResult": "RECALL", "messageType": "audio"}, None
    ),
    "easemob: another event": Told("easemob", {**EASEMOB_ALERT, "eventType": "userStatus"}, None),
    "tencent-im: stopped": Told("tencent-im", TENCENT_RESULT, _RESULT),
    "tencent-im: stopped in a group, without MsgID": Told(
        "tencent-im",
        {name: value for name, value in TENCENT_RESULT.items() if name != "MsgID"}
        | {"Scene": "Group", "ContactItem": {"ContactType": 2, "ToGroupId": "@TGS#1"}},
        {name: value for name, value in _RESULT.items() if name != "customer"}
        | {"conversation_id": "@TGS#1", "message_id": "241ed925-4c56-4357-95dd-1e6e7798f214"},
    ),
    "tencent-im: passed": Told(
        "tencent-im",
        {**TENCENT_RESULT, "CtxcbResult": 0},
        {name: value for name, value in _RESULT.items() if name != "intercepted_by"}
        | {"delivery": "delivered", "matched": []},
    ),
    "tencent-im: a picture": Told("tencent-im", {**TENCENT_RESULT, "ContentType": "Image"}, None),
    "tencent-im: a profile": Told("tencent-im", {**TENCENT_RESULT, "Scene": "UserInfo"}, None),
    "tencent-im: sent": Told("tencent-im", TENCENT_SENT, _SENT),
    "tencent-im: filtered": Told("tencent-im", {**TENCENT_SENT, "SendMsgResult": 80001}, {**_SENT, **_STOPPED}),
    "tencent-im: failed": Told("tencent-im", {**TENCENT_SENT, "SendMsgResult": 20003}, None),
    "tencent-im: another callback": Told("tencent-im", {"CallbackCommand": "State.StateChange"}, None),
    "stream: sent": Told("stream", STREAM_NEW, _NEW),
    "stream: removed": Told("stream", STREAM_QUEUED, _QUEUED),
    "stream: shadowed": Told(
        "stream",
        {**STREAM_NEW, "message": {**_STREAM_MESSAGE, "moderation": {"action": "shadow"}}},
        {**_NEW, **_STOPPED},
    ),
    "stream: flagged and shown": Told(
        "stream", {**STREAM_NEW, "type": "message.flagged", "message": {**_STREAM_MESSAGE, "cid": _CID}}, _NEW
    ),
    "stream: shown with stars": Told(
        "stream",
        {
            **STREAM_NEW,
            "message": {
                **_STREAM_MESSAGE,
                "text": "you ***",
                "moderation": {"action": "keep", "original_text": "you cheat", "text_harms": ["INSULT"]},
            },
        },
        {
            **_NEW,
            **_REPLACED,
            "text": "you cheat",
            "delivered_text": "you ***",
            "matched": [{"category": "INSULT"}],
        },
    ),
    "stream: a moderator afterwards": Told(
        "stream", {**STREAM_QUEUED, "action": {"type": "delete_message", "reporter_type": "moderator"}}, None
    ),
    "stream: an item without its message": Told(
        "stream", {**STREAM_QUEUED, "review_queue_item": {"entity_type": "stream:chat:v1:message"}}, None
    ),
    "stream: a check without a text": Told(
        "stream", {"type": "moderation_check.completed", "entity_id": "m-1", "recommended_action": "remove"}, None
    ),
    "cometchat: blocked": Told("cometchat", COMETCHAT_BLOCKED, _BLOCKED),
    "cometchat: let through by hand": Told(
        "cometchat",
        COMETCHAT_APPROVED,
        {name: value for name, value in _BLOCKED.items() if name != "intercepted_by"}
        | {"delivery": "delivered", "matched": []},
    ),
    "cometchat: sent, not yet decided": Told("cometchat", {**COMETCHAT_BLOCKED, "trigger": "message_sent"}, None),
    "wecom: a text of the archive": Told("wecom", WECOM_TEXT, _WECOM),
    "wecom: a room": Told(
        "wecom",
        {**WECOM_TEXT, "roomid": "wrjc7bDwAASxc8tZvBErFE02BtPWyAAA", "tolist": ["icefog", "LiSi"]},
        {name: value for name, value in _WECOM.items() if name != "customer"}
        | {"conversation_id": "wrjc7bDwAASxc8tZvBErFE02BtPWyAAA"},
    ),
    "wecom: a recall": Told("wecom", {**WECOM_TEXT, "action": "recall"}, None),
    "wecom: a keyword was hit": Told("wecom", WECOM_HIT, None),
    "amazon-connect: redacted": Told("amazon-connect", CONNECT_PROCESSED, _PROCESSED),
    "amazon-connect: rejected": Told(
        "amazon-connect",
        {**CONNECT_PROCESSED, "status": "REJECTED", "result": {}},
        {name: value for name, value in _PROCESSED.items() if name != "delivered_text"} | _STOPPED,
    ),
    "amazon-connect: approved": Told(
        "amazon-connect",
        {**CONNECT_PROCESSED, "status": "APPROVED"},
        {name: value for name, value in _PROCESSED.items() if name not in ("delivered_text", "intercepted_by")}
        | {"delivery": "delivered"},
    ),
    "amazon-connect: failed": Told("amazon-connect", {**CONNECT_PROCESSED, "status": "FAILED"}, None),
    "amazon-connect: streamed": Told("amazon-connect", CONNECT_STREAMED, _STREAMED),
    "amazon-connect: streamed by SNS": Told("amazon-connect", CONNECT_SNS, _STREAMED),
    "amazon-connect: streamed, rejected": Told(
        "amazon-connect",
        {**CONNECT_STREAMED, "MessageMetadata": {"MessageProcessingStatus": "REJECTED"}},
        {**_STREAMED, **_STOPPED},
    ),
    "amazon-connect: still processing": Told(
        "amazon-connect", {**CONNECT_STREAMED, "MessageMetadata": {"MessageProcessingStatus": "PROCESSING"}}, None
    ),
    "amazon-connect: a rule of Contact Lens": Told(
        "amazon-connect",
        {"detail-type": "Contact Lens Realtime Chat Rules Matched", "source": "aws.connect", "detail": {}},
        None,
    ),
}

WHOLE: dict[str, Any] = {
    "easemob": EASEMOB_MODERATION,
    "tencent-im": TENCENT_RESULT,
    "stream": STREAM_NEW,
    "cometchat": COMETCHAT_BLOCKED,
    "wecom": WECOM_TEXT,
    "amazon-connect": CONNECT_PROCESSED,
}
