"""Queue, micro-batch, acknowledge last: the one way in which a worker takes events from Kafka."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import mode

logger = logging.getLogger(__name__)

QUIET_TURNS = 2
"""Turns of the event loop without another event, after which all of a fetch is taken to be here."""
EXIT_AFTER_ESCAPED_EXCEPTION = 70
"""The process ends with this when an error could not be handled: Faust would acknowledge and go on."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event that waits for its turn, with the stream that must acknowledge it."""

    stream: Any
    event: Any

    @property
    def topic(self) -> str:
        """Name of its topic on Kafka."""
        return str(self.event.message.topic)

    @property
    def arrived_at(self) -> float:
        """Unix time at which the broker says it came."""
        return float(self.event.message.timestamp)


class Stopping(Exception):
    """The worker is asked to stop: the batch is left as it is, unacknowledged, and comes again."""


class Inbox(mode.Service):
    """Takes what has arrived and hands it on as one batch, with no timer.

    A batch is what one fetch brought, or what came in while the last one was being handled: an idle worker answers at
    once, a busy one batches by itself. `handle` returns when everything about the batch is durable; only then is it
    acknowledged.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[Item]], Awaitable[None]],
        *,
        most_per_batch: int,
        most_waiting: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._handle = handle
        self._most_per_batch = most_per_batch
        # Full means that agents wait here, Faust's own buffer fills up, and the partition pauses itself.
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue(most_waiting)
        self._wants_more = asyncio.Event()
        self._wants_more.set()
        self._held: dict[str, deque[Item]] = {}
        self._to_resume: set[str] = set()
        self._resumed: deque[Item] = deque()
        self._kept_of_batch: set[int] = set()
        self._lost: set[Any] = set()
        self.progressed_at = time.monotonic()
        self.is_idle = True

    async def put(self, stream: Any, event: Any) -> None:
        """Queue an event; waits while the inbox is full."""
        self._wants_more.clear()
        await self._queue.put(Item(stream, event))

    def waiting(self) -> int:
        """Return how many events are queued; those of a held topic are not."""
        return self._queue.qsize() + len(self._resumed)

    def want_more(self) -> None:
        """Let the next events be fetched, unless some are here: the batch under way is as good as handled."""
        if self._queue.empty():
            self._wants_more.set()

    async def more_wanted(self, at_most_seconds: float) -> None:
        """Wait until there is nothing to handle, but for no longer than `at_most_seconds`."""
        await self._quiet()  # what was fetched just now may be on its way
        if not self._wants_more.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(at_most_seconds):
                    await self._wants_more.wait()

    def is_held(self, topic: str) -> bool:
        """Return whether nothing of a topic is to be handled."""
        return topic in self._held

    def held_topics(self) -> frozenset[str]:
        """Return the topics of which nothing is handled."""
        return frozenset(self._held)

    def hold(self, topic: str) -> None:
        """Handle and acknowledge nothing of a topic until `resume`; the other topics go on."""
        self._held.setdefault(topic, deque())
        self._to_resume.discard(topic)

    def keep(self, item: Item) -> None:
        """Keep an event of a held topic, unacknowledged and in its place, instead of handling it.

        What is delivered anew, after partitions were given out again, takes the place of what was kept of it.
        """
        message = item.event.message
        held = self._held[item.topic]
        last = next((other.event.message for other in reversed(held) if other.event.message.tp == message.tp), None)
        if last is not None and message.offset <= last.offset:
            held = self._held[item.topic] = deque(
                other
                for other in held
                if other.event.message.tp != message.tp or other.event.message.offset < message.offset
            )
        held.append(item)
        self._kept_of_batch.add(id(item))

    def resume(self, topic: str) -> None:
        """Go on with a held topic, its kept events first, as soon as the batch under way is done."""
        self._to_resume.add(topic)
        if self._queue.empty():
            self._queue.put_nowait(None)  # nothing else would wake the inbox

    def drop_held(self, partitions: Iterable[Any]) -> None:
        """Forget the kept events of partitions that are given out anew: they are delivered again to their owner."""
        gone = set(partitions)
        for topic, items in self._held.items():
            self._held[topic] = deque(item for item in items if item.event.message.tp not in gone)

    def lose(self, partitions: Iterable[Any]) -> None:
        """Note that partitions are taken away: what is still queued of them is another's, see `ours`."""
        self._lost.update(partitions)

    def regain(self, partitions: Iterable[Any]) -> None:
        """Note that partitions are given to this worker."""
        self._lost.difference_update(partitions)

    def ours(self, batch: Sequence[Item]) -> list[Item]:
        """Return the events of partitions that were not taken away; the others stay unacknowledged."""
        if not self._lost:
            return list(batch)
        self._kept_of_batch.update(id(item) for item in batch if item.event.message.tp in self._lost)
        return [item for item in batch if item.event.message.tp not in self._lost]

    def touch(self) -> None:
        """Note progress: the watchdog also counts a wait for the database as such."""
        self.progressed_at = time.monotonic()

    async def _quiet(self) -> None:
        """Let the event loop go on until no more events come, or there are enough for a batch."""
        quiet, waiting = 0, self._queue.qsize()
        while quiet < QUIET_TURNS and waiting < self._most_per_batch:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._queue.qsize() == waiting else 0
            waiting = self._queue.qsize()

    async def _next_batch(self) -> list[Item]:
        """Wait for events and return what is there, at most one batch; empty where only a topic was resumed."""
        first = None if self._resumed or self._to_resume else await self._queue.get()
        await self._quiet()
        for topic in self._to_resume:
            self._resumed.extend(self._held.pop(topic, ()))
        self._to_resume.clear()
        if first is not None:
            self._resumed.append(first)  # what was kept came before it
        batch = [self._resumed.popleft() for _ in range(min(len(self._resumed), self._most_per_batch))]
        while len(batch) < self._most_per_batch and not self._queue.empty():
            more = self._queue.get_nowait()
            if more is not None:
                batch.append(more)
        return batch

    @mode.Service.task
    async def _drain(self) -> None:
        """Hand over batch after batch. Nothing may escape: see EXIT_AFTER_ESCAPED_EXCEPTION."""
        try:
            while not self.should_stop:
                batch = await self._next_batch()
                self.is_idle = False
                self._kept_of_batch.clear()
                await self._handle(batch)
                for item in batch:
                    if id(item) not in self._kept_of_batch:
                        await item.stream.ack(item.event)
                self.is_idle = True
                self.want_more()
                self.touch()
        except (asyncio.CancelledError, Stopping):
            # Not raised on: whatever was not acknowledged is delivered again to whoever owns it then.
            logger.info("the inbox stops with %d events waiting; they come again", self._queue.qsize())
        except Exception:
            logger.critical("an error left the inbox; the process ends so that nothing is lost", exc_info=True)
            logging.shutdown()
            os._exit(EXIT_AFTER_ESCAPED_EXCEPTION)
