"""Real worker processes for the end-to-end tests, and a plain Kafka client that publishes and listens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from alerts.store.database import open_engine, reading
from stream.operate import upgrade_database
from stream.settings import PREFIX, Settings
from stream.topics import group_name, topic_name
from stream.worker import database_config
from tests.services import ROOT, free_port, guard

TONEWATCH = [sys.executable, "-m", "stream.cli"]


def environment(settings: Settings) -> dict[str, str]:
    told = {
        f"{PREFIX}{name}".upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings.model_dump(exclude_none=True, exclude_defaults=True).items()
    }
    # Without bytecode a worker compiles its libraries anew at every start, 1.3 s of CPU: an image or a pip install
    # has them compiled, and it is such a worker whose way back is measured here.
    return {**os.environ, **told, "PYTHONDONTWRITEBYTECODE": ""}


class Process:
    """`tonewatch ...` as a child; its output goes to a file that is shown when something fails."""

    def __init__(self, settings: Settings, *arguments: str, log: Path, **more: str) -> None:
        self._command = [*TONEWATCH, *arguments]
        self._environment = environment(settings) | more
        self._log = log
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.child = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        guard(self.child.pid)

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    @property
    def resident_mb(self) -> float:
        """Memory it holds now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024

    @property
    def is_alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.child is not None
        self.child.send_signal(number)
        return self.child.wait(20)

    def stop(self) -> int:
        return self.kill(signal.SIGTERM) if self.is_alive else self.child.returncode if self.child else 0

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Worker(Process):
    """A worker with a stable id and a health port that is known."""

    def __init__(self, settings: Settings, kind: str, number: int, folder: Path) -> None:
        self.port = free_port()
        super().__init__(
            settings,
            "worker",
            kind,
            "--health-port",
            str(self.port),
            log=folder / f"{kind}-{number}.log",
            TONEWATCH_WORKER_ID=f"{kind}-{number}",
        )

    def ready(self) -> bool:
        return status(f"http://127.0.0.1:{self.port}/readyz") == 200

    def counted(self, name: str) -> float:
        """A number of its /metrics, by its name with its labels; 0 where it is not there yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
        return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")), 0))

    async def until_ready(self, seconds: float = 40.0) -> None:
        end = time.monotonic() + seconds
        while not await asyncio.to_thread(self.ready):
            if not self.is_alive or time.monotonic() > end:
                raise AssertionError(f"the process is not ready:\n{self.output[-4000:]}")
            await asyncio.sleep(0.1)


class WebProcess(Worker):
    """A `tonewatch web` on a port that stays the same over its restarts."""

    def __init__(self, settings: Settings, number: int, folder: Path) -> None:
        self.port = free_port()
        on_port = settings.model_copy(update={"web_port": self.port})
        Process.__init__(self, on_port, "web", log=folder / f"web-{number}.log")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@asynccontextmanager
async def workers(settings: Settings, folder: Path, **counts: int) -> AsyncIterator[list[Worker]]:
    """Upgrade the database, start e.g. `chat=2, audio=1`, wait until they are ready, end them all."""
    await upgrade_database(settings)
    started = [Worker(settings, kind, n, folder) for kind, count in counts.items() for n in range(count)]
    try:
        for worker in started:
            worker.start()
        for worker in started:
            await worker.until_ready()
        yield started
    finally:
        for worker in started:
            if worker.is_alive:
                worker.kill()


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Give `send(noun, key, value, headers=None)`; a dict is sent as JSON. The delivery report is awaited."""
    client = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True, max_request_size=9_000_000
    )
    await client.start()

    async def send(noun: str, key: str | None, value: Any, headers: Any = None) -> Any:
        body = orjson.dumps(value) if isinstance(value, Mapping) else value
        name = None if key is None else key.encode()
        return await client.send_and_wait(topic_name(settings, noun), body, key=name, headers=headers)

    try:
        yield send
    finally:
        await client.stop()


class Listener:
    """Everything that comes on some topics from their beginning, kept."""

    def __init__(self, settings: Settings, *nouns: str) -> None:
        self._names = [topic_name(settings, noun) for noun in nouns]
        wait = {"fetch_max_wait_ms": 20} if settings.kafka_embedded else {}
        self._client = AIOKafkaConsumer(
            *self._names,
            bootstrap_servers=settings.kafka,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=9_000_000,
            **wait,
        )
        self.records: list[Any] = []
        self.arrived: list[float] = []
        """Monotonic time at which each record came."""

    async def __aenter__(self) -> Listener:
        await self._client.start()
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._client.stop()

    async def _listen(self) -> None:
        async for record in self._client:
            self.arrived.append(time.monotonic())
            self.records.append(record)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(record.value) for record in self.records]

    async def until(self, enough: Callable[[Listener], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not enough(self):
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not happen within {seconds:g} s; {len(self.records)} records came")
            await asyncio.sleep(0.05)


async def rows(settings: Settings, query: Any) -> list[dict[str, Any]]:
    """What a SELECT finds, as dicts by column name; JSON columns are read where it names tables."""
    engine = open_engine(database_config(settings))
    try:
        async with reading(engine) as connection:
            return [dict(row._mapping) for row in await connection.execute(query)]
    finally:
        await engine.dispose()


async def until_rows(settings: Settings, query: Any, seconds: float = 20.0, count: int = 1) -> list[dict[str, Any]]:
    """`rows` as soon as there are `count` of them."""
    end = time.monotonic() + seconds
    while len(found := await rows(settings, query)) < count:
        if time.monotonic() > end:
            raise AssertionError(f"{len(found)} rows instead of {count} within {seconds:g} s of: {query}")
        await asyncio.sleep(0.1)
    return found


async def read_from_the_first_record(settings: Settings, kind: str) -> None:
    """Commit offset 0 for a worker's group: an audio worker without any begins with what comes after its start."""
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, group_id=group_name(settings, kind), enable_auto_commit=False
    )
    await client.start()
    try:
        names = [topic_name(settings, noun) for noun in ("audio.frames", "call.events", "transcript.turns")]
        partitions = [TopicPartition(name, number) for name in names for number in range(settings.partitions)]
        client.assign(partitions)
        await client.commit(dict.fromkeys(partitions, 0))
    finally:
        await client.stop()
