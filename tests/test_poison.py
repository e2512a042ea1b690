"""Malformed records among good ones: each is set aside with its reason; too many of them hold the topic."""

from __future__ import annotations

import asyncio
import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import confluent_kafka
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import select

from alerts.store.tables import holds, messages
from stream import doctor, rejects
from stream.kafka_client import connection
from stream.records import (
    Record,
    chat_record,
    header_map,
    turn_record,
)
from stream.settings import Settings
from stream.topics import topic_name
from stream.watchdog import STANDSTILL_SECONDS
from tests.builders_calls import audio
from tests.builders_poison import NUMBER, Poison, bad_audio, bad_chat, good_chat
from tests.workers import Listener, Process, Worker, rows, status, until_rows, workers

GOOD = 6000
BAD = 2000


async def publish(settings: Settings, records: Sequence[Record | Poison]) -> None:
    """In order, all at once; returns when the broker has every one."""
    client = AIOKafkaProducer(acks="all", linger_ms=5, max_request_size=9_000_000, **connection(settings))
    async with client:
        reports = [
            await client.send(topic_name(settings, r.topic), r.value, key=r.key, headers=r.headers) for r in records
        ]
        for report in reports:
            await report


def among(good: Sequence[Record], bad: Sequence[Poison], seed: int) -> list[Record | Poison]:
    """The bad ones anywhere among the good ones, which stay in their order."""
    is_bad = [True] * len(bad) + [False] * len(good)
    random.Random(seed).shuffle(is_bad)
    of_each: dict[bool, Iterator[Record | Poison]] = {True: iter(bad), False: iter(good)}
    return [next(of_each[each]) for each in is_bad]


def numbers(rejected: Listener) -> list[int]:
    return [int(header_map(record.headers)[NUMBER]) for record in rejected.records]


async def all_set_aside(rejected: Listener, bad: Sequence[Poison], noun: str, settings: Settings) -> None:
    await rejected.until(lambda all_: len(set(numbers(all_))) >= len(bad), 60, "setting aside what is malformed")
    assert sorted(numbers(rejected)) == list(range(len(bad))), "each once"
    for record in rejected.records:
        headers = header_map(record.headers)
        poison = bad[int(headers[NUMBER])]
        said = headers["reason"].decode(), headers["error"].decode()
        assert said[0] == poison.reason, f"{said} of {poison.value and poison.value[:200]!r} {poison.headers}"
        assert len(said[1]) > 5
        assert headers["topic"].decode() == topic_name(settings, noun)
        assert (record.key, record.value) == (poison.key, poison.value), "as it came"


