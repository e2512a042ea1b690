"""A phrase that is added blocks everywhere within two seconds, under load; no message is judged by half a policy."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import time
from collections.abc import AsyncIterator
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

SECONDS = 2.0
PER_SECOND = 100
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


async def test_a_phrase_that_is_added_blocks_within_two_seconds_on_the_topic_and_over_http(
    kafka: KafkaServer, database_url: str, tmp_path: Path
) -> None:
    settings = Broker("kafka", kafka.bootstrap, kafka).settings(database=database_url)
    await upgrade_database(settings)
    _, key = await add_key(settings, "shop", "", who="test", now=time.time())
    texts, sent_at, over_http = {}, {}, []
    web = WebProcess(settings, 0, tmp_path)
    async with workers(settings, tmp_path, chat=2), Listener(settings, "chat.verdicts") as verdicts, _running(web):
        async with producer(settings) as send, httpx.AsyncClient(base_url=f"http://{web.address}") as client:
            client.headers["Authorization"] = f"Bearer {key}"
            added: asyncio.Task[tuple[int, float]] | None = None
            for number in range(PER_SECOND * 6):
                if number == PER_SECOND * 2:
                    added = asyncio.create_task(_add(settings))
                text = (NEW, KNOWN, FINE)[number % 3]
                body = _message(number, text)
                texts[body["message_id"]], sent_at[body["message_id"]] = text, time.time()
                await send("chat.messages", body["conversation_id"], body)
                if number % 10 == 0:
                    asked_at = time.time()
                    asked = _message(100_000 + number, NEW)
                    answer = await client.post("/v1/moderate", json=asked)
                    assert answer.status_code == 200, answer.text
                    over_http.append((asked_at, answer.json()))
                await asyncio.sleep(1 / PER_SECOND)
            assert added is not None
            version, at = await added
            await verdicts.until(
                lambda got: len({b["message_id"] for b in got.bodies} & set(texts)) == len(texts), 30, ""
            )
    told = {body["message_id"]: body for body in verdicts.bodies}
    for message_id, text in texts.items():
        body = told[message_id]
        if text == NEW:
            # The version and what it finds come together: no policy is half in force.
            assert (body["action"] == "block") == (body["policy_version"] == version), body
            assert body["action"] == "block" or sent_at[message_id] < at + SECONDS, "within two seconds"
        else:
            assert body["action"] == ("block" if text == KNOWN else "allow"), "whatever policy is in force"
    late = [answer["action"] for asked_at, answer in over_http if asked_at >= at + SECONDS]
    assert len(late) > 10 and set(late) == {"block"}
    assert {answer["action"] for asked_at, answer in over_http if asked_at < at - 0.5} == {"allow"}
