"""Kinds 4 and 5: a worker that joins and leaves, and one that is stopped, replaced, and wakes up again."""

from __future__ import annotations

import asyncio
import signal

from stream.supervise import Supervisor
from tests.faults.line import Bar, Line
from tests.faults.run import Place, Run, Say, run

AFTER_SESSION_SECONDS = 3.0
JOIN_SECONDS = 5.0
ASLEEP_BEYOND_SESSION_SECONDS = 5.0


async def joins(place: Place, messages: int, say: Say) -> Line:
    """A second worker comes and goes every 5 s until all is sent."""

    async def fault(state: Run) -> None:
        while state.sent < len(state.traffic.messages):
            supervisor = Supervisor(state.log.with_name("joining.log"), lambda _: None)
            state.start("chat-joins", supervisor)
            await asyncio.sleep(JOIN_SECONDS)
            await supervisor.stop()
            state.workers.pop()
            state.faults += 1
            await asyncio.sleep(JOIN_SECONDS)

    return await run(
        place,
        "4 joins and leaves",
        messages=messages,
        per_second=messages / 60,
        fault=fault,
        bar=Bar(place.settings.session_timeout_seconds + AFTER_SESSION_SECONDS),
        workers=1,
        say=say,
    )


async def zombies(place: Place, messages: int, say: Say) -> Line:
    """Each worker in turn sleeps past its session, is replaced, and wakes up with a batch in its hands."""
    asleep = place.settings.session_timeout_seconds + ASLEEP_BEYOND_SESSION_SECONDS

    async def fault(state: Run) -> None:
        for number, worker in enumerate([*state.workers, *state.workers]):
            await state.share((number + 0.5) / 5)
            await state.kill(worker, signal.SIGSTOP)
            await asyncio.sleep(asleep)
            await state.kill(worker, signal.SIGCONT)

    return await run(
        place,
        "5 SIGSTOP, take-over, SIGCONT",
        messages=messages,
        per_second=messages / (5 * (asleep + 5)),
        fault=fault,
        bar=Bar(place.settings.session_timeout_seconds + AFTER_SESSION_SECONDS),
        say=say,
    )
