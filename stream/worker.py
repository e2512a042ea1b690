"""A worker as a process: its stable name, what runs beside the inbox, and how it starts and ends."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import faust
import mode
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.config import DatabaseConfig
from alerts.policy import LOOK_EVERY_SECONDS, Policy, PolicyKeeper
from alerts.store.database import open_engine, reading
from stream.app import App, BrokerAwaited, assigned, knows_where_to_read, make_app
from stream.health import HealthPort
from stream.inbox import Inbox
from stream.memory import loading, set_apart
from stream.metrics import POLICY_VERSION, WAITING
from stream.settings import Settings
from stream.watchdog import Watchdog

if TYPE_CHECKING:
    from stream.audio import AudioWorker
    from stream.chat import ChatWorker

logger = logging.getLogger(__name__)

Kind = Literal["chat", "audio"]
READY_SECONDS = 2.0
"""How long the database may take to answer before the worker is not ready."""


def database_config(settings: Settings) -> DatabaseConfig:
    """Return what the store is told of the settings."""
    return DatabaseConfig(settings.database, settings.database_password.get_secret_value())


class WorkerName:
    """Holds a worker's stable name; without one in the settings it is `<host>-<n>`, n the first free slot.

    The slot is a file lock, so that two workers on one host never take each other's name, and the one that
    is started after a crash finds its slot free again.
    """

    def __init__(self, settings: Settings, kind: Kind) -> None:
        self._lock: IO[bytes] | None = None
        self.name = settings.worker_id or self._first_free(f"{settings.topic_prefix}{kind}")

    def _first_free(self, kind: str) -> str:
        for slot in range(1000):
            lock = (Path(tempfile.gettempdir()) / f"tonewatch-{kind}-{slot}.lock").open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            self._lock = lock  # held until the process ends, however it ends
            return f"{socket.gethostname()}-{slot}"
        raise RuntimeError("1000 workers on this host already; set TONEWATCH_WORKER_ID")


class Background(mode.Service):
    """Follows the policy in the database; a worker without one waits."""

    def __init__(self, policies: PolicyKeeper, inbox: Inbox, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._policies = policies
        self._inbox = inbox

    @mode.Service.task
    async def _follow(self) -> None:
        """Take over a new version within a second or so; while the database is away the old one stays."""
        failed = False
        while not self.should_stop:
            try:
                await self._policies.refresh()
                failed = False
            except Exception as error:
                if not failed:
                    logger.warning("the policy cannot be read, going on trying: %s", error)
                failed = True
            WAITING.set(self._inbox.waiting())
            await asyncio.sleep(LOOK_EVERY_SECONDS)


class Process(faust.Worker):
    """Faust's worker, gone as soon as all of it has stopped: its successor has its partitions the earlier."""

    async def _sentinel_task(self) -> None:
        """Wait for nothing, where Faust waits for a second."""


def run_worker(kind: Kind, settings: Settings) -> None:
    """Run a worker until it is told to stop; the process ends with it."""
    # Faust and all that it runs take the loop that is set; what this one spares each batch, see ARCHITECTURE.
    asyncio.set_event_loop(uvloop.new_event_loop())
    name = WorkerName(settings, kind)
    app = make_app(settings, kind, name.name, from_earliest=kind == "chat")
    engine = open_engine(database_config(settings), tries_again=True)
    policies = PolicyKeeper(engine, _taken_over)
    # Imported here: the chat worker does without numpy and the audio detectors.
    with loading():
        if kind == "chat":
            from stream.chat import ChatWorker

            worker: ChatWorker | AudioWorker = ChatWorker(app, engine, policies)
        else:
            from stream.audio import AudioWorker

            worker = AudioWorker(app, engine, policies)

    async def not_ready() -> str | None:
        return worker.holds.why_not_ready() or await _why_not_ready(app, engine, policies)

    for service in (
        Background(policies, worker.inbox),
        Watchdog(app, worker.inbox),
        HealthPort(settings.health_host, settings.health_port, not_ready),
        BrokerAwaited(app),
        app.outlet,
    ):
        app.add_dependency(service)  # from the start: the health port answers while Kafka is waited for
    logger.info("worker %s of kind %s", name.name, kind)
    process = Process(app, loglevel="warn", redirect_stdouts=False, quiet=True)
    process.spinner = None  # it would write control characters into the log
    try:
        process.execute_from_commandline()
    except SystemExit as end:
        # Every service has stopped. To take a thousand modules apart only keeps the partitions without an owner.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def _taken_over(policy: Policy) -> None:
    """Say which policy is in force, with which the process has all that it works with."""
    POLICY_VERSION.set(policy.version)
    logger.info("policy %d is in force", policy.version)
    set_apart()


async def _why_not_ready(app: App, engine: AsyncEngine, policies: PolicyKeeper) -> str | None:
    """Return what keeps the worker from working, None if nothing does."""
    if not assigned(app):
        return "no partitions are assigned yet"
    if not knows_where_to_read(app):
        return "it is not known yet from where on some partitions are read"
    try:
        policies.policy  # noqa: B018  (raises LookupError while there is none)
        async with asyncio.timeout(READY_SECONDS), reading(engine) as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
