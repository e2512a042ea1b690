"""Ends a worker that stands still: its supervisor starts a new one, which goes on where this one stopped."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Collection
from typing import Any

import mode

from stream.app import App, assigned
from stream.inbox import Inbox
from stream.kafka_client import is_reachable

logger = logging.getLogger(__name__)

BLOCKED_LOOP_SECONDS = 5.0
STANDSTILL_SECONDS = 30.0
LOOK_SECONDS = 0.5
STOP_SECONDS = 4.0
"""From the wish to stop to the end. A supervisor kills after 5 s; after a crash of Faust's own nobody would."""
EXIT_STUCK = 71
"""The process ends with this when it stood still."""


class Watchdog(mode.Service):
    """Looks from a thread of its own, for a blocked event loop cannot look at itself."""

    def __init__(self, app: App, inbox: Inbox, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._inbox = inbox
        self._beat_at = time.monotonic()
        self._over = threading.Event()
        self._lag = 0

    async def on_start(self) -> None:
        """Start looking."""
        self._beat_at = time.monotonic()
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    async def on_stop(self) -> None:
        """Stop looking."""
        self._over.set()

    @mode.Service.task
    async def _beat(self) -> None:
        """Show that the loop turns."""
        while not self.should_stop:
            self._beat_at = time.monotonic()
            self._lag = lag_of(self._app, without=self._inbox.held_topics())
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """Compare, twice a second, what should have moved with the clock."""
        stops_since: float | None = None
        while not self._over.wait(LOOK_SECONDS):
            now = time.monotonic()
            if self._app.should_stop:
                stops_since = stops_since or now
                if now - stops_since > STOP_SECONDS:
                    self._end(f"the stop took more than {STOP_SECONDS:.0f} s")
                continue
            if now - self._beat_at > BLOCKED_LOOP_SECONDS:
                self._end(f"the event loop was blocked for {BLOCKED_LOOP_SECONDS:.0f} s")
            # A rebalance that does not end leaves no partition, and so no lag, to see it by.
            busy = self._inbox.waiting() > 0 or not self._inbox.is_idle or self._lag > 0 or self._app.rebalancing
            if busy and now - self._inbox.progressed_at > STANDSTILL_SECONDS:
                # Who waits for a broker that is away does not stand still, and a successor would do no better.
                if is_reachable(self._app.tonewatch):
                    self._end(f"{self._lag} events to do and no progress for {STANDSTILL_SECONDS:.0f} s")
                busy = False
            if not busy:
                self._inbox.touch()

    def _end(self, why: str) -> None:
        """Say where every thread stands, and go."""
        logger.critical("%s; the process ends to be started anew", why)
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        logging.shutdown()
        os._exit(EXIT_STUCK)


def lag_of(app: App, without: Collection[str] = ()) -> int:
    """Return how many events of the assigned partitions are not yet committed, as far as Faust knows.

    Topics of `without` are held on purpose and do not count.
    """
    monitor = app.monitor
    total = 0
    for tp in assigned(app):
        if tp.topic in without:
            continue
        end, done = monitor.tp_end_offsets.get(tp), monitor.tp_committed_offsets.get(tp)
        if end is not None and done is not None:
            total += max(0, end - done)
    return total
