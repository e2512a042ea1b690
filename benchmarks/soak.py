"""Runs the whole house for MINUTES under steady load and says whether memory, file handles and lag stay flat."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from house import new_database, services, with_topics
from lines import Line, arguments, conclude

from stream.scenes import plan
from stream.settings import Settings
from stream.simulate import RECORD_SECONDS, Centre
from stream.topics import group_name, topic_name
from tests.workers import Process, workers

AGENTS = 90
"""The contact centre then has about 50 calls at a time, once it has filled up."""
MESSAGES_PER_SECOND = 100
SAMPLE_SECONDS = 10.0
GROWTH = 0.05
"""Memory may grow by this share between the first and the last third: the allocator's own waves are smaller."""
HANDLES = 8
LAG_EVENTS = 2000
"""20 s of everything that comes in; a house that does not keep up passes it within minutes."""


@dataclass
class Series:
    """One process over time."""

    process: Process
    memory_mb: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def look(self) -> None:
        self.memory_mb.append(self.process.resident_mb)
        self.handles.append(len(list(Path(f"/proc/{self.process.pid}/fd").iterdir())))


def thirds(values: list[float] | list[int]) -> tuple[float, float]:
    """Medians of the first and of the last third, the first fifth left out as warm-up."""
    steady = values[len(values) // 5 :]
    part = max(1, len(steady) // 3)
    return statistics.median(steady[:part]), statistics.median(steady[-part:])


async def load(settings: Settings, stop: asyncio.Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=5)
    await producer.start()
    centre = Centre(plan(1, AGENTS, run=f"soak-{time.time_ns():x}-"), 1)
    number, began, step = 0, time.perf_counter(), 0
    try:
        while not stop.is_set():
            for record in centre.step(datetime.now(UTC)):
                name = topic_name(settings, record.topic)
                await producer.send(name, record.value, key=record.key, headers=record.headers)
            for _ in range(round(MESSAGES_PER_SECOND * RECORD_SECONDS)):
                number += 1
                conversation = f"soak-{number // 40}"
                text = "您这个人就是骗子" if number % 20 == 0 else f"好的，第 {number} 号订单已经帮您查到了"
                body = {
                    "message_id": f"{began}-{number}",
                    "conversation_id": conversation,
                    "sender": {"id": f"a-{number % 50}", "team": "refunds"},
                    "text": text,
                }
                await producer.send(
                    topic_name(settings, "chat.messages"), orjson.dumps(body), key=conversation.encode()
                )
            step += 1
            await asyncio.sleep(max(0.0, began + step * RECORD_SECONDS - time.perf_counter()))
    finally:
        await producer.stop()


async def lag(settings: Settings) -> int:
    """Events of all input topics that are not committed yet."""
    total = 0
    for worker, nouns in (
        ("chat", ("chat.messages", "transcript.turns")),
        ("audio", ("audio.frames", "call.events", "transcript.turns")),
    ):
        asker = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka, group_id=group_name(settings, worker), enable_auto_commit=False
        )
        await asker.start()
        try:
            tps = [TopicPartition(topic_name(settings, noun), n) for noun in nouns for n in range(settings.partitions)]
            ends = await asker.end_offsets(tps)
            for tp, end in ends.items():
                done = await asker.committed(tp)
                total += end - done if done is not None else 0
        finally:
            await asker.stop()
    return total


async def soak(settings: Settings, folder: Path, minutes: float) -> list[Line]:
    web = Process(settings, "web", "--port", "0", log=folder / "web.log")
    async with workers(settings, folder, chat=1, audio=1) as (chat, audio):
        web.start()
        stop = asyncio.Event()
        loading = asyncio.create_task(load(settings, stop))
        series = {"chat": Series(chat), "audio": Series(audio), "web": Series(web)}
        lags: list[int] = []
        try:
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                await asyncio.sleep(SAMPLE_SECONDS)
                for each in series.values():
                    each.look()
                lags.append(await lag(settings))
                if len(lags) % 6 == 0:
                    now = ", ".join(f"{n} {s.memory_mb[-1]:.0f} MB {s.handles[-1]} handles" for n, s in series.items())
                    print(
                        f"{len(lags) * SAMPLE_SECONDS / 60:.0f} min: {now}, lag {lags[-1]}", file=sys.stderr, flush=True
                    )
                if loading.done():
                    loading.result()
        finally:
            stop.set()
            await asyncio.gather(loading, return_exceptions=True)
            web.stop()
    lines = []
    for name, each in series.items():
        first, last = thirds(each.memory_mb)
        lines.append(Line(f"{name}: memory, last third over first", (last / first - 1) * 100, "%", GROWTH * 100))
        before, after = thirds(each.handles)
        lines.append(Line(f"{name}: file handles, last third over first", after - before, "", HANDLES))
        lines.append(Line(f"{name}: memory at the end", each.memory_mb[-1], "MB"))
    lines.append(Line("lag, median of the last third", thirds(lags)[1], "events", LAG_EVENTS))
    return lines


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("minutes", type=float, nargs="?", default=20.0)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    given = parser.parse_args()
    with services() as (kafka, postgres, folder):
        url = new_database(given.database, postgres, folder)
        settings = with_topics(Settings(kafka=kafka.bootstrap, topic_prefix="soak.", partitions=4, database=url))
        return conclude(asyncio.run(soak(settings, folder, given.minutes)), given.json)


if __name__ == "__main__":
    sys.exit(main())
