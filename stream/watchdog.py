"""Ends a worker that stands still: its supervisor starts a new one, which goes on where this one stopped."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import mode
from faust.types import TP

from stream.app import App, assigned
from stream.inbox import Inbox
from stream.kafka_client import is_reachable
from stream.metrics import LAG, LOOP_LAG_SECONDS

logger = logging.getLogger(__name__)

BLOCKED_LOOP_SECONDS = 5.0
STANDSTILL_SECONDS = 30.0
IDLE_SHARE = 0.05
"""A process that takes less of a core than this waits for something else than a core."""
LOOK_SECONDS = 0.5
STOP_SECONDS = 4.0
"""From the wish to stop to the end. A supervisor kills after 5 s; after a crash of Faust's own nobody would."""
EXIT_STUCK = 71
"""The process ends with this when it stood still."""


class Pulse:
    """Tells an event loop that is blocked from one whose process gets no CPU.

    To end a worker that is only starved, on a machine that has too much to do, would give it the more to do.
    """

    def __init__(self) -> None:
        self._beat_at = 0.0
        self._worked_until_beat = 0.0
        self._looked_at: float | None = None
        self._silent_seconds = 0.0

    def look(self, beat_at: float, now: float, worked: float) -> bool:
        """Whether the loop is blocked: `worked` is the CPU time of the process, `beat_at` the loop's last sign.

        It is, when since that sign the process worked for 5 s, or let 5 s pass without asking for a CPU. Time
        in which nobody looked does not count: the whole process was stopped.
        """
        if beat_at != self._beat_at or self._looked_at is None:
            self._beat_at, self._worked_until_beat, self._silent_seconds = beat_at, worked, 0.0
        else:
            self._silent_seconds += min(now - self._looked_at, 2 * LOOK_SECONDS)
        self._looked_at = now
        busy_seconds = worked - self._worked_until_beat
        waits = busy_seconds < IDLE_SHARE * self._silent_seconds
        return busy_seconds > BLOCKED_LOOP_SECONDS or (waits and self._silent_seconds > BLOCKED_LOOP_SECONDS)


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
            lags = lags_of(self._app)
            _show(lags)
            held = self._inbox.held_topics()  # on purpose
            self._lag = sum(lag for tp, lag in lags.items() if tp.topic not in held)
            await asyncio.sleep(LOOK_SECONDS)
            LOOP_LAG_SECONDS.set(max(0.0, time.monotonic() - self._beat_at - LOOK_SECONDS))

    def _look(self) -> None:
        """Compare, twice a second, what should have moved with the clock."""
        stops_since: float | None = None
        pulse = Pulse()
        while not self._over.wait(LOOK_SECONDS):
            now = time.monotonic()
            is_blocked = pulse.look(self._beat_at, now, time.process_time())
            if self._app.should_stop:
                stops_since = stops_since or now
                if now - stops_since > STOP_SECONDS:
                    self._end(f"the stop took more than {STOP_SECONDS:.0f} s")
                continue
            if is_blocked:
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


def lags_of(app: App) -> dict[TP, int]:
    """Return of each assigned partition how many events are not yet committed, as far as Faust knows."""
    monitor = app.monitor
    lags = {}
    for tp in assigned(app):
        end, done = monitor.tp_end_offsets.get(tp), monitor.tp_committed_offsets.get(tp)
        lags[tp] = 0 if end is None or done is None else max(0, end - done)
    return lags


def _show(lags: Mapping[TP, int]) -> None:
    """Put the lags into /metrics; a partition that is another worker's now is that one's to tell."""
    LAG.clear()
    for tp, lag in lags.items():
        LAG.labels(topic=tp.topic, partition=tp.partition).set(lag)
