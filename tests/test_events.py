"""What a platform itself stopped comes into the log: each event as documented, once, from whom it may come."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from alerts.config import HookConfig
from alerts.intake.maps import MAPS
from alerts.store.database import reading
from alerts.store.tables import hits, interceptions, messages, violations
from stream.serve import hooks_of
from stream.settings import Settings
from tests.builders_events import (
    COMETCHAT_BLOCKED,
    CONNECT_PROCESSED,
    EASEMOB_ALERT,
    EASEMOB_MODERATION,
    STREAM_NEW,
    TENCENT_RESULT,
    TENCENT_SENT,
    TOLD,
    WHOLE,
    Told,
    signed,
)
from tests.builders_hooks import (
    BLOCKED,
    PATIENT,
    SECRET,
    House,
    asked,
    easemob_request,
    kept_by_chat_worker,
    tencent_query,
    tencent_request,
)
from tests.builders_web import web_of

PLATFORMS = tuple(MAPS)
SIGNED = ("easemob", "tencent-im", "stream")
HOOKS = {name: HookConfig(PATIENT, secrets=("older", SECRET)) for name in SIGNED}
THANKED = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The maps are above the database; that both keep the same is tested of the chat worker."""
    return f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}"


async def tell(house: House, platform: str, event: Any, *, by_key: bool = False) -> httpx.Response:
    """Tell as the platform does: signed where it signs, with a key otherwise."""
    if by_key or platform not in SIGNED:
        return await house.post(f"/v1/events/{platform}", event, platform)
    content, more = signed(platform, event, time.time())
    return await house.post(f"/v1/events/{platform}", content, None, **more)


async def found(house: House, table: Any) -> list[Any]:
    async with reading(house.engine) as connection:
        return list((await connection.execute(select(table).order_by(table.c[0]))).all())


@pytest.mark.parametrize("name", TOLD)
async def test_what_is_told_over_http_goes_to_the_topic(url: str, name: str) -> None:
    told = TOLD[name]
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        answer = await tell(house, told.platform, told.event)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert {field: said.pop(field) for field in THANKED if field in said} == (
            THANKED if told.platform == "tencent-im" else {}
        )
        if told.record is None:
            assert (said["taken"], house.published) == (None, []) and said["because"]
        else:
            key = told.record["conversation_id"]
            assert house.published == [("chat.messages", key, told.record)]
            assert said == {
                "taken": told.record["delivery"], "conversation_id": key, "message_id": told.record["message_id"],
            }  # fmt: skip
        taken = told.record["delivery"] if told.record else "nothing"
        numbers = (await house.client.get("/metrics")).text
        assert f'tonewatch_web_platform_events_total{{platform="{told.platform}",taken="{taken}"}} 1.0' in numbers


@pytest.mark.parametrize(
    "name",
    [
        "easemob: moderation, stopped",
        "tencent-im: stopped",
        "stream: removed",
        "cometchat: blocked",
        "amazon-connect: rejected",
    ],
)
async def test_what_a_platform_stopped_is_in_the_log_once_however_often_it_tells(url: str, name: str) -> None:
    told: Told = TOLD[name]
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        for _ in range(3):
            assert (await tell(house, told.platform, told.event)).json()["taken"] == "intercepted"
        await kept_by_chat_worker(house)
        assert told.record is not None
        (kept,), (line,) = await found(house, messages), await found(house, interceptions)
        assert (kept.text, kept.delivery, kept.side) == (told.record["text"], "intercepted", "agent")
        assert (line.intercepted_by, line.action, line.agent_id, line.platform) == (
            "platform", "block", told.record["sender"]["id"], told.platform,
        )  # fmt: skip
        assert await found(house, violations) == []


async def test_words_without_a_text_are_in_the_log_with_the_words(url: str) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        await tell(house, "easemob", {**EASEMOB_ALERT, "sensitiveWords": ["骗子", "傻瓜"]})
        await kept_by_chat_worker(house)
        (kept,), (line,) = await found(house, messages), await found(house, interceptions)
        assert (kept.text, kept.message_id) == ("", "1232040174779635136")
        assert line.phrases == ["platform.傻瓜", "platform.骗子"] and line.category == "platform"
        assert len(await found(house, hits)) == 2


