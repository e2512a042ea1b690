"""Each platform's recorded request gets the answer that its documentation asks for."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select

from alerts.config import HookConfig
from alerts.hooks.hook import REFUSAL
from alerts.store.database import reading
from alerts.store.tables import messages
from tests.builders_hooks import (
    BLOCKED,
    FINE,
    HELD,
    MASKED,
    PATIENT,
    SECRET,
    House,
    asked,
    easemob_request,
    openim_request,
    stream_headers,
    stream_request,
    tencent_query,
    tencent_request,
)

HOOKS = {name: HookConfig(PATIENT, secrets=("older", SECRET)) for name in ("easemob", "tencent-im", "stream")}
COMMAND = "/v1/hooks/openim/callbackBeforeSendSingleMsgCommand"
OPENIM_FINE = {"actionCode": 0, "errCode": 0, "errMsg": "", "errDlt": "", "nextCode": 0}
TENCENT_FINE = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The adapters are above the database; that both do the same is tested of /v1/moderate."""
    return f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}"


async def ask(house: House, platform: str, body: Any, **more: Any) -> httpx.Response:
    """Ask as the platform does, signed."""
    content = orjson.dumps(body)
    if platform == "openim":
        return await house.post(COMMAND, content, headers={"operationID": "operation_001"}, **more)
    if platform == "tencent-im":
        more.setdefault("params", tencent_query(time.time()))
    if platform == "stream":
        more.setdefault("headers", stream_headers(content))
    return await house.post(f"/v1/hooks/{platform}", content, None, **more)


async def kept(house: House) -> list[Any]:
    async with reading(house.engine) as connection:
        return list((await connection.execute(select(messages).order_by(messages.c.id))).all())


REQUESTS = {
    "openim": openim_request,
    "easemob": easemob_request,
    "tencent-im": tencent_request,
    "stream": stream_request,
}


def fine(platform: str, body: Any) -> Any:
    """What lets a message through."""
    return {
        "openim": OPENIM_FINE,
        "easemob": {"valid": True, "code": "HX:10000"},
        "tencent-im": TENCENT_FINE,
        "stream": {"message": body.get("message")},
    }[platform]


def refused(platform: str, action: str = "block") -> Any:
    """What keeps a message back."""
    return {
        "openim": {"actionCode": 0, "errCode": 5001, "errMsg": REFUSAL, "errDlt": action, "nextCode": 1},
        "easemob": {"valid": False, "code": REFUSAL},
        "tencent-im": {"ActionStatus": "OK", "ErrorInfo": REFUSAL, "ErrorCode": 1},
        "stream": {"message": {"type": "error", "text": REFUSAL}},
    }[platform]


@pytest.mark.parametrize("platform", REQUESTS)
async def test_the_recorded_request_is_answered_as_documented(url: str, platform: str) -> None:
    async with asked(url, HOOKS) as house:
        for text, wanted in ((BLOCKED, "block"), (HELD, "review"), (FINE, "allow")):
            body = REQUESTS[platform](text)
            answer = await ask(house, platform, body)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "application/json"
            right = fine(platform, body) if wanted == "allow" else refused(platform, wanted)
            assert answer.json() == right
            # Retried, the platform hears the same, and no second row is written.
            assert (await ask(house, platform, body)).content == answer.content
        rows = await kept(house)
        assert [(row.platform, row.sender_id, row.text, row.action) for row in rows] == [
            (platform, "a-17", text, action) for text, action in ((BLOCKED, "block"), (HELD, "review"), (FINE, "allow"))
        ]
        assert len({row.conversation_id for row in rows}) == 1


