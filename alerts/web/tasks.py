"""Keeps the web process' own tasks running: one that fails is logged, shown and started again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""A task that ran this long without failing begins anew with the shortest wait."""


@dataclass(slots=True)
class TaskState:
    """How one task is doing."""

    name: str
    failures: int = 0
    error: str | None = None
    """Why it is not running at the moment, None while it runs."""


class Tasks:
    """The tasks of one process, from start to stop."""

    def __init__(self) -> None:
        self.states: dict[str, TaskState] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run` until `stop`, starting it again whenever it ends."""
        state = self.states[name] = TaskState(name)
        self._tasks.append(asyncio.create_task(self._keep(state, run), name=name))

    async def stop(self) -> None:
        """Cancel all tasks and wait until they are done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def failing(self) -> list[TaskState]:
        """Return the tasks that are not running at the moment."""
        return [state for state in self.states.values() if state.error is not None]

    async def _keep(self, state: TaskState, run: Callable[[], Awaitable[None]]) -> None:
        """Run one task again and again, slower each time it fails."""
        loop = asyncio.get_running_loop()
        wait = FIRST_WAIT_SECONDS
        while True:
            began = loop.time()
            running = asyncio.ensure_future(run())
            # It is called healthy again only once it has lived for a moment.
            running_well = loop.call_later(wait * 2, setattr, state, "error", None)
            try:
                await running
                state.error = "it ended by itself"
            except asyncio.CancelledError:
                running.cancel()
                raise
            except Exception as error:
                state.error = f"{type(error).__name__}: {error}"
                log.exception("task %s failed", state.name)
            finally:
                running_well.cancel()
            state.failures += 1
            if loop.time() - began > STEADY_SECONDS:
                wait = FIRST_WAIT_SECONDS
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
