"""A supervised worker of a fault run, and waiting for things to happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stream.supervise import Supervisor
from tests.services import free_port
from tests.workers import status

READY_SECONDS = 60.0


async def until(true: Callable[[], bool]) -> None:
    while True:
        if true():
            return
        await asyncio.sleep(0.01)


@dataclass
class Worker:
    """One of the supervised: its health port, and a supervisor where it comes and goes alone."""

    name: str
    supervisor: Supervisor
    port: int = field(default_factory=free_port)

    @property
    def pid(self) -> int | None:
        return self.supervisor.pid(self.name)

    @property
    def is_ready(self) -> bool:
        return status(f"http://127.0.0.1:{self.port}/readyz") == 200

    async def running(self) -> int:
        """Wait until it runs; its pid."""
        await until(lambda: self.pid is not None)
        assert self.pid is not None
        return self.pid

    async def until_ready(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(lambda: self.is_ready):
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} was not ready within {READY_SECONDS:g} s")
            await asyncio.sleep(0.1)