@pytest.mark.parametrize("platform", REQUESTS)
async def test_a_masked_text_goes_out_changed_where_the_platform_can(url: str, platform: str) -> None:
    async with asked(url, HOOKS) as house:
        body = REQUESTS[platform](MASKED)
        starred = "您****聊"
        wanted = {
            "openim": refused("openim", "mask"),
            "easemob": {"valid": True, "code": "HX:10000", "payload": {"msg": starred, "type": "txt"}},
            "tencent-im": {**TENCENT_FINE, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": starred}}]},
            "stream": {"message": {"text": starred}},
        }[platform]
        assert (await ask(house, platform, body)).json() == wanted


@pytest.mark.parametrize("platform", REQUESTS)
async def test_unknown_fields_change_nothing(url: str, platform: str) -> None:
    async with asked(url, HOOKS) as house:
        body = REQUESTS[platform](BLOCKED, newer={"than": ["we", 1, None]})
        assert (await ask(house, platform, body)).json() == refused(platform)


@pytest.mark.parametrize("platform", REQUESTS)
async def test_what_has_no_words_is_let_through_and_not_kept(url: str, platform: str) -> None:
    wordless = {
        "openim": {"content": '{"sourcePicture":{"url":"https://example.com/a.png"}}', "contentType": 102},
        "easemob": {"payload": {"type": "img", "filename": "骗子.png", "url": "https://example.com/a.png"}},
        "tencent-im": {"MsgBody": [{"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6}}]},
        "stream": {"message": {"id": "m-1", "text": "", "type": "regular", "attachments": [{"type": "image"}]}},
    }
    async with asked(url, HOOKS) as house:
        body = REQUESTS[platform](BLOCKED, **wordless[platform])
        answer = await ask(house, platform, body)
        assert (answer.status_code, answer.json()) == (200, fine(platform, body))
        assert await kept(house) == []


@pytest.mark.parametrize("platform", ["easemob", "tencent-im", "stream"])
async def test_a_hook_without_its_secret_is_closed(url: str, platform: str) -> None:
    async with asked(url) as house:
        answer = await ask(house, platform, REQUESTS[platform](BLOCKED))
        assert answer.status_code == 403 and "TONEWATCH_" in answer.json()["detail"]
        assert await kept(house) == []


async def test_openim_needs_a_key_of_its_own(url: str) -> None:
    async with asked(url) as house:
        assert (await house.post(COMMAND, openim_request(BLOCKED), None)).status_code == 401
        other = await house.post(COMMAND, openim_request(BLOCKED), "easemob")
        assert other.status_code == 403
        assert await kept(house) == []
        # OpenIM's own client sends what stands before the @ of its address.
        by_address = await house.client.post(COMMAND, json=openim_request(BLOCKED), auth=("any", house.keys["openim"]))
        assert by_address.json() == refused("openim")
        without_command = await house.post("/v1/hooks/openim", openim_request(BLOCKED))
        assert without_command.json() == refused("openim")


async def test_openim_asks_about_groups_and_other_contents(url: str) -> None:
    async with asked(url) as house:
        group = openim_request(
            BLOCKED, callbackCommand="callbackBeforeSendGroupMsgCommand", groupID="g1", sessionType=3
        )
        del group["recvID"]
        assert (await house.post("/v1/hooks/openim/callbackBeforeSendGroupMsgCommand", group)).json()["nextCode"] == 1
        at_text = openim_request("", content=orjson.dumps({"text": BLOCKED, "atUserList": ["u-4"]}).decode())
        assert (await house.post(COMMAND, at_text)).json()["nextCode"] == 1
        plain = openim_request("", content=BLOCKED, clientMsgID="other")
        assert (await house.post(COMMAND, plain)).json()["nextCode"] == 1
        # What OpenIM only tells, or asks beyond texts, goes on.
        told = openim_request(BLOCKED, callbackCommand="callbackAfterSendSingleMsgCommand")
        assert (await house.post("/v1/hooks/openim/callbackAfterSendSingleMsgCommand", told)).json() == OPENIM_FINE
        assert {row.conversation_id for row in await kept(house)} == {"sg_g1", "si_a-17_u-4"}


async def test_easemob_s_signature(url: str) -> None:
    async with asked(url, HOOKS) as house:
        for body in (
            easemob_request(BLOCKED, secret="wrong"),
            {**easemob_request(BLOCKED), "security": ""},
            {**easemob_request(BLOCKED), "security": 7},
            {**easemob_request(BLOCKED), "timestamp": 1},
            {name: value for name, value in easemob_request(BLOCKED).items() if name != "security"},
        ):
            answer = await ask(house, "easemob", body)
            assert answer.status_code == 401 and SECRET not in answer.text
        assert (await ask(house, "easemob", easemob_request(BLOCKED, secret="older"))).status_code == 200
        assert len(await kept(house)) == 1


async def test_easemob_s_older_payload_and_groups(url: str) -> None:
    async with asked(url, HOOKS) as house:
        body = easemob_request(
            "", chat_type="groupchat", group_id="g1",
            payload={"ext": {}, "bodies": [{"msg": MASKED, "type": "txt"}, {"type": "img", "url": "u"}]},
        )  # fmt: skip
        answer = (await ask(house, "easemob", body)).json()
        assert answer["payload"] == {
            "ext": {},
            "bodies": [{"msg": "您****聊", "type": "txt"}, {"type": "img", "url": "u"}],
        }
        (row,) = await kept(house)
        assert row.conversation_id == "g1"


async def test_easemob_is_never_answered_with_more_than_it_reads(url: str) -> None:
    async with asked(url, HOOKS) as house:
        answer = await ask(house, "easemob", easemob_request(MASKED + "，" + "好" * 900))
        assert answer.json() == refused("easemob"), "what cannot go out changed does not go out"
        assert len(answer.text) <= 1000


async def test_tencent_s_signature(url: str) -> None:
    async with asked(url, {"tencent-im": HookConfig(PATIENT, secrets=(SECRET,), app_id="1400000001")}) as house:
        now = time.time()
        for query, status in (
            (tencent_query(now, token="wrong"), 401),
            (tencent_query(now) | {"Sign": ""}, 401),
            (tencent_query(now) | {"RequestTime": str(int(now) + 1)}, 401),
            (tencent_query(now - 120), 401),
            (tencent_query(now + 120), 401),
            ({}, 401),
            (tencent_query(now, app="1400000002"), 403),
            (tencent_query(now), 200),
        ):
            answer = await ask(house, "tencent-im", tencent_request(BLOCKED), params=query)
            assert answer.status_code == status, query
        assert len(await kept(house)) == 1


async def test_tencent_asks_about_groups_and_messages_of_several_parts(url: str) -> None:
    async with asked(url, HOOKS) as house:
        group = tencent_request(
            "", CallbackCommand="Group.CallbackBeforeSendMsg", GroupId="@TGS#1", Random=12345,
            MsgBody=[
                {"MsgType": "TIMTextElem", "MsgContent": {"Text": "好的"}},
                {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6}},
                {"MsgType": "TIMTextElem", "MsgContent": {"Text": MASKED}},
            ],
        )  # fmt: skip
        del group["MsgKey"], group["To_Account"]
        params = tencent_query(time.time(), CallbackCommand="Group.CallbackBeforeSendMsg")
        answer = (await ask(house, "tencent-im", group, params=params)).json()
        assert [part["MsgContent"] for part in answer["MsgBody"]] == [
            {"Text": "好的"}, {"Index": 6}, {"Text": "您****聊"},
        ]  # fmt: skip
        after = tencent_request(BLOCKED, CallbackCommand="C2C.CallbackAfterSendMsg")
        assert (await ask(house, "tencent-im", after)).json() == TENCENT_FINE
        (row,) = await kept(house)
        assert (row.conversation_id, row.message_id) == ("@TGS#1", "12345")


async def test_stream_s_signature_and_compression(url: str) -> None:
    async with asked(url, HOOKS) as house:
        body = orjson.dumps(stream_request(BLOCKED))
        where = "/v1/hooks/stream"
        for headers in ({}, stream_headers(body, "wrong"), stream_headers(body + b" "), {"X-Signature": "é".encode()}):
            assert (await house.post(where, body, None, headers=headers)).status_code == 401
        packed = {"Content-Encoding": "gzip", **stream_headers(body)}
        answer = await house.post(where, gzip.compress(body), None, headers=packed)
        assert answer.json() == refused("stream")
        assert (await house.post(where, b"\x1f\x8b no", None, headers=packed)).status_code == 422
        bomb = gzip.compress(b"0" * 50_000_000)
        assert (await house.post(where, bomb, None, headers=packed)).status_code == 413
        (row,) = await kept(house)
        assert (row.conversation_id, row.message_id) == ("messaging:fun-01dce6d9", "m-1")


async def test_a_message_without_an_id_gets_one_and_stream_s_retry_is_known(url: str) -> None:
    async with asked(url, HOOKS) as house:
        body = stream_request(BLOCKED)
        body["message"]["id"] = ""
        for _ in range(2):
            await ask(house, "stream", body)
        content = orjson.dumps(body)
        unnamed = {"X-Signature": stream_headers(content)["X-Signature"]}
        await house.post("/v1/hooks/stream", content, None, headers=unnamed)
        ids = [row.message_id for row in await kept(house)]
        assert ids[0] == "w-1" and ids[1].startswith("http:") and len(ids) == 2


@pytest.mark.parametrize("platform", REQUESTS)
async def test_what_is_no_request_of_the_platform_is_refused_and_said(url: str, platform: str) -> None:
    async with asked(url, HOOKS) as house:
        for body in ([], "text", None):
            answer = await ask(house, platform, body)
            assert answer.status_code == 422 and answer.json()["detail"], answer.text


@pytest.mark.parametrize(("sender", "side"), [("agent-3", "agent"), ("u-4", "customer")])
async def test_who_is_an_agent_is_told_by_the_id(url: str, sender: str, side: str) -> None:
    hooks = {"openim": HookConfig(PATIENT, agent_ids="agent-.*")}
    async with asked(url, hooks) as house:
        answer = await house.post(COMMAND, openim_request(BLOCKED, sendID=sender, recvID="x"))
        # The phrases are about agents: what a customer writes is kept, and let through.
        assert answer.json()["nextCode"] == (1 if side == "agent" else 0)
        (row,) = await kept(house)
        assert (row.side, row.sender_id) == (side, sender)
