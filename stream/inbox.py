"""Queue, micro-batch, acknowledge last: the one way in which a worker takes events from Kafka."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mode

logger = logging.getLogger(__name__)

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

    A batch is what came in while the last one was being handled: an idle worker answers at once, a busy one
    batches by itself. `handle` returns when everything about the batch is durable; only then is it acknowledged.
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
        self._queue: asyncio.Queue[Item] = asyncio.Queue(most_waiting)
        self.progressed_at = time.monotonic()
        self.is_idle = True

    async def put(self, stream: Any, event: Any) -> None:
        """Queue an event; waits while the inbox is full."""
        await self._queue.put(Item(stream, event))

    def waiting(self) -> int:
        """Return how many events are queued."""
        return self._queue.qsize()

    def touch(self) -> None:
        """Note progress: the watchdog also counts a wait for the database as such."""
        self.progressed_at = time.monotonic()

    @mode.Service.task
    async def _drain(self) -> None:
        """Hand over batch after batch. Nothing may escape: see EXIT_AFTER_ESCAPED_EXCEPTION."""
        try:
            while not self.should_stop:
                batch = [await self._queue.get()]
                self.is_idle = False
                while len(batch) < self._most_per_batch and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await self._handle(batch)
                for item in batch:
                    await item.stream.ack(item.event)
                self.is_idle = True
                self.touch()
        except (asyncio.CancelledError, Stopping):
            # Not raised on: whatever was not acknowledged is delivered again to whoever owns it then.
            logger.info("the inbox stops with %d events waiting; they come again", self._queue.qsize())
        except Exception:
            logger.critical("an error left the inbox; the process ends so that nothing is lost", exc_info=True)
            logging.shutdown()
            os._exit(EXIT_AFTER_ESCAPED_EXCEPTION)
