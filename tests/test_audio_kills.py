from __future__ import annotations

import asyncio
import time
import urllib.request
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


def alerts_of(conversation_id: str) -> Any:
    return select(alerts).where(alerts.c.conversation_id == conversation_id)


def counted(worker: Worker, name: str) -> float:
    """A counter of a worker's /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=2) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


async def test_a_call_goes_on_where_a_killed_worker_left_it(kafka_settings: Settings, tmp_path: Path) -> None:
    """Killed while an alert is open: windows and baseline come back, and nobody is asked twice."""
    settings = kafka_settings.model_copy(update={"database": f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}"})
    sound, _ = call("agent_louder_12db")
    await read_from_the_first_record(settings, "audio")
    async with (
        workers(settings, tmp_path, audio=1) as [worker],
        Listener(settings, "qa.scores") as heard,
        producer(settings) as send,
    ):
        await begin(send, "c-1", agent=AGENT, team="refunds", language="en")
        await speak(send, "c-1", sound, seconds=(0, 45), speed=12)
        speaking = asyncio.create_task(speak(send, "c-1", sound, seconds=(45, 75), speed=SPEED))
        await until_rows(settings, alerts_of("c-1"), 30)
        await asyncio.to_thread(worker.kill)
        killed_at = time.monotonic()
        before = len(heard.records)
        worker.start()
        await heard.until(lambda _: len(heard.records) > before, 20, "a score after the kill")
        stall_seconds = time.monotonic() - killed_at
        await speaking
        await heard.until(lambda _: heard.bodies[-1]["at_ms"] >= 74_000, 10, "the last score")
        raised = await rows(settings, alerts_of("c-1"))
    told = heard.bodies
    first_after = told[before]
    print(f"stall {stall_seconds:.1f} s, goes on at {first_after['at_ms']} ms after {told[before - 1]['at_ms']} ms")
    # A restart takes 2 to 5 s, mostly imports; what came meanwhile is younger than the staleness budget.
    assert {score["at_ms"] for score in told} == set(range(1000, 75_000, 1000))
    assert first_after["agent_id"] == "a-1" and first_after["team"] == "refunds"
    assert [name for name in MEASURES if first_after["sides"]["agent"][name] is None] == []
    assert first_after["baselines"]["agent"].keys() == told[before - 1]["baselines"]["agent"].keys()
    # Seconds that were told and not acknowledged are told again; what is rebuilt says the same of them.
    again = [score for score in told[before:] if score["at_ms"] <= told[before - 1]["at_ms"]]
    said = {score["at_ms"]: score["sides"]["agent"] for score in told[:before]}
    for score in again:
        assert score["sides"]["agent"]["volume.level_3s_dbov"] == pytest.approx(
            said[score["at_ms"]]["volume.level_3s_dbov"], abs=0.5
        )
    assert [(alert["rule_id"], alert["state"]) for alert in raised] == [("volume.raised", "open")]


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
        absence.skipped = await asyncio.to_thread(counted, worker, "tonewatch_stale_chunks_total")
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
