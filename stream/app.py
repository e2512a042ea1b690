"""The Faust app of a worker: every setting that differs from Faust's own, and the reason."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import faust
import mode
from faust.exceptions import ConsumerNotStarted
from faust.tables.manager import TableManager
from faust.types import TP

from stream.consumer import Transport
from stream.fetching import fetch_after_batches
from stream.inbox import Inbox
from stream.kafka_client import (
    EMBEDDED_FETCH_WAIT_MS,
    FETCH_WAIT_MS,
    faust_connection,
    is_reachable,
    let_followers_sync_first,
)
from stream.outlet import Outlet
from stream.settings import Settings
from stream.topics import group_name, topic_name

logger = logging.getLogger(__name__)

TESTED_FAUST = "0.15.3"
LOOK_FOR_BROKER_SECONDS = 0.2


class WrongFaust(RuntimeError):
    """The installed faust-streaming is not the one whose losses are known and avoided."""


def check_faust() -> None:
    """Raise WrongFaust for any other version, unless TONEWATCH_ALLOW_OTHER_FAUST is set."""
    if faust.__version__ != TESTED_FAUST and not os.environ.get("TONEWATCH_ALLOW_OTHER_FAUST"):
        raise WrongFaust(
            f"faust-streaming {faust.__version__} is installed; {TESTED_FAUST} is the version that was tested not to "
            f"lose messages here. Run: pip install faust-streaming=={TESTED_FAUST} "
            "(or set TONEWATCH_ALLOW_OTHER_FAUST=1 and test it yourself)"
        )


class App(faust.App):
    """A Faust app that knows our settings."""

    tonewatch: Settings
    outlet: Outlet
    """Whatever the worker publishes goes through it."""
    inbox: Inbox | None = None
    """Where its agents put what comes."""
    worker_name: str
    """Kind and name of the worker, stable over its restarts: "chat/host-0"."""

    def _new_transport(self) -> Transport:
        """Return the way to Kafka; Faust has no setting for it, hence the private name."""
        return Transport(self.conf.broker_consumer, self)

    def run_beside(self, service: mode.Service) -> None:
        """Start `service` after everything else of the app, and stop it before."""
        self.service(service)  # type: ignore[arg-type]  # declared for a class, takes an instance as well


class BrokerAwaited(mode.Service):
    """Holds up what is started after it until Kafka can be reached: Faust would end the process instead."""

    def __init__(self, app: App, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app

    async def on_start(self) -> None:
        """Wait for the broker, or for the wish to stop."""
        settings = self._app.tonewatch
        is_told = False
        while not (self._app.should_stop or await asyncio.to_thread(is_reachable, settings)):
            if not is_told:
                logger.warning("Kafka cannot be reached at %s, going on trying", settings.kafka)
            is_told = True
            await asyncio.sleep(LOOK_FOR_BROKER_SECONDS)


class NoTables(TableManager):
    """Faust's manager of tables, of which we have none."""

    async def on_start(self) -> None:
        """Start at once: Faust waits a second for tables here, a third of what a killed worker may take to be back."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class Offsets(faust.Monitor):
    """Faust's monitor, for how far partitions are read: what an event takes we measure ourselves (`metrics.py`)."""

    def on_message_in(self, *_: Any) -> None:
        """Count nothing."""

    def on_stream_event_in(self, *_: Any) -> None:
        """Time nothing."""

    def on_stream_event_out(self, *_: Any) -> None:
        """Time nothing."""

    def on_message_out(self, *_: Any) -> None:
        """Count nothing."""


class Raw(faust.Schema[bytes, bytes]):
    """Takes keys and values as they are; to ask two codecs that do nothing takes longer than the rest of a delivery."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return what makes an event of a message."""
        make = app.conf.Event

        async def decode(message: Any, *, propagate: bool = False) -> faust.Event:
            event: faust.Event = make(app, message.key, message.value, message.headers, message)
            return event

        return decode


