"""Kinds 1 to 3: workers killed now and then, killed in a burst, and told to stop at a bad moment."""

from __future__ import annotations

import asyncio
import random
import signal
import time

from tests.faults.line import Bar, Line
from tests.faults.outages import database_away
from tests.faults.run import Place, Run, Say, run
from tests.faults.worker_with_points import POINTS

KILLS = 30
STALL_SECONDS = 3.0
EXIT_SECONDS = 5.0
APART_SECONDS = 3.0
"""Between kills that are spread over a run: each is answered for by its own stall."""
STOPS = 8


async def kills(
    place: Place,
    messages: int,
    say: Say,
    *,
    times: int = KILLS,
    apart_seconds: float = APART_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> Line:
    """kill -9 spread over the run: every second one at a named point of a batch."""
    chance = random.Random(1)

    async def fault(state: Run) -> None:
        for number in range(times):
            await state.share((number + 1) / (times + 1))
            victim = chance.choice(state.workers)
            await state.caught_up()  # each kill has a stall of its own; kind 2 kills what is on its way back
            if number % 2:
                await state.kill(victim)
            else:
                await state.kill_at(victim, POINTS[number // 2 % len(POINTS)])

    return await run(
        place,
        f"1 kill -9, {times} times",
        messages=messages,
        per_second=messages / (times * apart_seconds),
        fault=fault,
        bar=Bar(stall_seconds),
        say=say,
    )


async def burst(place: Place, messages: int, say: Say, *, times: int = KILLS) -> Line:
    """kill -9 again and again, before the worker can have come back."""
    chance = random.Random(2)

    async def fault(state: Run) -> None:
        await state.share(0.2)
        began = time.monotonic()
        for _ in range(times):
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            await state.kill(chance.choice(state.workers))
        state.excused.append((began, time.monotonic()))

    return await run(
        place,
        f"2 kill -9, {times} in a burst",
        messages=messages,
        per_second=150.0,
        fault=fault,
        bar=Bar(STALL_SECONDS, since="the last"),
        say=say,
    )


async def stops(
    place: Place, messages: int, say: Say, *, times: int = STOPS, stall_seconds: float = EXIT_SECONDS + STALL_SECONDS
) -> Line:
    """SIGTERM in the middle of batches, the last two while the database does not answer."""

    async def stop(state: Run, number: int) -> None:
        worker = state.workers[number % len(state.workers)]
        await worker.until_ready()
        since = time.monotonic()
        await state.gone(worker, await state.kill(worker, signal.SIGTERM), since)

    async def fault(state: Run) -> None:
        for number in range(times - 2):
            await state.share((number + 1) / (times + 1))
            await stop(state, number)
        for worker in state.workers:
            await worker.until_ready()
        await state.share(1 - 2 / (times + 1))
        async with database_away(state):
            await asyncio.sleep(1.5)
            since = time.monotonic()
            pids = [(worker, await state.kill(worker, signal.SIGTERM)) for worker in state.workers]
            for worker, pid in pids:
                await state.gone(worker, pid, since)

    return await run(
        place,
        f"3 SIGTERM, {times} times",
        messages=messages,
        per_second=50.0,
        fault=fault,
        bar=Bar(stall_seconds, since="the database is back", exit_seconds=EXIT_SECONDS),
        say=say,
    )
