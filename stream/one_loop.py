"""Faust's Kafka client on the worker's own event loop, instead of on one of a thread of its own.

With two loops in a process every answer of the database waits until the other thread gives up the interpreter, and each
fetch is asked for and handed over through sockets. The worker never keeps its loop busy for long: what it waits for
lets the client's heartbeats pass, and a loop that stands still is ended by the watchdog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.utils.futures import maybe_async


class _Task:
    """What a service "thread" of mode is started and stopped as, here a task."""

    def __init__(self, service: OneLoopConsumer) -> None:
        self._service = service
        self.serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve beside whoever calls."""
        self.serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self._service._serve()
        except Exception:
            self._service.set_shutdown()  # it was told as a crash of the app already

    def stop(self) -> None:
        """Do nothing: a loop cannot wait for itself, see `OneLoopConsumer.stop`."""


class OneLoopConsumer(AIOKafkaConsumerThread):
    """The client behind Faust's consumer; what Faust has called in its thread is simply called."""

    Worker = _Task  # type: ignore[assignment]  # of a thread mode asks for no more than that
    _thread: _Task | None  # type: ignore[assignment]  # what Worker makes

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=kwargs["loop"], **kwargs)

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fun`, which may be a coroutine function, and return its result."""
        return await maybe_async(fun(*args, **kwargs))

    async def stop(self) -> None:
        """Stop, and wait until the client has left its group."""
        await super().stop()
        if self._thread is not None and self._thread.serving is not None:
            await asyncio.wait({self._thread.serving})

    async def _gather_remaining_tasks(self) -> None:
        """Leave the other tasks of the loop alone: they are not the client's."""
