"""A phrase that is added blocks everywhere within two seconds, under load; no message is judged by half a policy."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from alerts.policy_edit import add_phrase
from alerts.store.database import open_engine
from stream.operate import add_key, upgrade_database
from stream.settings import Settings
from stream.worker import database_config
from tests.conftest import Broker
from tests.services_kafka import KafkaServer
from tests.workers import Listener, WebProcess, producer, workers

PER_SECOND = 100
SECONDS = 2.0
NEW = "青蛙是个王子"
"""What no shipped pack has."""
KNOWN = "您这个人就是骗子"
FINE = "您好，请问有什么可以帮您？"


async def _add(settings: Settings) -> tuple[int, float]:
    """Add the phrase as the command does; return (the version with it, Unix time it was in the database)."""
    engine = open_engine(database_config(settings))
    try:
        given = {"phrase": NEW, "category": "promise"}
        version, _ = await add_phrase(engine, given, who=getpass.getuser(), why="test", now=time.time())
        return version, time.time()
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def _running(web: WebProcess) -> AsyncIterator[None]:
    web.start()
    try:
        await web.until_ready()
        yield
    finally:
        web.stop()


def _message(number: int, text: str) -> dict[str, Any]:
    return {
        "conversation_id": f"c-{number % 40}", "message_id": f"m-{number}", "platform": "shop",
        "sender": {"id": f"a-{number % 40}", "role": "agent", "team": "refunds"}, "text": text,
    }  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What was asked while the phrase was added, and what was answered."""

    version: int
    """Of the policy with the phrase."""
    at: float
    """Unix time it was in the database."""
    verdicts: list[tuple[float, str, dict[str, Any]]]
    """(Unix time it was sent, text, verdict) of every message."""
    answers: list[tuple[float, dict[str, Any]]]
    """(Unix time it was asked, verdict) of the phrase over HTTP."""

    def seconds(self) -> tuple[float, float]:
        """How long after it was in the database the phrase was last let through: on the topic, and over HTTP."""
        by_topic = [sent - self.at for sent, text, told in self.verdicts if text == NEW and told["action"] == "allow"]
        over_http = [asked - self.at for asked, told in self.answers if told["action"] == "allow"]
        return max(0.0, *by_topic), max(0.0, *over_http)


async def add_under_load(settings: Settings, folder: Path) -> Told:
    """Run two chat workers and a web process, send them messages for eight seconds, and add the phrase meanwhile."""
    await upgrade_database(settings)
    _, key = await add_key(settings, "shop", "", who="test", now=time.time())
    texts: dict[str, tuple[float, str]] = {}
    answers = []
    web = WebProcess(settings, 0, folder)
    async with workers(settings, folder, chat=2), Listener(settings, "chat.verdicts") as listener, _running(web):
        async with producer(settings) as send, httpx.AsyncClient(base_url=f"http://{web.address}") as client:
            client.headers["Authorization"] = f"Bearer {key}"
            added: asyncio.Task[tuple[int, float]] | None = None
            for number in range(PER_SECOND * 8):
                if number == PER_SECOND * 2:
                    added = asyncio.create_task(_add(settings))
                text = (NEW, KNOWN, FINE)[number % 3]
                body = _message(number, text)
                texts[body["message_id"]] = time.time(), text
                await send("chat.messages", body["conversation_id"], body)
                if number % 10 == 0:
                    asked_at = time.time()
                    answer = await client.post("/v1/moderate", json=_message(100_000 + number, NEW))
                    assert answer.status_code == 200, answer.text
                    answers.append((asked_at, answer.json()))
                await asyncio.sleep(1 / PER_SECOND)
            assert added is not None
            version, at = await added
            await listener.until(
                lambda got: len({b["message_id"] for b in got.bodies} & set(texts)) == len(texts), 30, "every verdict"
            )
    told = {body["message_id"]: body for body in listener.bodies}
    return Told(version, at, [(*sent, told[name]) for name, sent in texts.items()], answers)


async def test_a_phrase_that_is_added_blocks_within_two_seconds_on_the_topic_and_over_http(
    kafka: KafkaServer, database_url: str, tmp_path: Path
) -> None:
    told = await add_under_load(Broker("kafka", kafka.bootstrap, kafka).settings(database=database_url), tmp_path)
    for _, text, body in told.verdicts:
        if text == NEW:
            # The version and what it finds come together: no policy is half in force.
            assert (body["action"] == "block") == (body["policy_version"] == told.version), body
        else:
            assert body["action"] == ("block" if text == KNOWN else "allow"), "whatever policy is in force"
    assert max(told.seconds()) < SECONDS, "within two seconds"
    last = [body for _, text, body in told.verdicts if text == NEW][-1]
    assert last["action"] == told.answers[-1][1]["action"] == "block"
    assert {body["action"] for asked_at, body in told.answers if asked_at < told.at - 0.5} == {"allow"}