async def test_a_rule_without_words_names_the_finding(url: str) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        await tell(house, "cometchat", COMETCHAT_BLOCKED)
        await kept_by_chat_worker(house)
        (line,) = await found(house, interceptions)
        assert line.phrases == ["platform.Email filter"]


async def test_what_was_asked_before_and_is_told_afterwards_is_one_message(url: str) -> None:
    """The same ids by the hook and by the event: Easemob's and Tencent IM's own filter stopped what we let through."""
    config = {**HOOKS, "easemob": HookConfig(PATIENT, secrets=(SECRET,))}
    async with asked(url, config, platforms=PLATFORMS) as house:
        asking = easemob_request("您好")
        assert (await house.post("/v1/hooks/easemob", asking, None)).json()["valid"] is True
        moderated = {"messageId": asking["msg_id"], "from": "a-17", "to": "u-4", "msg": "您好"}
        await tell(house, "easemob", {**EASEMOB_MODERATION, **moderated, "moderationResult": "REJECT"})
        body = tencent_request("您好")
        allowed = await house.post("/v1/hooks/tencent-im", body, None, params=tencent_query(time.time()))
        assert allowed.json() == THANKED
        filtered = {name: body[name] for name in ("From_Account", "To_Account", "MsgKey", "MsgBody")}
        await tell(house, "tencent-im", {**TENCENT_SENT, **filtered, "SendMsgResult": 80001})
        await kept_by_chat_worker(house)
        kept = await found(house, messages)
        assert [(row.platform, row.delivery) for row in kept] == [
            ("easemob", "intercepted"), ("tencent-im", "intercepted"),
        ]  # fmt: skip
        assert [line.intercepted_by for line in await found(house, interceptions)] == ["platform", "platform"]


async def test_tencent_im_has_one_address_for_asking_and_telling(url: str) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        for event in (TENCENT_RESULT, TENCENT_SENT):
            content, more = signed("tencent-im", event, time.time())
            answer = await house.post("/v1/hooks/tencent-im", content, None, **more)
            assert (answer.status_code, answer.json()) == (200, THANKED)
        assert [body["delivery"] for _, _, body in house.published] == ["intercepted", "delivered"]
        unsigned = await house.post("/v1/hooks/tencent-im", content, None, params={**more["params"], "Sign": "0"})
        assert unsigned.status_code == 401


async def test_what_was_delivered_is_judged_afterwards(url: str) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        await tell(house, "wecom", TOLD["wecom: a text of the archive"].with_text(BLOCKED))
        await kept_by_chat_worker(house)
        (violation,) = await found(house, violations)
        assert (violation.phrases, violation.agent_id) == (["abuse.zh.017"], "XuJinSheng")
        assert await found(house, interceptions) == []


# From whom it may come ------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_who_shows_nothing_is_refused(url: str, platform: str) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        answer = await house.post(f"/v1/events/{platform}", WHOLE[platform], None)
        assert answer.status_code == 401, answer.text
        wrong = {"Authorization": "Bearer tw_" + "x" * 43}
        assert (await house.post(f"/v1/events/{platform}", WHOLE[platform], None, headers=wrong)).status_code == 401
        assert (await house.post(f"/v1/events/{platform}", WHOLE[platform], PLATFORMS[0])).status_code == (
            200 if platform == PLATFORMS[0] else 403
        )
        assert len(house.published) == (platform == PLATFORMS[0])


