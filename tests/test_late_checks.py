"""A check that missed its deadline is answered in time by the fail policy, and judged afterwards: nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from alerts.config import FailPolicy, HookConfig
from alerts.store.database import reading
from alerts.store.tables import interceptions, messages, violations
from tests.builders_hooks import (
    BLOCKED,
    SECRET,
    House,
    asked,
    easemob_request,
    kept_by_chat_worker,
    message,
    openim_request,
    stream_headers,
    stream_request,
    tencent_query,
    tencent_request,
)
from tests.builders_web import web_of
from tests.services_postgres import PostgresServer

DEADLINE = 0.4
PUNCTUAL = DEADLINE + 1.0
"""Seconds: the deadline, and what a busy machine adds; the database is away for longer."""


def late_hooks(policy: FailPolicy) -> dict[str, HookConfig]:
    names = ("moderate", "openim", "easemob", "tencent-im", "stream")
    return {name: HookConfig(DEADLINE, policy, secrets=(SECRET,)) for name in names}


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """The database is another process' own for a while."""
    other = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    # In a thread: who holds it may need this loop to let it go.
    await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def ids(house: House, table: Any) -> list[str]:
    query = select(messages.c.message_id)
    if table is not messages:
        query = query.join(table, table.c.message == messages.c.id)
    async with reading(house.engine) as connection:
        return sorted((await connection.execute(query)).scalars())


def asking(house: House) -> dict[str, Any]:
    """Each way in, asked about a text that is to be blocked."""
    stream = orjson.dumps(stream_request(BLOCKED))
    hooks = "/v1/hooks"
    return {
        "moderate": house.post("/v1/moderate", message(BLOCKED)),
        "openim": house.post(f"{hooks}/openim/callbackBeforeSendSingleMsgCommand", openim_request(BLOCKED)),
        "easemob": house.post(f"{hooks}/easemob", easemob_request(BLOCKED), None),
        "tencent-im": house.post(
            f"{hooks}/tencent-im", tencent_request(BLOCKED), None, params=tencent_query(time.time())
        ),
        "stream": house.post(f"{hooks}/stream", stream, None, headers=stream_headers(stream)),
    }


def delivers(via: str, body: Any) -> bool:
    """Whether an answer lets the message through."""
    return {
        "moderate": lambda: body["action"] == "allow",
        "openim": lambda: body["nextCode"] == 0,
        "easemob": lambda: body["valid"],
        "tencent-im": lambda: body["ErrorCode"] == 0,
        "stream": lambda: body["message"]["type"] != "error",
    }[via]()


@pytest.mark.parametrize("policy", ["open", "closed"])
async def test_a_locked_database_delays_no_answer_and_loses_nothing(tmp_path: Path, policy: FailPolicy) -> None:
    path = tmp_path / "tonewatch.sqlite3"
    async with asked(f"sqlite:///{path}", late_hooks(policy)) as house:
        async with locked(path):
            waiting = asking(house)
            began = time.monotonic()
            answers = dict(zip(waiting, await asyncio.gather(*waiting.values()), strict=True))
            took = time.monotonic() - began
        assert took < PUNCTUAL, "late"
        assert {answer.status_code for answer in answers.values()} == {200}
        said = {via: delivers(via, answer.json()) for via, answer in answers.items()}
        assert said == dict.fromkeys(waiting, policy == "open")
        assert answers["moderate"].json()["unverified"] is True
        deliveries = {body["delivery"] for _, _, body in house.published}
        assert deliveries == {"unverified" if policy == "open" else "pending"}
        await kept_by_chat_worker(house)
        everyone = await ids(house, messages)
        assert len(everyone) == 5
        if policy == "open":
            # The customer has them: found after the fact.
            assert await ids(house, violations) == everyone
        else:
            assert await ids(house, interceptions) == everyone
        again = await house.post("/v1/moderate", message(BLOCKED))
        # What is delivered already is flagged, no longer blocked.
        assert again.json()["reasons"] and "unverified" not in again.json()
        assert await ids(house, messages) == everyone, "asked again it is the same message"


async def test_a_postgres_that_is_gone_delays_no_answer_and_loses_nothing(
    postgres: PostgresServer, postgres_url: str
) -> None:
    async with asked(postgres_url, late_hooks("open")) as house:
        assert (await house.post("/v1/moderate", message("您好", "m-0"))).json()["action"] == "allow"
        postgres.kill()
        began = time.monotonic()
        answers = await asyncio.gather(
            *(house.post("/v1/moderate", message(BLOCKED, f"m-{number}")) for number in range(1, 21))
        )
        took = time.monotonic() - began
        postgres.start()
        assert took < PUNCTUAL
        assert {(answer.status_code, answer.json()["action"]) for answer in answers} == {(200, "allow")}
        assert sorted(body["message_id"] for _, _, body in house.published) == sorted(f"m-{n}" for n in range(1, 21))
        await kept_by_chat_worker(house)
        assert len(await ids(house, violations)) == 20
        async with asyncio.timeout(20):
            while "unverified" in (await house.post("/v1/moderate", message(BLOCKED, "m-99"))).json():
                pass


async def test_what_kafka_does_not_take_is_kept_until_it_does(tmp_path: Path) -> None:
    path = tmp_path / "tonewatch.sqlite3"
    async with asked(f"sqlite:///{path}", late_hooks("open")) as house:
        house.broker.clear()
        async with locked(path):
            began = time.monotonic()
            answers = await asyncio.gather(*(house.post("/v1/moderate", message(BLOCKED, f"m-{n}")) for n in range(5)))
            assert time.monotonic() - began < PUNCTUAL, "an answer waits for no broker"
        assert {answer.json()["action"] for answer in answers} == {"allow"}
        assert web_of(house.app).late.kept == 5
        assert "tonewatch_web_late_waiting 5.0" in (await house.client.get("/metrics")).text
        house.broker.set()
        async with asyncio.timeout(10):
            while web_of(house.app).late.kept:  # noqa: ASYNC110  (an event for this test alone)
                await asyncio.sleep(0.05)
        assert sorted(body["message_id"] for _, _, body in house.published) == [f"m-{n}" for n in range(5)]


async def test_when_neither_takes_more_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.late.MOST_KEPT", 1)
    path = tmp_path / "tonewatch.sqlite3"
    async with asked(f"sqlite:///{path}", late_hooks("open")) as house:
        house.broker.clear()
        async with locked(path):
            first = await house.post("/v1/moderate", message(BLOCKED, "m-1"))
            second = await house.post("/v1/moderate", message(BLOCKED, "m-2"))
        assert (first.status_code, second.status_code) == (200, 503)
        house.broker.set()
