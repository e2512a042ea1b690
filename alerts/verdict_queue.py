"""Verdicts for who waits for one: what came in during the last transaction is judged in the next, in time or never."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.judge import Incoming
from alerts.moderate import Verdict, moderate
from alerts.policy import Policy
from alerts.store.database import refusal_of, said

log = logging.getLogger(__name__)

MOST_PER_BATCH = 200
"""As in the chat worker: with less the statements of a batch cost more than its messages."""
MOST_WAITING = 1000
"""Beyond that a check is late at once: each of those before it would only be late as well."""
RETRY_SECONDS = 0.05
TRIES_BEFORE_REFUSAL = 3
STUCK_SECONDS = 10.0
"""A transaction of a database that says nothing, not even no, is given up after that."""


class NotKept(Exception):
    """The database refuses this very message, now and always; the text says why."""


@dataclass(slots=True)
class _Waiting:
    """A message whose sender waits."""

    incoming: Incoming
    answer: asyncio.Future[Verdict] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class VerdictQueue:
    """Judges what is asked through `alerts.moderate`, batch after batch, with no timer."""

    def __init__(self, engine: AsyncEngine, policy: Callable[[], Policy], now: Callable[[], float]) -> None:
        self._engine = engine
        self._policy = policy
        self._now = now
        self._waiting: deque[_Waiting] = deque()
        self._came = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many are not yet in a batch."""
        return len(self._waiting)

    async def ask(self, incoming: Incoming, seconds: float) -> Verdict | None:
        """Return the verdict once it is committed, or None where that takes longer than `seconds`.

        After None the message may still be kept as it was asked. Raises NotKept.
        """
        if len(self._waiting) >= MOST_WAITING:
            return None
        mine = _Waiting(incoming)
        self._waiting.append(mine)
        self._came.set()
        try:
            async with asyncio.timeout(seconds):
                return await mine.answer
        except TimeoutError:
            return None
        finally:
            if not mine.answer.done() or mine.answer.cancelled():
                mine.answer.cancel()
                if mine in self._waiting:
                    self._waiting.remove(mine)

    async def run(self) -> None:
        """Judge for ever."""
        while True:
            await self._came.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_PER_BATCH))]
            if not self._waiting:
                self._came.clear()
            await self._judge(batch)

    async def _judge(self, batch: Sequence[_Waiting]) -> None:
        """Answer a batch, trying again for as long as one of it still waits."""
        tries = 0
        while batch := [each for each in batch if not each.answer.done()]:
            try:
                verdicts = await self._moderated([each.incoming for each in batch])
            except Exception as error:
                refusal = refusal_of(error)
                if refusal is not None and len(batch) > 1:
                    for each in batch:
                        await self._judge([each])
                    return
                tries += 1
                if refusal is not None and tries >= TRIES_BEFORE_REFUSAL:
                    batch[0].answer.set_exception(NotKept(said(refusal)))
                    return
                if tries == 1:
                    log.warning("a batch of checks failed, going on trying: %s: %s", type(error).__name__, said(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for each, verdict in zip(batch, verdicts, strict=True):
                if not each.answer.done():
                    each.answer.set_result(verdict)
            return

    async def _moderated(self, batch: Sequence[Incoming]) -> list[Verdict]:
        """Judge and keep, unless the database hangs. Raises what the database raises, and TimeoutError."""
        work = asyncio.create_task(moderate(self._engine, self._policy(), batch, self._now))
        try:
            done, _ = await asyncio.wait({work}, timeout=STUCK_SECONDS)
        finally:
            if not work.done():
                # Not awaited: to roll back, it may have to wait for that very database.
                work.cancel()
                work.add_done_callback(_forget)
        if not done:
            raise TimeoutError(f"the database has not answered for {STUCK_SECONDS:g} s")
        return work.result()


def _forget(work: asyncio.Task[list[Verdict]]) -> None:
    """Take what a transaction that was given up ends with: nobody else will."""
    if not work.cancelled():
        work.exception()
