from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.store.tables import alerts, conversations
from stream.settings import Settings
from tests.builders_audio import call
from tests.builders_calls import begin, speak
from tests.conftest import Broker
from tests.services import run_apart
from tests.services_kafka import KafkaServer
from tests.workers import Listener, Worker, producer, read_from_the_first_record, rows, until_rows, workers

AGENT = {"id": "a-1", "name": "Lin"}
SPEED = 3.0
STALE_SECONDS = 3.0
MEASURES = ("volume.level_3s_dbov", "volume.over_baseline_db", "speech_rate.spm", "intonation.f0_hz")


RAISED = select(alerts).where(alerts.c.rule_id == "volume.raised").order_by(alerts.c.conversation_id)


async def test_calls_go_on_when_their_worker_is_killed_and_when_another_joins(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    """All while their alerts are open: windows and baselines come back, and nobody is asked twice."""
    database = f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}"
    # On a busy machine a restart takes longer than audio may be old; this is about what comes after it.
    settings = kafka_settings.model_copy(update={"database": database, "audio_staleness_seconds": 20.0})
    sound, _ = call("agent_louder_12db")
    names = ["c-0", "c-1"]  # on partitions of which each worker gets one
    await read_from_the_first_record(settings, "audio")
    async with (
        workers(settings, tmp_path, audio=1) as [first],
        Listener(settings, "qa.scores") as heard,
        producer(settings) as send,
    ):

        def told() -> dict[str, list[dict[str, Any]]]:
            return {name: [body for body in heard.bodies if body["conversation_id"] == name] for name in names}

        async def all_speak(seconds: tuple[float, float], speed: float) -> None:
            await asyncio.gather(*(speak(send, name, sound, seconds=seconds, speed=speed) for name in names))

        async def another_score_of_each(seconds: float, after: str) -> tuple[float, dict[str, int]]:
            counts, since = {name: len(scores) for name, scores in told().items()}, time.monotonic()
            await heard.until(
                lambda _: all(len(told()[name]) > counts[name] for name in names), seconds, f"a score after {after}"
            )
            return time.monotonic() - since, counts

        for name in names:
            await begin(send, name, agent=AGENT, team="refunds", language="en")
        await all_speak((0, 45), 12)
        speaking = asyncio.create_task(all_speak((45, 95), SPEED))
        await until_rows(settings, RAISED, 30, count=len(names))
        await asyncio.to_thread(first.kill)
        first.start()
        stall_seconds, before = await another_score_of_each(20, "the kill")
        second = Worker(settings, "audio", 1, tmp_path)
        second.start()
        try:
            await second.until_ready()
            joined_seconds, _ = await another_score_of_each(20, "another worker joined")
            await speaking
            await heard.until(lambda _: all(told()[name][-1]["at_ms"] >= 94_000 for name in names), 10, "the last")
            followed = [await asyncio.to_thread(worker.counted, "tonewatch_calls") for worker in (first, second)]
            raised = await rows(settings, RAISED)
        finally:
            second.kill()
    print(f"stall {stall_seconds:.1f} s after the kill, {joined_seconds:.1f} s after the join, {followed} calls")
    assert sum(followed) == len(names) and min(followed) > 0, "no call has moved"
    assert [(alert["conversation_id"], alert["state"]) for alert in raised] == [(name, "open") for name in names]
    for name, scores in told().items():
        assert {score["at_ms"] for score in scores} == set(range(1000, 95_000, 1000))
        assert {(score["agent_id"], score["team"], score["lost_ms"]) for score in scores} == {("a-1", "refunds", 0)}
        last, first_after = scores[before[name] - 1], scores[before[name]]
        assert [measure for measure in MEASURES if first_after["sides"]["agent"][measure] is None] == []
        assert first_after["baselines"]["agent"].keys() == last["baselines"]["agent"].keys()
        # Seconds that were told and not acknowledged are told again; what is rebuilt says the same of them.
        levels: dict[int, set[float]] = {}
        for score in scores:
            level = score["sides"]["agent"]["volume.level_3s_dbov"]
            if level is not None:
                levels.setdefault(score["at_ms"], set()).add(round(level, 1))
        assert max(max(same) - min(same) for same in levels.values()) <= 0.5


@dataclass
class Absence:
    """What a worker made of three calls after it was away for longer than audio may be old."""

    scores: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: float = 0.0
    over: list[str] = field(default_factory=list)


async def be_away(settings: Settings, folder: Path) -> Absence:
    absence = Absence()
    sound, _ = call("polite_turn_taking")
    await read_from_the_first_record(settings, "audio")
    async with (
        workers(settings, folder, audio=1) as [worker],
        Listener(settings, "qa.scores") as heard,
        producer(settings) as send,
    ):
        for name in ("goes-on", "begins", "ends"):
            await begin(send, name, agent=AGENT, team="refunds", language="en")
        await speak(send, "goes-on", sound, seconds=(0, 10), speed=10)
        await heard.until(lambda _: len(heard.records) >= 9, 10, "the first scores")
        await until_rows(settings, select(conversations), count=3)
        await asyncio.sleep(1.5)  # offsets are committed once a second
        await asyncio.to_thread(worker.kill)
        await speak(send, "goes-on", sound, seconds=(10, 15), speed=10)
        await asyncio.sleep(STALE_SECONDS)
        worker.start()
        await worker.until_ready()
        await send("call.events", "ends", {"type": "call.ended", "conversation_id": "ends"})
        await speak(send, "begins", sound, seconds=(0, 4), speed=5)
        await speak(send, "goes-on", sound, seconds=(15, 20), speed=5)
        await heard.until(lambda _: heard.bodies[-1]["at_ms"] >= 19_000, 10, "scores after the pause")
        absence.skipped = await asyncio.to_thread(worker.counted, "tonewatch_stale_chunks_total")
        over = select(conversations).where(conversations.c.ended_at.is_not(None))
        absence.over = [row["conversation_id"] for row in await until_rows(settings, over)]
        for score in heard.bodies:
            absence.scores.setdefault(score["conversation_id"], []).append(score)
    return absence


@pytest.fixture(scope="module")
def absence(_kafka_server: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Absence]:
    folder = tmp_path_factory.mktemp("absence")
    broker = Broker("kafka", _kafka_server.bootstrap, _kafka_server)
    settings = broker.settings(
        database=f"sqlite:///{folder / 'tonewatch.sqlite3'}", audio_staleness_seconds=STALE_SECONDS
    )
    yield run_apart(be_away(settings, folder))
    broker.forget(settings)


def test_what_is_too_old_is_skipped_counted_and_told_as_lost(absence: Absence) -> None:
    told = absence.scores["goes-on"]
    assert absence.skipped == 25  # 10 to 15 s in records of 0.2 s
    assert told[-1]["lost_ms"] == 5000
    assert max(score["lag_ms"] for score in told) < 1000 * STALE_SECONDS
    assert [score["at_ms"] for score in told] == list(range(1000, told[-1]["at_ms"] + 1, 1000))
    assert told[12]["sides"]["agent"]["speech.active"] is None


def test_whose_a_call_is_was_told_before_the_worker_died(absence: Absence) -> None:
    """What `call.started` told is acknowledged, and in the database only, when the first audio comes."""
    known = {(score["agent_id"], score["team"], score["language"]) for score in absence.scores["begins"]}
    assert known == {("a-1", "refunds", "en")}


def test_a_call_without_audio_ends_at_another_worker_than_it_began_at(absence: Absence) -> None:
    assert absence.over == ["ends"]
