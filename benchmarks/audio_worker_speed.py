"""How many records of audio the whole worker takes a second, beside a Faust agent that does nothing, on one broker."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from house import services, with_topics
from lines import Line

from detectors.arrays import FloatArray
from detectors.decode import RATE, encode_mulaw
from stream.audio_records import audio_record
from stream.operate import upgrade_database
from stream.records import Record
from stream.settings import Settings
from stream.topics import group_name, topic_name
from tests.services_kafka import KafkaServer
from tests.workers import Listener, Worker, read_from_the_first_record, workers

RECORD_SECONDS = 0.2
"""One side's talk; records of 200 to 500 ms are usual, and the shorter ones are harder to keep up with."""
CALLS = 500
"""Two records each, one a side, every 0.2 s."""
ROUNDS = 40
REPEATS = 3
LOOK_SECONDS = 0.2
"""How often the worker is asked how far it is, which costs it some milliseconds."""
NO_OP_RATIO = 2.0
FIRST_SCORE_SECONDS = 2.0
NO_OP = """
import sys, time
import faust
broker, topic, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.argv[1:] = []
app = faust.App("noop-" + topic, broker="kafka://" + broker, web_enabled=False, topic_allow_declare=False,
                topic_disable_leader=True, consumer_auto_offset_reset="earliest")
taken = 0
@app.agent(app.topic(topic, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw"))
async def nothing(stream):
    global taken
    async for event in stream.events():
        taken += 1
        if taken == 500 or taken == wanted:
            print("\\nTOOK", taken, time.monotonic(), flush=True)
faust.Worker(app, loglevel="error", redirect_stdouts=False, quiet=True).execute_from_commandline()
"""


def records(sound: FloatArray) -> list[Record]:
    """A backlog of `CALLS` calls under way, each from another place of `sound` (2, n) at 8 kHz, as µ-law."""
    size = round(RECORD_SECONDS * RATE)
    coded = [encode_mulaw(channel) for channel in sound]
    step = (sound.shape[1] - ROUNDS * size) // CALLS
    made = []
    for seq in range(ROUNDS):
        for call in range(CALLS):
            at = call * step + seq * size
            for side, bytes_ in zip(("agent", "customer"), coded, strict=True):
                made.append(
                    audio_record(
                        f"s-{call}",
                        bytes_[at : at + size],
                        content_type="audio/PCMU",
                        seq=seq,
                        offset_ms=round(seq * RECORD_SECONDS * 1000),
                        sides=[side],
                    )
                )
    return made


async def publish(settings: Settings, some: Sequence[Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=20, max_batch_size=500_000)
    await producer.start()
    try:
        name = topic_name(settings, "audio.frames")
        for record in some:
            await producer.send(name, record.value, key=record.key, headers=record.headers)
    finally:
        await producer.stop()


async def ours(settings: Settings, folder: Path, backlog: int) -> float:
    """Records a second of one audio worker, from its 500th record to its last."""
    await read_from_the_first_record(settings, "audio")
    name = f'tonewatch_events_total{{topic="{topic_name(settings, "audio.frames")}"}}'
    began = started = 0.0
    async with workers(settings, folder, audio=1) as [worker]:
        while True:
            taken = await asyncio.to_thread(worker.counted, name)
            now = time.monotonic()
            if taken >= backlog:
                return (backlog - started) / (now - began)
            if taken >= 500 and not started:
                began, started = now, taken
            await asyncio.sleep(LOOK_SECONDS)


async def no_op(settings: Settings, folder: Path, backlog: int) -> float:
    """The same of a Faust agent that only counts."""
    script = folder / "no_op.py"
    script.write_text(NO_OP)
    command = [sys.executable, str(script), settings.kafka, topic_name(settings, "audio.frames"), str(backlog)]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    told: list[list[bytes]] = []
    try:
        async with asyncio.timeout(120):
            while len(told) < 2:
                line = await child.stdout.readline()
                if not line:
                    raise RuntimeError("the agent that does nothing ended")
                if line.startswith(b"TOOK"):
                    told.append(line.split()[1:])
    finally:
        child.terminate()
        await child.wait()
    first, last = told
    return (int(last[0]) - int(first[0])) / (float(last[1]) - float(first[1]))


async def first_score(settings: Settings, folder: Path, some: Sequence[Record]) -> float:
    """Seconds from a worker's first assignment to its first score; calls are under way all the while."""
    await upgrade_database(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    worker = Worker(settings, "audio", 9, folder)
    await admin.start()
    stop = asyncio.Event()

    async def talk() -> None:
        of_a_round = 2 * CALLS
        for seq in range(ROUNDS):
            await publish(settings, some[seq * of_a_round : seq * of_a_round + 20])
            try:
                await asyncio.wait_for(stop.wait(), RECORD_SECONDS * 0.9)
                return
            except TimeoutError:
                continue

    async def assigned_at() -> float:
        while True:
            (answer,) = await admin.describe_consumer_groups([group_name(settings, "audio")])
            (group,) = answer.groups
            if group[2] == "Stable" and group[5]:
                return time.monotonic()
            await asyncio.sleep(0.02)

    async with Listener(settings, "qa.scores") as scores:
        worker.start()
        talking = None
        try:
            at = await asyncio.wait_for(assigned_at(), 60)
            # Its calls begin to talk with the assignment: before, nobody would have heard them.
            talking = asyncio.create_task(talk())
            await scores.until(lambda heard: bool(heard.records), 20, "a first score")
            return scores.arrived[0] - at
        finally:
            stop.set()
            if talking is not None:
                await talking
            await admin.close()
            worker.kill()


def _settings(kafka: KafkaServer, folder: Path, name: str) -> Settings:
    return with_topics(
        Settings(
            kafka=kafka.bootstrap,
            topic_prefix=f"{name}.",
            partitions=4,
            database=f"sqlite:///{folder / name}.sqlite3",
            audio_staleness_seconds=3600,
        )
    )


def worker_lines(sound: FloatArray) -> list[Line]:
    backlog = records(sound)
    our_rates, peer_rates = [], []
    with services() as (kafka, _, folder):
        for number in range(REPEATS):
            settings = _settings(kafka, folder, f"r{number}")
            asyncio.run(publish(settings, backlog))
            peer_rates.append(asyncio.run(no_op(settings, folder, len(backlog))))
            our_rates.append(asyncio.run(ours(settings, folder, len(backlog))))
            print(f"records/s: ours {our_rates[-1]:.0f}, no-op {peer_rates[-1]:.0f}", file=sys.stderr)
        took = [
            asyncio.run(first_score(_settings(kafka, folder, f"f{number}"), folder, backlog))
            for number in range(REPEATS)
        ]
    mine, peer = statistics.median(our_rates), statistics.median(peer_rates)
    return [
        Line("audio worker", mine, "records/s"),
        Line("no-op Faust agent", peer, "records/s"),
        Line("no-op agent / audio worker", peer / mine, "×", NO_OP_RATIO),
        Line("first score after a worker's first assignment", statistics.median(took), "s", FIRST_SCORE_SECONDS),
    ]