@pytest.mark.parametrize("platform", SIGNED)
async def test_a_signature_with_another_secret_is_refused(url: str, platform: str) -> None:
    other = {platform: HookConfig(PATIENT, secrets=("another",))}
    async with asked(url, other, platforms=PLATFORMS) as house:
        answer = await tell(house, platform, WHOLE[platform])
        assert answer.status_code == 401 and "is not" in answer.json()["detail"]
    async with asked(url, platforms=()) as house:
        closed = await tell(house, platform, WHOLE[platform])
        assert closed.status_code == 403 and "TONEWATCH_" in closed.json()["detail"]
        assert house.published == []


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_who_hands_events_on_shows_a_key_instead(url: str, platform: str) -> None:
    async with asked(url, platforms=PLATFORMS) as house:
        assert (await tell(house, platform, WHOLE[platform], by_key=True)).status_code == 200
        # CometChat and SNS can only write it into an address.
        by_address = await house.client.post(
            f"/v1/events/{platform}", json=WHOLE[platform], auth=("any", house.keys[platform])
        )
        assert by_address.status_code == 200 and len(house.published) == 2


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_is_no_event_is_refused_and_said(url: str, platform: str) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        for body in (b"{", b'{"a": "\xff"}', b"[]", b'"text"'):
            answer = await house.post(f"/v1/events/{platform}", body, platform)
            assert answer.status_code == 400 and "JSON" in answer.json()["detail"], answer.text
        assert (await house.post("/v1/events/other", {}, platform)).status_code == 422


@pytest.mark.parametrize(
    ("platform", "event", "said"),
    [
        ("easemob", {**EASEMOB_MODERATION, "from": ""}, "who writes to whom"),
        ("easemob", {**EASEMOB_MODERATION, "targetType": "chatroom", "to": ""}, "conversation_id"),
        ("tencent-im", {**TENCENT_RESULT, "MsgID": None, "CtxcbRequestId": None}, "id: is missing"),
        ("stream", {**STREAM_NEW, "cid": ""}, "conversation_id"),
        ("cometchat", TOLD["cometchat: blocked"].with_text("\ud7ff" * 1_000_001), "text"),
        ("wecom", {**WHOLE["wecom"], "tolist": []}, "tolist"),
        (
            "amazon-connect",
            {**CONNECT_PROCESSED, "chatContent": {**CONNECT_PROCESSED["chatContent"], "participantRole": "GHOST"}},
            "participantRole",
        ),
    ],
)
async def test_an_event_that_is_not_whole_is_refused_by_field(
    url: str, platform: str, event: dict[str, Any], said: str
) -> None:
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        answer = await house.post(f"/v1/events/{platform}", event, platform)
        assert answer.status_code == 400 and said in answer.json()["detail"], answer.text
        assert house.published == []


@pytest.mark.parametrize(("sender", "role"), [("agent-3", "agent"), ("u-4", "customer")])
async def test_who_is_an_agent_is_told_by_the_id(url: str, sender: str, role: str) -> None:
    hooks = hooks_of(Settings(hook_agent_ids="agent-.*"))
    assert set(hooks) >= set(PLATFORMS)
    async with asked(url, hooks, platforms=PLATFORMS) as house:
        await tell(house, "wecom", {**WHOLE["wecom"], "from": sender, "tolist": ["x"]})
        ((_, _, body),) = house.published
        assert body["sender"] == {"id": sender, "role": role}
        assert body["customer"]["id"] == ("x" if role == "agent" else sender)


async def test_while_kafka_is_away_the_platform_is_told_so_and_nothing_is_lost(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.web.events.KAFKA_SECONDS", 0.1)
    async with asked(url, HOOKS, platforms=PLATFORMS) as house:
        house.broker.clear()
        answer = await tell(house, "cometchat", COMETCHAT_BLOCKED)
        assert answer.status_code == 503 and "again" in answer.json()["detail"]
        # It stops telling for minutes after 90 failures.
        assert (await tell(house, "easemob", EASEMOB_MODERATION)).status_code == 200
        assert web_of(house.app).late.kept == 2
        house.broker.set()
        async with asyncio.timeout(10):
            while web_of(house.app).late.kept:  # noqa: ASYNC110  (an event for this test alone)
                await asyncio.sleep(0.05)
        assert sorted(body["platform"] for _, _, body in house.published) == ["cometchat", "easemob"]
        monkeypatch.setattr("alerts.late.MOST_KEPT", 0)
        assert (await tell(house, "easemob", EASEMOB_MODERATION)).status_code == 503