async def test_chat_worker_sets_every_malformed_record_aside_and_judges_every_good_one(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    settings = kafka_settings.model_copy(update={"database": f"sqlite:///{tmp_path / 'a.sqlite3'}"})
    good = [chat_record(good_chat(number)) for number in range(GOOD)]
    bad = bad_chat(BAD, seed=11)
    assert {poison.reason for poison in bad} == {"null", "json", "encoding", "schema", "size", "cloudevent"}
    async with workers(settings, tmp_path, chat=1) as [worker]:
        async with (
            Listener(settings, "chat.verdicts") as verdicts,
            Listener(settings, "chat.messages.rejected") as aside,
        ):
            await publish(settings, among(good, bad, seed=12))
            await all_set_aside(aside, bad, "chat.messages", settings)
            await verdicts.until(lambda all_: len(all_.records) >= GOOD, 60, "answering every good message")
        assert worker.is_alive
        assert worker.ready()
    kept = Counter(row["message_id"] for row in await rows(settings, select(messages.c.message_id)))
    assert kept == Counter(f"good-{number}" for number in range(GOOD))


async def test_audio_worker_sets_every_malformed_record_aside_and_hears_every_good_one(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    # Everything comes at once, which no call does: by its age most of it would be skipped as stale.
    update = {"database": f"sqlite:///{tmp_path / 'a.sqlite3'}", "audio_staleness_seconds": 600.0}
    settings = kafka_settings.model_copy(update=update)
    calls, records = 60, GOOD // 60
    sound = np.random.default_rng(3).normal(0, 0.05, (2, records * 1600)).astype(np.float32)
    good = [audio(f"k-{call}", sound, seq) for seq in range(records) for call in range(calls)]
    bad = bad_audio(BAD, seed=13)
    assert {poison.reason for poison in bad} == {"key", "encoding", "empty", "audio", "header", "sides"}
    async with workers(settings, tmp_path, audio=1) as [worker]:
        async with Listener(settings, "qa.scores") as scores, Listener(settings, "audio.frames.rejected") as aside:
            await publish(settings, among(good, bad, seed=14))
            await all_set_aside(aside, bad, "audio.frames", settings)
            # The last second is scored 0.3 s after its end, which does not come.
            seconds = records // 5 - 1
            await scores.until(lambda all_: len(all_.records) >= calls * seconds, 60, "scoring every call")
            heard = Counter((score["conversation_id"], score["at_ms"]) for score in scores.bodies)
            wanted = {(f"k-{call}", 1000 * second) for call in range(calls) for second in range(1, seconds + 1)}
            assert set(heard) >= wanted
            assert {score["lost_ms"] for score in scores.bodies} == {0}, "a good record was not heard"
        assert worker.is_alive
        assert worker.ready()


async def test_a_record_of_nothing_at_all_stops_nobody(kafka_settings: Settings, tmp_path: Path) -> None:
    settings = kafka_settings.model_copy(update={"database": f"sqlite:///{tmp_path / 'a.sqlite3'}"})
    async with (
        workers(settings, tmp_path, chat=1),
        Listener(settings, "chat.messages.rejected") as aside,
        Listener(settings, "chat.verdicts") as verdicts,
    ):
        # Our own client refuses to send it, others do not.
        other = confluent_kafka.Producer({"bootstrap.servers": settings.kafka})
        for number in range(settings.partitions):
            other.produce(topic_name(settings, "chat.messages"), None, None, partition=number)
        assert other.flush(10) == 0
        await publish(settings, [chat_record(good_chat(number)) for number in range(60)])
        await verdicts.until(lambda all_: len(all_.records) >= 60, 20, "answering what comes after it")
        await aside.until(lambda all_: len(all_.records) >= settings.partitions, 20, "setting it aside")
        assert {header_map(record.headers)["reason"] for record in aside.records} == {b"null"}


def readyz(worker: Worker) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/readyz", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:  # it is just being started
        return 0, ""


async def until(true: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
        await asyncio.sleep(0.1)


async def until_held(settings: Settings, worker: Worker) -> str:
    async def held() -> bool:
        code, _ = await asyncio.to_thread(readyz, worker)
        return code == 503 and bool(await rejects.held(settings))

    await until(held, 30, "the hold")
    return (await asyncio.to_thread(readyz, worker))[1]


def tonewatch(settings: Settings, log: Path, *arguments: str) -> tuple[int, str]:
    log.unlink(missing_ok=True)
    process = Process(settings, *arguments, log=log, COLUMNS="200")
    process.start()
    assert process.child is not None
    return process.child.wait(60), process.output


def bad_ones(count: int, seed: int) -> list[Poison]:
    return bad_chat(count, seed=seed, big=0)


async def test_a_topic_of_nothing_but_poison_is_held_and_goes_on_after_its_release(
    kafka_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    settings = kafka_settings.model_copy(update={"database": database_url})
    name = topic_name(settings, "chat.messages")
    log = tmp_path / "command.log"
    async with (
        workers(settings, tmp_path, chat=1) as [worker],
        Listener(settings, "chat.messages.rejected") as aside,
        Listener(settings, "chat.verdicts") as verdicts,
    ):
        bad = bad_ones(500, seed=21)
        await publish(settings, bad)
        said = await until_held(settings, worker)
        assert name in said
        assert "200 records in a row cannot be used" in said
        assert f"tonewatch rejects release {name}" in said
        assert said.strip() in worker.output.replace("\n", " "), "the log says the same"
        [check] = [c for c in await doctor.examine(settings) if c.name == "holds"]
        assert not check.ok
        assert "200 records in a row" in check.found
        assert check.remedy == f"mend what publishes them, then: tonewatch rejects release {name}"
        await asyncio.sleep(1)
        assert len(aside.records) == 199, "the 200th waits, and what comes after it"

        # The other topic of this worker goes on.
        turn = {
            "conversation_id": "k-1",
            "turn_id": "t-1",
            "side": "agent",
            "start_ms": 0,
            "end_ms": 900,
            "text": "您好",
        }
        await publish(settings, [turn_record(turn)])
        await until_rows(settings, select(messages).where(messages.c.message_id == "t-1"))

        # A worker that is restarted still holds.
        worker.kill()
        worker.start()
        await until_held(settings, worker)
        await asyncio.sleep(1)
        assert len(aside.records) == 199

        await publish(settings, [chat_record(good_chat(n)) for n in range(20)])
        code, told = await asyncio.to_thread(tonewatch, settings, log, "rejects", "list", name)
        assert code == 0
        assert f"chat/chat-0 holds {name}" in told
        code, told = await asyncio.to_thread(tonewatch, settings, log, "rejects", "release", "chat.messages")
        assert (code, told) == (0, "chat/chat-0 will go on within two seconds.\n")
        await aside.until(lambda all_: len(all_.records) >= 500, 20, "setting the rest aside")
        await verdicts.until(lambda all_: len(all_.records) >= 20, 20, "answering the good ones")
        await worker.until_ready()
        assert sorted(numbers(aside)) == list(range(500)), "each once, although it was held and killed between"
        assert {body["message_id"] for body in verdicts.bodies} == {f"good-{n}" for n in range(20)}

        # 301 of the 1,000 are used up. The rest goes, then the topic is held again.
        await publish(settings, bad_ones(1500, seed=22))
        await until_held(settings, worker)
        await asyncio.sleep(1)
        assert len(aside.records) == 199 + 1000
        code, _ = await asyncio.to_thread(tonewatch, settings, log, "rejects", "release", name)
        assert code == 0
        await aside.until(lambda all_: len(all_.records) >= 2000, 20, "setting the rest aside")

        # Well again: the window has turned over.
        await publish(settings, [chat_record(good_chat(n)) for n in range(20, 1100)])
        await verdicts.until(lambda all_: len(all_.records) >= 1100, 30, "answering the good ones")

        async def forgotten() -> bool:
            return not await rows(settings, select(holds))

        await until(forgotten, 10, "forgetting the hold")
        code, told = await asyncio.to_thread(tonewatch, settings, log, "rejects", "release", name)
        assert code == 1
        assert "no worker holds" in told
        assert worker.is_alive


@pytest.mark.faults
async def test_a_held_topic_is_no_standstill(kafka_settings: Settings, tmp_path: Path) -> None:
    settings = kafka_settings.model_copy(update={"database": f"sqlite:///{tmp_path / 'a.sqlite3'}"})
    async with workers(settings, tmp_path, chat=1) as [worker]:
        await publish(settings, bad_ones(3000, seed=23))
        await until_held(settings, worker)
        pid = worker.pid
        await asyncio.sleep(STANDSTILL_SECONDS + 5)
        assert worker.is_alive
        assert worker.pid == pid
        assert status(f"http://127.0.0.1:{worker.port}/livez") == 200
        assert await rejects.held(settings), "it renews its row"
