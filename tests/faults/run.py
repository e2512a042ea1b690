"""One fault run: workers under the product's supervisor, messages in, verdicts out, something broken meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson
from aiokafka import AIOKafkaProducer

from stream.embedded import EmbeddedBroker
from stream.operate import upgrade_database
from stream.settings import Settings
from stream.supervise import Child, Supervisor
from stream.topics import topic_name
from tests.faults import check, worker_with_points
from tests.faults.line import Bar, Line
from tests.faults.worker import Worker, until
from tests.messages import Traffic, traffic
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer
from tests.workers import Listener, environment

SILENT_SECONDS = 60.0
"""So long without a new verdict at the end and what is missing is missing."""
DELIVERY_MS = 180_000
"""A message is published over an outage as well; the clients' own 40 s would give it up."""


@dataclass(frozen=True)
class Place:
    """Where a run happens: settings whose topics exist, and what may be broken under it."""

    broker: str
    database: str
    settings: Settings
    folder: Path
    kafka: KafkaServer | None = None
    embedded: EmbeddedBroker | None = None
    postgres: PostgresServer | None = None


class Run:
    """What a fault may see and break while messages flow."""

    def __init__(self, place: Place, wanted: Traffic) -> None:
        self.place = place
        self.traffic = wanted
        self.points = place.folder / "points"
        self.points.mkdir()
        self.log = place.folder / "workers.log"
        self.supervisor = Supervisor(self.log, lambda _: None)
        self.workers: list[Worker] = []
        self.diary = place.folder / "diary.log"
        """What was broken when, and the longest stalls: to be read beside the workers' log."""
        self.published: dict[str, float] = {}
        """Message id -> monotonic time of its delivery report."""
        self.verdicts: Listener | None = None
        self._first: dict[str, float] = {}
        self._read = 0
        self.sent = 0
        self.faults = 0
        self.exits: list[float] = []
        self.excused: list[tuple[float, float]] = []
        """(from, to) of outages: who was published before the end of one is waited for from there on."""

    def child(self, worker: Worker, settings: Settings) -> Child:
        return Child(
            worker.name,
            [
                *(sys.executable, "-m", worker_with_points.__name__, "worker", "chat"),
                *("--health-port", str(worker.port)),
            ],
            environment(settings)
            | {
                "TONEWATCH_WORKER_ID": worker.name,
                worker_with_points.FOLDER: str(self.points),
                worker_with_points.NAME: worker.name,
            },
        )

    def start(self, name: str, supervisor: Supervisor | None = None) -> Worker:
        worker = Worker(name, supervisor or self.supervisor)
        worker.supervisor.start(self.child(worker, self.place.settings))
        self.workers.append(worker)
        return worker

    def note(self, what: str, at: float | None = None) -> None:
        """Write into the diary; `at` is monotonic."""
        then = datetime.now() - timedelta(seconds=0 if at is None else time.monotonic() - at)
        with self.diary.open("a") as diary:
            diary.write(f"{then:%H:%M:%S.%f} {what}\n")

    async def share(self, part: float) -> None:
        """Wait until this part of the messages has been sent."""
        await until(lambda: self.sent >= part * len(self.traffic.messages))

    def answered(self) -> dict[str, float]:
        """Message id -> monotonic time of its first verdict, as far as they have come."""
        if self.verdicts is not None:
            records, arrived = self.verdicts.records, self.verdicts.arrived
            for record, at in zip(records[self._read :], arrived[self._read :], strict=False):
                self._read += 1
                self._first.setdefault(orjson.loads(record.value)["message_id"], at)
        return self._first

    async def caught_up(self) -> None:
        """Wait until what is published by now has its verdict; one that does not come is told of at the end."""
        asked = set(self.published)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                await until(lambda: asked <= self.answered().keys())

    async def kill(self, worker: Worker, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal a worker once it runs; its pid."""
        pid = await worker.running()
        os.kill(pid, number)
        self.faults += 1
        self.note(f"{worker.name} ({pid}) got {number.name}")
        return pid

    async def kill_at(self, worker: Worker, point: str, seconds: float = 2.0) -> None:
        """Let a worker die at a point of its next batch; one that gets no message in time is killed as it is."""
        pid = await worker.running()
        asked = self.points / f"{worker.name}.{point}"
        asked.touch()
        end = time.monotonic() + seconds
        await until(lambda: worker.pid != pid or time.monotonic() > end)
        self.faults += 1
        self.note(f"{worker.name} ({pid}) {'is killed without' if worker.pid == pid else 'died at'} the point {point}")
        if worker.pid == pid:
            asked.unlink(missing_ok=True)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def gone(self, worker: Worker, pid: int, since: float) -> None:
        """Wait until a process has ended, and note how long it took."""
        await until(lambda: worker.pid != pid)
        self.exits.append(time.monotonic() - since)


Fault = Callable[[Run], Awaitable[None]]
Say = Callable[[str], None]


async def run(
    place: Place,
    kind: str,
    *,
    messages: int,
    per_second: float,
    fault: Fault,
    bar: Bar,
    before: Fault | None = None,
    workers: int = 2,
    is_published_before_ready: bool = False,
    say: Say = lambda _: None,
) -> Line:
    """Publish `messages` while `fault` happens (`before` it what has to happen before anything is published)."""
    began = time.monotonic()
    state = Run(place, traffic(messages))
    await upgrade_database(place.settings)
    try:
        for number in range(workers):
            state.start(f"chat-{number}")
        if before is not None:
            await before(state)
        for worker in () if is_published_before_ready else state.workers:
            await worker.until_ready()
        async with Listener(place.settings, "chat.verdicts") as verdicts, _publisher(place.settings) as client:
            state.verdicts = verdicts
            telling = asyncio.create_task(_tell(state, verdicts, f"{kind}, {place.broker}, {place.database}", say))
            async with asyncio.TaskGroup() as both:
                both.create_task(_publish(state, client, per_second))
                both.create_task(_made(fault, state))
            first = await _all_answered(state)
            telling.cancel()
            said = check.said(verdicts, state.traffic)
    finally:
        await state.supervisor.stop()
    return Line(
        kind,
        place.broker,
        place.database,
        sent=len(state.published),
        to_be_blocked=len(state.traffic.attempts),
        **await check.kept(place.settings, state.traffic),
        **said,
        longest_stall_seconds=_longest_stall(state, first),
        longest_exit_seconds=max(state.exits, default=None),
        bar=bar,
        faults=state.faults,
        seconds=time.monotonic() - began,
    )


async def _made(fault: Fault, state: Run) -> None:
    await fault(state)


@asynccontextmanager
async def _publisher(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True, request_timeout_ms=DELIVERY_MS
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def _publish(state: Run, client: AIOKafkaProducer, per_second: float) -> None:
    """Send at a steady pace and note each delivery report; what an outage held back is sent as soon as it can be."""
    topic = topic_name(state.place.settings, "chat.messages")
    began = time.monotonic()
    reports = []
    for number, message in enumerate(state.traffic.messages):
        ahead = began + number / per_second - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        report = await client.send(topic, orjson.dumps(message), key=message["conversation_id"].encode())
        name = message["message_id"]
        report.add_done_callback(lambda _, name=name: state.published.setdefault(name, time.monotonic()))
        reports.append(report)
        state.sent = number + 1
    await asyncio.gather(*reports)


async def _all_answered(state: Run) -> dict[str, float]:
    """Wait for the last verdict; message id -> monotonic time of its first one."""
    moved, before = time.monotonic(), 0
    while (count := len(state.answered())) < len(state.traffic.messages) and time.monotonic() - moved < SILENT_SECONDS:
        if count != before:
            moved, before = time.monotonic(), count
        await asyncio.sleep(0.05)
    return state.answered()


def _longest_stall(state: Run, first: dict[str, float]) -> float:
    """Seconds from a message's delivery report, or the end of the outage that it met, to its first verdict."""
    now = time.monotonic()
    stalls: list[tuple[float, str, float]] = []
    for name, published in state.published.items():
        answered = first.get(name, now)
        since = published
        for start, end in state.excused:
            if since < end and answered > start:
                since = end
        stalls.append((answered - since, name, published))
    stalls.sort(reverse=True)
    for seconds, name, published in stalls[:20]:
        state.note(f"{name} was published and waited {seconds:.2f} s", published)
    return stalls[0][0] if stalls else 0.0


async def _tell(state: Run, verdicts: Listener, what: str, say: Say) -> None:
    while True:
        say(f"{what}: {state.sent} sent, {len(verdicts.records)} verdicts, {state.faults} faults")
        await asyncio.sleep(1)
