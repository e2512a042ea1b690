"""POST /v1/moderate: verdicts over HTTP are those of the topic, kept once, for who has the platform's key."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select, text
from typer.testing import CliRunner

from alerts.config import HookConfig
from alerts.judge import incoming_message
from alerts.moderate import moderate
from alerts.policy import PolicyKeeper
from alerts.store.api_keys import PREFIX
from alerts.store.database import reading
from alerts.store.tables import api_keys, audit, interceptions, messages
from stream.cli import app as command
from stream.records import parse_chat
from tests.builders_hooks import BLOCKED, FINE, HELD, MASKED, PATIENT, House, asked, message
from tests.builders_web import web_of


async def counted(house: House, table: Any) -> int:
    async with reading(house.engine) as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def from_topic(house: House, body: dict[str, Any]) -> bytes:
    """What the chat worker answers to the same message."""
    policies = PolicyKeeper(house.engine)
    await policies.refresh()
    incoming = incoming_message(parse_chat(orjson.dumps(body), {}), source="chat.messages:0:0", arrived_at=2.0)
    (verdict,) = await moderate(house.engine, policies.policy, [incoming], lambda: 2.0)
    return verdict.value


@pytest.mark.parametrize(
    ("text", "action", "replacement"),
    [(FINE, "allow", None), (BLOCKED, "block", None), (MASKED, "mask", "您****聊"), (HELD, "review", None)],
)
async def test_each_action_comes_back(database_url: str, text: str, action: str, replacement: str | None) -> None:
    async with asked(database_url) as house:
        answer = await house.post("/v1/moderate", message(text))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["action"], body["replacement"]) == (action, replacement)
        assert (body["platform"], body["message_id"], body["conversation_id"]) == ("openim", "m-1", "c-9")
        assert [reason["span"] for reason in body["reasons"]] == ([] if action == "allow" else [_span(text)])
        assert not house.published, "Kafka is not in its way"


def _span(text: str) -> list[int]:
    phrase = {BLOCKED: "骗子", MASKED: "加我微信", HELD: "保证退款"}[text]
    return [text.index(phrase), text.index(phrase) + len(phrase)]


async def test_the_same_question_gets_the_same_bytes_and_one_row(database_url: str) -> None:
    async with asked(database_url) as house:
        answers = await asyncio.gather(*(house.post("/v1/moderate", message(BLOCKED)) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert await counted(house, messages) == await counted(house, interceptions) == 1


async def test_a_connection_that_was_lost_costs_a_check_a_second_try_and_nothing_else(postgres_url: str) -> None:
    """Nobody asks before a transaction whether it is still there."""
    async with asked(postgres_url) as house:
        assert (await house.post("/v1/moderate", message(FINE))).json()["action"] == "allow"
        async with reading(house.engine) as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            ended = await connection.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            )
            assert len(ended.all()) >= 2, "the one of the checks and at least one of the pages"
        answer = await house.post("/v1/moderate", message(BLOCKED, "m-2"))
        assert answer.json()["action"] == "block" and not house.published
        assert await counted(house, messages) == 2 and await counted(house, interceptions) == 1


async def test_the_topic_and_http_are_one_identity(database_url: str) -> None:
    async with asked(database_url) as house:
        on_http = (await house.post("/v1/moderate", message(BLOCKED))).content
        assert await from_topic(house, message(BLOCKED, platform="openim")) == on_http
        on_topic = await from_topic(house, message(BLOCKED, "m-2", platform="openim"))
        assert (await house.post("/v1/moderate", message(BLOCKED, "m-2"))).content == on_topic
        assert await counted(house, interceptions) == 2
        # Of another platform, or with another text, it is another one.
        assert (await house.post("/v1/moderate", message(BLOCKED), "easemob")).content != on_http
        assert (await house.post("/v1/moderate", message(FINE))).json()["action"] == "allow"
        assert await counted(house, messages) == 4


async def test_a_message_in_pieces_is_joined_over_http_too(database_url: str) -> None:
    async with asked(database_url) as house:
        first = await house.post("/v1/moderate", message("您这个骗", "m-1"))
        second = await house.post("/v1/moderate", message("子", "m-2"))
        assert (first.json()["action"], second.json()["action"]) == ("allow", "block")


async def test_who_may_ask(database_url: str) -> None:
    async with asked(database_url) as house:
        without = await house.post("/v1/moderate", message(), None)
        assert without.status_code == 401 and without.headers["WWW-Authenticate"] == "Bearer"
        for wrong in (f"Bearer {PREFIX}{'x' * 43}", f"Basic {house.keys['openim']}", "Bearer ", "Bearer \u00e9"):
            answer = await house.post("/v1/moderate", message(), None, headers={"Authorization": wrong.encode()})
            assert answer.status_code == 401, wrong
        other = await house.post("/v1/moderate", message(platform="openim"), "easemob")
        assert other.status_code == 403 and "easemob" in other.json()["detail"]
        assert await counted(house, messages) == 0
        # Who can only write it into an address has it as a password.
        by_address = await house.client.post("/v1/moderate", json=message(), auth=("any", house.keys["openim"]))
        assert by_address.status_code == 200


async def test_a_session_of_a_person_is_no_key(database_url: str) -> None:
    async with asked(database_url) as house:
        house.client.cookies.set("tonewatch", "anything")
        assert (await house.post("/v1/moderate", message(), None)).status_code == 401


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b'{"text": "\xff"}', "JSON"),
        (b'{"text": "\\ud800"}', "JSON"),
        (orjson.dumps({**message(), "text": 4711}), "text"),
        (orjson.dumps({**message(), "conversation_id": "a\0b"}), "conversation_id"),
        (orjson.dumps({**message(), "message_id": None}), "message_id"),
        (b"[]", "record"),
    ],
)
async def test_what_cannot_be_read_is_said(tmp_path: Any, body: bytes, said: str) -> None:
    async with asked(f"sqlite:///{tmp_path / 'd.sqlite3'}") as house:
        answer = await house.post("/v1/moderate", body)
        assert answer.status_code == 422 and said in answer.json()["detail"], answer.text
        assert "4711" not in answer.text


async def test_a_body_without_end_is_not_read_to_its_end(tmp_path: Any) -> None:
    hooks = {"moderate": HookConfig(PATIENT, most_bytes=1000)}
    async with asked(f"sqlite:///{tmp_path / 'd.sqlite3'}", hooks) as house:
        assert (await house.post("/v1/moderate", message("x" * 2000))).status_code == 413
        answer = await house.post("/v1/moderate", message("x" * 500))
        assert answer.status_code == 200


async def test_unknown_fields_are_ignored(tmp_path: Any) -> None:
    async with asked(f"sqlite:///{tmp_path / 'd.sqlite3'}") as house:
        answer = await house.post("/v1/moderate", message(BLOCKED, later={"than": "now"}))
        assert answer.json()["action"] == "block"


def test_a_key_is_made_listed_and_revoked_by_command_and_never_told_again(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'd.sqlite3'}"
    monkeypatch.setenv("TONEWATCH_DATABASE", url)
    runner = CliRunner()
    with caplog.at_level(logging.DEBUG):
        assert runner.invoke(command, ["db", "upgrade"]).exit_code == 0
        made = runner.invoke(command, ["key", "add", "openim", "--note", "the shop's"])
        key = made.stdout.strip()
        assert key.startswith(PREFIX) and len(key) > 40, "standard output has the key and nothing else"
        listed = runner.invoke(command, ["key", "list"])
        assert "openim" in listed.output and "in use" in listed.output
        refused = runner.invoke(command, ["key", "add", "call"])
        assert refused.exit_code == 1 and "openim" in refused.output
        assert runner.invoke(command, ["key", "revoke", "1"]).exit_code == 0
        assert runner.invoke(command, ["key", "revoke", "1"]).exit_code == 1, "there is nothing left to revoke"
        again = runner.invoke(command, ["key", "list"])
        assert "revoked" in again.output
    assert key not in listed.output + again.output + caplog.text
    assert key.encode() not in (tmp_path / "d.sqlite3").read_bytes(), "only its hash is kept"


async def test_a_revoked_key_is_refused_soon_and_both_are_in_the_log(database_url: str) -> None:
    async with asked(database_url) as house:
        async with house.engine.begin() as connection:
            await connection.execute(api_keys.update().where(api_keys.c.platform == "openim").values(revoked_at=5.0))
        async with asyncio.timeout(5):
            while (await house.post("/v1/moderate", message())).status_code != 401:  # noqa: ASYNC110  (no event tells it)
                await asyncio.sleep(0.1)
        assert (await house.post("/v1/moderate", message(), "easemob")).status_code == 200
        async with reading(house.engine) as connection:
            whats = (await connection.execute(select(audit.c.what, audit.c.object).order_by(audit.c.id))).all()
        assert [tuple(row) for row in whats] == [("key.add", "key:1"), ("key.add", "key:2")]


async def test_what_was_answered_is_counted(tmp_path: Any) -> None:
    async with asked(f"sqlite:///{tmp_path / 'd.sqlite3'}") as house:
        for _ in range(2):
            await house.post("/v1/moderate", message(BLOCKED))
        await house.post("/v1/moderate", message(), None)
        numbers = (await house.client.get("/metrics")).text
        for line in (
            'tonewatch_web_verdicts_total{action="block",repeat="false",via="moderate"} 1.0',
            'tonewatch_web_verdicts_total{action="block",repeat="true",via="moderate"} 1.0',
            'tonewatch_web_refused_checks_total{status="401",via="moderate"} 1.0',
            'tonewatch_web_verdict_seconds_count{via="moderate"} 2.0',
            'tonewatch_intercepted_messages_total{action="block",by="us"} 1.0',
        ):
            assert line in numbers
        assert web_of(house.app).verdicts.waiting == 0
