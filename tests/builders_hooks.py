"""A house that is asked for verdicts over HTTP, and requests as the platforms' documentation shows them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.config import DatabaseConfig, HookConfig, WebConfig
from alerts.judge import incoming_message
from alerts.moderate import moderate
from alerts.policy import PolicyKeeper, import_policy
from alerts.store import api_keys
from alerts.store.database import open_engine, writing
from alerts.web.context import Links
from stream.records import parse_chat
from tests.builders_alerts import database
from tests.builders_records import RULES
from tests.builders_web import outsider, running, web_of

PACK = """
[defaults.abuse]
severity = "critical"
action = "block"
speaker = "agent"

[defaults.leak]
severity = "warning"
action = "mask"
speaker = "agent"

[defaults.promise]
severity = "warning"
action = "review"
speaker = "agent"

[[phrase]]
id = "abuse.zh.017"
phrase = "骗子"

[[phrase]]
id = "leak.zh.001"
phrase = "加我微信"

[[phrase]]
id = "promise.zh.001"
phrase = "保证退款"
"""
POLICY: dict[str, Any] = {"rules": RULES, "packs": {"a.zh.toml": PACK}}
FINE, BLOCKED, MASKED, HELD = "您好，订单已经发出", "您这个骗子", "您加我微信聊", "我们保证退款"
SECRET = "s3cret"
PATIENT = 60.0
"""Seconds: where it is not about lateness, a busy machine shall not make an answer late."""


@dataclass
class House:
    """An application that may be asked, the keys of its platforms, and what it published."""

    app: FastAPI
    engine: AsyncEngine
    client: httpx.AsyncClient
    keys: dict[str, str]
    published: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """(topic, key, body) of what went to `chat.messages`."""
    broker: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while Kafka takes records."""

    async def post(self, path: str, body: Any, platform: str | None = "openim", **more: Any) -> httpx.Response:
        """Ask with the key of a platform, or without one."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        if platform is not None:
            headers["Authorization"] = f"Bearer {self.keys[platform]}"
        return await self.client.post(path, content=content, headers=headers, **more)


@asynccontextmanager
async def asked(
    url: str,
    hooks: Mapping[str, HookConfig] | None = None,
    now: float | None = None,
    platforms: Sequence[str] = ("openim", "easemob"),
) -> AsyncIterator[House]:
    """An application with a policy and keys for these platforms; its broker takes records."""
    async with database(url) as engine:
        await import_policy(engine, POLICY, who="test", why="test", now=1.0)
        keys = {}
        async with writing(engine) as connection:
            for platform in platforms:
                _, keys[platform] = await api_keys.add(connection, platform, "", who="test", now=1.0)
        published: list[tuple[str, str, dict[str, Any]]] = []
        broker = asyncio.Event()
        broker.set()

        async def publish(topic: str, key: str, body: dict[str, Any]) -> None:
            if not broker.is_set():
                raise ConnectionError("no broker")
            if topic == "chat.messages":  # and not the feeds
                published.append((topic, key, body))

        policies = PolicyKeeper(engine)
        config = {name: HookConfig(deadline_seconds=PATIENT) for name in ("moderate", "openim")} | dict(hooks or {})
        judging = open_engine(DatabaseConfig(url), tries_again=True)
        links = Links(publish=publish, policies=policies, judging=judging)
        try:
            async with running(engine, links, WebConfig(hooks=config), now) as app, outsider(app) as client:
                await policies.refresh()
                await web_of(app).keys.refresh()
                yield House(app, engine, client, keys, published, broker)
        finally:
            await judging.dispose()


async def kept_by_chat_worker(house: House) -> None:
    """Do with what was published as the chat worker does."""
    policies = PolicyKeeper(house.engine)
    await policies.refresh()
    for topic, key, body in house.published:
        assert topic == "chat.messages" and key == body["conversation_id"]
        incoming = incoming_message(parse_chat(orjson.dumps(body), {}), source="chat.messages:0:0", arrived_at=2.0)
        await moderate(house.engine, policies.policy, [incoming], time.time)


def message(text: str = FINE, message_id: str = "m-1", **more: Any) -> dict[str, Any]:
    """What POST /v1/moderate takes."""
    body = {"message_id": message_id, "conversation_id": "c-9", "sender": {"id": "a-17", "team": "refunds"}}
    return {**body, "text": text, **more}


# As the platforms document them ---------------------------------------------------------------------------


def openim_request(text: str, **more: Any) -> dict[str, Any]:
    """docs.openim.io, before-send-single-message; its content as the client libraries write it."""
    body = {
        "sendID": "a-17", "recvID": "u-4", "callbackCommand": "callbackBeforeSendSingleMsgCommand",
        "serverMsgID": "server_msg_001", "clientMsgID": "client_msg_001", "operationID": "operation_001",
        "senderPlatformID": 1, "senderNickname": "Lin", "sessionType": 1, "msgFrom": 100, "contentType": 101,
        "status": 1, "sendTime": 1719800000000, "createTime": 1719800000000,
        "content": orjson.dumps({"content": text}).decode(), "seq": 0, "atUserList": [],
        "faceURL": "https://example.com/avatar.png", "ex": "", "keyVersion": 1,
    }  # fmt: skip
    return {**body, **more}


def easemob_request(text: str, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """doc.easemob.com, callback_presending, a text in a chat of two."""
    body = {
        "callId": "XXXX-XXXX#test_0990a64f-XXXX-XXXX-8696-cf3b48b20e7e", "timestamp": 1600060847294,
        "chat_type": "chat", "from": "a-17", "to": "u-4", "msg_id": "8924312242322",
        "payload": {"msg": text, "type": "txt"}, "securityVersion": "1.0.0", "appkey": "XXXX#test",
        "host": "XXXX@XXXX",
    }  # fmt: skip
    body |= more
    signed = f"{body['callId']}{secret}{body['timestamp']}".encode()
    return {**body, "security": hashlib.md5(signed).hexdigest()}


def tencent_request(text: str, **more: Any) -> dict[str, Any]:
    """cloud.tencent.com/document/product/269/1632."""
    body = {
        "CallbackCommand": "C2C.CallbackBeforeSendMsg", "From_Account": "a-17", "To_Account": "u-4",
        "MsgSeq": 48374, "MsgRandom": 2837546, "MsgTime": 1557481126, "MsgKey": "48374_2837546_1557481126",
        "MsgId": "144115233775727695-1557481126-2837546", "OnlineOnlyFlag": 0,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}],
        "CloudCustomData": "your cloud custom data", "EventTime": "1670574414123",
    }  # fmt: skip
    return {**body, **more}


def tencent_query(now: float, token: str = SECRET, app: str = "1400000001", **more: str) -> dict[str, str]:
    """The parameters of its address, signed as document/product/269/1522 says."""
    at = str(int(now))
    query = {
        "SdkAppid": app, "CallbackCommand": "C2C.CallbackBeforeSendMsg", "contenttype": "json",
        "ClientIP": "127.0.0.1", "OptPlatform": "iOS", "RequestTime": at,
        "Sign": hashlib.sha256(f"{token}{at}".encode()).hexdigest(),
    }  # fmt: skip
    return {**query, **more}


def stream_request(text: str, **more: Any) -> dict[str, Any]:
    """getstream.io/chat/docs, before_message_send_webhook."""
    body = {
        "message": {
            "id": "m-1", "text": text, "html": "", "type": "regular", "attachments": [], "latest_reactions": [],
            "own_reactions": [], "reaction_counts": None, "reaction_scores": None, "reply_count": 0,
            "mentioned_users": [], "silent": False,
        },
        "user": {"id": "a-17", "role": "user", "name": "Lin", "banned": False, "online": False, "teams": ["refunds"]},
        "channel": {
            "cid": "messaging:fun-01dce6d9", "id": "fun-01dce6d9", "type": "messaging", "member_count": 2,
            "config": {"name": "messaging"},
        },
        "request_info": {"type": "client", "ip": "86.84.2.2", "user_agent": "Mozilla/5.0", "sdk": "stream-chat-react"},
    }  # fmt: skip
    return {**body, **more}


def stream_headers(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """What it signs with (webhooks_overview)."""
    return {"X-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), "X-Webhook-Id": "w-1"}
