from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from alerts.policy import SHIPPED_PACKS
from alerts.store.tables import interceptions, messages, violations
from stream.operate import upgrade_database
from stream.settings import Settings
from tests.conftest import Broker
from tests.services import ROOT, run_apart
from tests.services_kafka import KafkaServer
from tests.workers import TONEWATCH, Listener, Worker, environment, producer, rows, until_rows, workers

INSULT = "您这个人就是骗子"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def settings(
    request: pytest.FixtureRequest, _kafka_server: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Kafka 4 with either database, and one chat worker for all tests of this file."""
    folder = tmp_path_factory.mktemp("chat")
    broker = Broker("kafka", _kafka_server.bootstrap, _kafka_server)
    postgres = request.getfixturevalue("_postgres_server") if request.param == "postgres" else None
    database = postgres.create_database() if postgres else f"sqlite:///{folder / 'tonewatch.sqlite3'}"
    settings = broker.settings(database=database)
    run_apart(upgrade_database(settings))
    worker = Worker(settings, "chat", 0, folder)
    worker.start()
    run_apart(worker.until_ready())
    yield settings
    worker.stop()
    broker.forget(settings)
    if postgres:
        postgres.drop_database(database)


class Chat:
    """One conversation of one agent on `chat.messages`, and the verdicts about it."""

    def __init__(self, send: Any, verdicts: Listener) -> None:
        self.id = f"c-{uuid4().hex[:8]}"
        self._send = send
        self._verdicts = verdicts

    async def write(self, message_id: str, text: str, **more: Any) -> None:
        sender = {"id": f"a-{self.id}", "role": "agent", "team": "refunds"}
        message = {"conversation_id": self.id, "message_id": message_id, "platform": "test", "sender": sender}
        await self._send("chat.messages", self.id, {**message, "text": text, **more})

    async def ask(self, message_id: str, text: str, **more: Any) -> dict[str, Any]:
        """Write, and return the verdict that this record got."""
        before = len(self.verdicts(message_id))
        await self.write(message_id, text, **more)
        await self._verdicts.until(lambda _: len(self.verdicts(message_id)) > before, 20, f"a verdict on {message_id}")
        return self.verdicts(message_id)[-1]

    def verdicts(self, message_id: str) -> list[dict[str, Any]]:
        return [
            body
            for body in self._verdicts.bodies
            if (body["conversation_id"], body["message_id"]) == (self.id, message_id)
        ]

    def bytes(self, message_id: str) -> list[bytes]:
        pairs = zip(self._verdicts.records, self._verdicts.bodies, strict=True)
        return [
            record.value
            for record, body in pairs
            if (body["conversation_id"], body["message_id"]) == (self.id, message_id)
        ]

    @property
    def log(self) -> Any:
        """The interception log of this conversation, in order."""
        columns = (messages.c.message_id, messages.c.text, *interceptions.c)
        joined = interceptions.join(messages, interceptions.c.message == messages.c.id)
        mine = interceptions.c.conversation_id == self.id
        return select(*columns).select_from(joined).where(mine).order_by(interceptions.c.id)


async def in_chat(settings: Settings, test: Callable[[Chat], Any]) -> None:
    async with Listener(settings, "chat.verdicts") as verdicts, producer(settings) as send:
        await test(Chat(send, verdicts))


async def test_a_phrase_split_over_two_messages_is_blocked(settings: Settings) -> None:
    async def test(chat: Chat) -> None:
        assert (await chat.ask("m-1", "骗"))["action"] == "allow"
        verdict = await chat.ask("m-2", "子")
        assert verdict["action"] == "block"
        assert [(reason["span"], reason["how"]) for reason in verdict["reasons"]] == [([0, 1], "across")]
        [row] = await rows(settings, chat.log)
        assert (row["message_id"], row["intercepted_by"], row["attempt"]) == ("m-2", "us", 1)

    await in_chat(settings, test)


async def test_a_repeat_gets_the_same_bytes_and_counts_no_attempt(settings: Settings) -> None:
    async def test(chat: Chat) -> None:
        for _ in range(3):
            assert (await chat.ask("m-1", INSULT))["action"] == "block"
        assert len(set(chat.bytes("m-1"))) == 1
        await chat.ask("m-2", INSULT)
        assert [(row["message_id"], row["attempt"]) for row in await rows(settings, chat.log)] == [
            ("m-1", 1),
            ("m-2", 2),
        ]

    await in_chat(settings, test)


async def test_an_edited_message_is_judged_anew_under_its_old_id(settings: Settings) -> None:
    async def test(chat: Chat) -> None:
        assert (await chat.ask("m-1", "好的，马上为您查询"))["action"] == "allow"
        assert (await chat.ask("m-1", INSULT))["action"] == "block"
        assert (await chat.ask("m-1", "抱歉，马上为您查询"))["action"] == "allow"
        kept = await rows(settings, select(messages).where(messages.c.conversation_id == chat.id))
        assert [row["action"] for row in sorted(kept, key=lambda row: row["id"])] == ["allow", "block", "allow"]
        assert [row["text"] for row in await rows(settings, chat.log)] == [INSULT]

    await in_chat(settings, test)


async def test_what_the_platform_stopped_after_our_verdict_is_in_the_log(settings: Settings) -> None:
    text = "加我微信 tonewatch 聊"

    async def test(chat: Chat) -> None:
        await chat.ask("m-1", "今天天气不错")
        await chat.ask("m-1", "今天天气不错", delivery="intercepted", intercepted_by="platform", matched=["天气"])
        [row] = await until_rows(settings, chat.log)
        assert (row["intercepted_by"], row["action"], row["attempt"]) == ("platform", "block", 1)
        assert row["phrases"] == ["platform.天气"] and len(set(chat.bytes("m-1"))) == 1
        # One that we had stopped ourselves stays ours beside the platform's own, and is one attempt.
        await chat.ask("m-2", INSULT)
        await chat.ask("m-2", INSULT, delivery="intercepted", intercepted_by="platform", matched=["骗子"])
        log = await until_rows(settings, chat.log, count=3)
        assert [(row["message_id"], row["intercepted_by"], row["attempt"]) for row in log] == [
            ("m-1", "platform", 1),
            ("m-2", "us", 2),
            ("m-2", "platform", 2),
        ]
        # It comes before anything was judged: kept, and answered with what may still be done, nothing.
        await chat.ask("m-3", text, delivery="intercepted", intercepted_by="platform", matched=["微信"])
        assert (await until_rows(settings, chat.log, count=4))[3]["message_id"] == "m-3"

    await in_chat(settings, test)


async def test_what_was_said_in_a_call_is_a_violation_without_a_verdict(settings: Settings) -> None:
    async def test(chat: Chat) -> None:
        async with producer(settings) as send:
            turn = {"conversation_id": chat.id, "side": "agent", "start_ms": 0, "end_ms": 2500, "text": INSULT}
            await send("transcript.turns", chat.id, {**turn, "turn_id": "t-1", "agent": {"id": "a-1"}})
            query = select(violations).where(violations.c.conversation_id == chat.id)
            [row] = await until_rows(settings, query)
        assert (row["platform"], row["agent_id"], row["category"]) == ("call", "a-1", "abuse")
        await chat.ask("m-1", "好的")  # a later one is answered, so the turn never will be
        assert chat.verdicts("t-1") == [] and await rows(settings, chat.log) == []

    await in_chat(settings, test)


async def test_a_policy_is_in_force_within_two_seconds(settings: Settings, tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    shutil.copytree(SHIPPED_PACKS, packs)
    (packs / "house.toml").write_text(
        """
[[phrase]]
id = "house.zh.001"
phrase = "蓝月亮套餐"
category = "house"
severity = "warning"
action = "block"
""",
        encoding="utf-8",
    )

    def load(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [*TONEWATCH, "policy", "load", "--packs", str(folder)]
        return subprocess.run(
            command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, check=False, timeout=60
        )

    async def test(chat: Chat) -> None:
        before = await chat.ask("m-0", "这次蓝月亮套餐")
        assert before["action"] == "allow"
        done = await asyncio.to_thread(load, packs)
        loaded_at = time.monotonic()
        assert done.returncode == 0, done.stderr
        number = 0
        while True:
            number += 1
            verdict = await chat.ask(f"m-{number}", "这次蓝月亮套餐")
            if verdict["policy_version"] > before["policy_version"]:
                break
            # A look each second, and a second to compile the packs beside the work.
            assert time.monotonic() - loaded_at < 3, "still the old policy"
            await asyncio.sleep(0.1)
        assert verdict["action"] == "block"
        assert [reason["phrase_id"] for reason in verdict["reasons"]] == ["house.zh.001"]
        assert (await chat.ask("m-0", "这次蓝月亮套餐")) == before, "what was judged before keeps its verdict"
        (packs / "house.toml").write_text("[[phrase]]\nid = 7\n", encoding="utf-8")
        refused = await asyncio.to_thread(load, packs)
        assert refused.returncode == 1 and "house.toml" in refused.stderr
        assert (await chat.ask("m-last", "这次蓝月亮套餐"))["policy_version"] == verdict["policy_version"]

    await in_chat(settings, test)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_two_workers_join_what_one_agent_split(
    kafka_settings: Settings, request: pytest.FixtureRequest, database: str, tmp_path: Path
) -> None:
    """The worker that read the first half is dead when the second half comes: its partitions have moved."""
    url = (
        request.getfixturevalue("postgres_url")
        if database == "postgres"
        else f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}"
    )
    settings = kafka_settings.model_copy(update={"database": url, "partitions": 4})
    async with workers(settings, tmp_path, chat=1) as [first]:

        async def test(chat: Chat) -> None:
            assert (await chat.ask("m-1", "骗"))["action"] == "allow"
            second = Worker(settings, "chat", 1, tmp_path)
            second.start()
            await asyncio.to_thread(first.kill)
            try:
                assert (await chat.ask("m-2", "子"))["action"] == "block"
                assert second.is_alive and not first.is_alive
                for name, half in (("m-1", "骗"), ("m-2", "子")):
                    await chat.ask(name, half)
                    assert len(set(chat.bytes(name))) == 1
                [row] = await rows(settings, chat.log)
                assert (row["message_id"], row["attempt"]) == ("m-2", 1), "a repeat of either is no attempt"
            finally:
                second.kill()

        await in_chat(settings, test)