async def _set_up_fetches(*arguments: Any, **_: Any) -> None:
    """Let fetches return soon, and be made when there is nothing else to do."""
    # Faust hard-codes the wait and offers no setting, hence the private names; the client exists from here on.
    app = arguments[0]
    fetcher = app.consumer._thread._consumer._fetcher
    fetcher._fetch_max_wait_ms = EMBEDDED_FETCH_WAIT_MS if app.tonewatch.kafka_embedded else FETCH_WAIT_MS
    if app.inbox is not None:
        fetch_after_batches(fetcher, app.inbox)


def make_app(settings: Settings, worker: str, worker_id: str, *, from_earliest: bool) -> App:
    """Return the app of a worker of kind "chat" or "audio" called `worker_id`, stable over its restarts."""
    check_faust()
    if settings.kafka_embedded:
        let_followers_sync_first()
    app = App(
        group_name(settings, worker),
        **faust_connection(settings),
        # A worker that comes back under its name within the session takes its partitions at once: 1.2 s of
        # stall after kill -9 instead of 23.6 s. The mock broker knows no static members.
        consumer_group_instance_id=None if settings.kafka_embedded else worker_id,
        broker_client_id=worker_id,
        broker_session_timeout=settings.session_timeout_seconds,  # 60 s: nobody owns a dead worker's partitions
        # 60 s: so long the others of a group wait for one that is alive and too slow, or too stuck, to join again.
        broker_rebalance_timeout=settings.session_timeout_seconds,
        broker_request_timeout=settings.session_timeout_seconds * 3,  # 90 s: for an answer that was lost
        broker_heartbeat_interval=settings.session_timeout_seconds / 3.3,
        broker_commit_interval=1.0,  # 2.8 s: more to judge again after a kill
        broker_max_poll_records=500,
        consumer_max_fetch_size=1024 * 1024 if worker == "audio" else 8 * 1024 * 1024,
        consumer_auto_offset_reset="earliest" if from_earliest else "latest",
        stream_buffer_maxsize=512,  # 4096 records of audio are minutes of stale speech
        # Waiting for unacknowledged events hangs a stop; nothing is lost, they come again (noack, ack last).
        stream_wait_empty=False,
        topic_allow_declare=False,  # topics are made by `tonewatch topics apply`
        topic_disable_leader=True,  # no leader topic: tables are not used
        table_standby_replicas=0,
        TableManager=NoTables,
        Monitor=Offsets,
        web_enabled=False,  # no login, and it would listen on every address
        # An exception that leaves an agent would acknowledge its message: stop the worker instead.
        agent_supervisor=mode.CrashingSupervisor,
        worker_redirect_stdouts=False,
        datadir=str(Path(tempfile.gettempdir()) / f"tonewatch-{worker_id}"),  # Faust insists; nothing is kept there
    )
    app.tonewatch = settings
    app.outlet = Outlet(settings, worker_id)
    app.worker_name = f"{worker}/{worker_id}"
    app.on_partitions_assigned.connect(_set_up_fetches)
    return app


def raw_topic(app: App, noun: str) -> Any:
    """Return a topic of raw bytes: Faust must not decode, for what it cannot decode it drops and acknowledges."""
    return app.topic(topic_name(app.tonewatch, noun), schema=Raw(key_type=bytes, value_type=bytes))


def assigned(app: App) -> frozenset[TP]:
    """Return the partitions this worker owns, none before it has joined its group."""
    try:
        return frozenset(app.consumer.assignment())
    except ConsumerNotStarted:
        return frozenset()


def knows_where_to_read(app: App) -> bool:
    """Return whether of every partition it is known from where on it is read.

    Where nothing was committed, Kafka is asked for the end: what came in before it answers is passed over.
    """
    consumer: Any = app.consumer  # Faust asks its client for none of this, hence the private names
    subscription = consumer._thread._ensure_consumer()._subscription.subscription
    assignment = subscription and subscription.assignment
    return bool(assignment) and all(assignment.state_value(tp).has_valid_position for tp in assignment.tps)


def source_of(event: Any) -> str:
    """Return topic:partition:offset of an event: a name for a message that has none, stable on redelivery."""
    tp: TP = event.message.tp
    return f"{tp.topic}:{tp.partition}:{event.message.offset}"
