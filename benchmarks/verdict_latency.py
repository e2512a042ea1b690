"""How long a message waits for its verdict, with web and an audio worker writing beside, next to a plain Faust echo."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from house import new_database, services, with_topics
from lines import Line, arguments, conclude

from stream.scenes import plan
from stream.settings import Settings
from stream.simulate import Centre
from stream.topics import topic_name
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer
from tests.workers import Process, workers

BLOCKED_EVERY = 20
"""5 % of the messages are to be blocked."""
WARM_SECONDS = 3.0
Timings = list[float]
"""Milliseconds until each first answer, the shortest first."""
CASES = (("sqlite", 100, 10.0, 30.0), ("sqlite", 300, None, 60.0), ("postgres", 1000, None, 60.0))
"""Database, messages a second, bar of the median and of the 99th percentile in ms."""

ECHO = """
import sys
import faust
app = faust.App("echo" + sys.argv.pop(), broker="kafka://" + sys.argv.pop(), web_enabled=False,
                topic_allow_declare=False, topic_disable_leader=True, producer_linger=0.0)
out = app.topic(sys.argv.pop(), value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
@app.agent(app.topic(sys.argv.pop(), value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw"))
async def echo(stream):
    async for event in stream.events():
        await out.send(key=event.message.key, value=event.message.value)
faust.Worker(app, loglevel="error", redirect_stdouts=False, quiet=True).execute_from_commandline()
"""


def measure(settings: Settings, seconds: float, rate: int, ask: str, answer: str) -> list[float]:
    """Publish `rate` messages a second to topic `ask` and return ms until each first answer on topic `answer`.

    With the clients of librdkafka, which leave more of the machine to what is measured than ones in Python do.
    """
    sent: dict[str, float] = {}
    took: dict[str, float] = {}
    total = round((seconds + WARM_SECONDS) * rate)
    run = f"{time.time_ns():x}"
    listener = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": run,
            "enable.auto.commit": False,
        }
    )
    to, back = topic_name(settings, ask), topic_name(settings, answer)
    listener.assign([TopicPartition(back, number, OFFSET_BEGINNING) for number in range(settings.partitions)])
    platform = Producer({"bootstrap.servers": settings.kafka, "linger.ms": 0})  # a verdict is waited for
    given_up_at = time.perf_counter() + seconds + WARM_SECONDS + 30

    def listen() -> None:
        while len(took) < total and time.perf_counter() < given_up_at:
            record = listener.poll(0.5)
            value = None if record is None or record.error() else record.value()
            name = value and orjson.loads(value)["message_id"]
            if name in sent and name not in took:
                took[name] = (time.perf_counter() - sent[name]) * 1000

    listening = threading.Thread(target=listen)
    listening.start()
    began = time.perf_counter()
    for number in range(total):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        name, conversation = f"{run}-{number}", f"{run}-{number % 200}"
        text = "您这个人就是骗子" if number % BLOCKED_EVERY == 0 else f"好的，第 {number} 号订单已经帮您查到了"
        body = {
            "message_id": name,
            "conversation_id": conversation,
            "sender": {"id": f"a-{number % 50}", "team": "refunds"},
            "text": text,
        }
        sent[name] = time.perf_counter()
        platform.produce(to, orjson.dumps(body), conversation)
        platform.poll(0)
    platform.flush(30)
    listening.join()
    listener.close()
    if len(took) < total:
        raise SystemExit(f"{total - len(took)} of {total} messages had no answer within 30 s")
    return sorted(ms for name, ms in took.items() if int(name.partition("-")[2]) >= WARM_SECONDS * rate)


@asynccontextmanager
async def calls_beside(settings: Settings) -> AsyncIterator[None]:
    """Ten agents' calls, published in real time, so that the audio worker writes score rows and alerts."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    centre = Centre(plan(1, 10, run="bench-"), 1)

    async def talk() -> None:
        while True:
            for record in centre.step(datetime.now(UTC)):
                if record.topic != "chat.messages":
                    await producer.send(
                        topic_name(settings, record.topic), record.value, key=record.key, headers=record.headers
                    )
            await asyncio.sleep(0.2)

    talking = asyncio.create_task(talk())
    try:
        yield
    finally:
        talking.cancel()
        await producer.stop()


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def of_rounds(rounds: list[Timings], share: float) -> float:
    """Return the median of the rounds' percentiles: a pause of the machine is in one of them."""
    return median(percentile(values, share) for values in rounds)


async def house(settings: Settings, folder: Path, seconds: float, rate: int) -> list[float]:
    web = Process(settings, "web", "--port", "0", log=folder / "web.log")
    async with workers(settings, folder, chat=1, audio=1), calls_beside(settings):
        web.start()
        try:
            await asyncio.sleep(3)
            return await asyncio.to_thread(measure, settings, seconds, rate, "chat.messages", "chat.verdicts")
        finally:
            web.stop()


async def echo(settings: Settings, folder: Path, seconds: float, rate: int) -> list[float]:
    script = folder / "echo.py"
    script.write_text(ECHO)
    ask, answer = topic_name(settings, "chat.messages"), topic_name(settings, "chat.verdicts")
    command = [sys.executable, str(script), ask, answer, settings.kafka, settings.topic_prefix]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await asyncio.sleep(6)
        return await asyncio.to_thread(measure, settings, seconds, rate, "chat.messages", "chat.verdicts")
    finally:
        child.terminate()
        await child.wait()


def beside_echo(
    ours: Callable[[Settings], Coroutine[Any, Any, Timings]],
    services: tuple[KafkaServer, PostgresServer, Path],
    database: str,
    rate: int,
    given: argparse.Namespace,
) -> tuple[list[Timings], list[Timings]]:
    """Measure ours and a plain Faust echo in turn, now one first, now the other; return milliseconds by round.

    Each round has topics and a database of its own.
    """
    kafka, postgres, folder = services
    took, echoed = [], []
    for number in range(given.rounds):
        print(f"{database} at {rate}/s, round {number + 1} of {given.rounds} …", file=sys.stderr)
        run = f"{database}-{rate}-{number}"
        url = new_database(database, postgres, folder, run)
        settings = with_topics(Settings(kafka=kafka.bootstrap, topic_prefix=f"ours-{run}.", partitions=8, database=url))
        peer = with_topics(Settings(kafka=kafka.bootstrap, topic_prefix=f"echo-{run}.", partitions=8))
        turns = [(took, partial(ours, settings)), (echoed, partial(echo, peer, folder, given.seconds, rate))]
        for kept, turn in turns if number % 2 == 0 else reversed(turns):
            kept.append(asyncio.run(turn()))
    return took, echoed


def rounds_given(about: str, rounds: int = 3) -> argparse.Namespace:
    parser = arguments(about)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each rate is held")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often, in turn with the peer; medians are told")
    return parser.parse_args()


def main() -> int:
    given = rounds_given(__doc__ or "")
    lines: list[Line] = []
    with services() as each:
        for database, rate, median_bar, tail_bar in CASES:
            ours = partial(house, folder=each[2], seconds=given.seconds, rate=rate)
            took, peer = beside_echo(ours, each, database, rate, given)
            name = f"{database} {rate}/s"
            lines += [
                Line(f"{name}: verdict p50", of_rounds(took, 0.5), "ms", median_bar),
                Line(f"{name}: verdict p99", of_rounds(took, 0.99), "ms", tail_bar),
                Line(f"{name}: plain Faust echo p50", of_rounds(peer, 0.5), "ms"),
                Line(f"{name}: plain Faust echo p99", of_rounds(peer, 0.99), "ms"),
                Line(f"{name}: verdict / echo, p50", of_rounds(took, 0.5) / of_rounds(peer, 0.5), "×"),
            ]
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
