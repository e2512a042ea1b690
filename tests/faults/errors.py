"""Kind 8: the broker answers with error codes instead of doing what it is asked."""

from __future__ import annotations

import asyncio
import random

from tests.faults.line import Bar, Line
from tests.faults.rebalances import AFTER_SESSION_SECONDS
from tests.faults.run import Place, Run, Say, run

ERRORS = {
    # Kafka's own numbers: (API key, what it may answer)
    "Produce": (0, (6, 7, 19)),  # not the leader, timed out, too few replicas
    "Fetch": (1, (6, 3)),  # not the leader, unknown topic or partition
    "OffsetCommit": (8, (16, 22, 25, 27)),  # not the coordinator, old generation, unknown member, rebalancing
    "Heartbeat": (12, (25, 27)),
    "JoinGroup": (11, (15, 16, 25)),  # coordinator not there, not the coordinator, unknown member
}
ROUNDS = 8


async def error_codes(place: Place, messages: int, say: Say) -> Line:
    """Each API in turn answers a few requests with each of its errors."""
    broker = place.embedded
    assert broker is not None, "only the embedded broker can be told to answer so"
    chance = random.Random(8)

    async def fault(state: Run) -> None:
        for number in range(ROUNDS):
            await state.share((number + 0.5) / ROUNDS)
            for key, codes in ERRORS.values():
                answers = [chance.choice(codes) for _ in range(3)]
                await asyncio.to_thread(broker.inject_errors, key, answers)
                state.faults += len(answers)
                await asyncio.sleep(0.5)

    return await run(
        place,
        "8 error codes",
        messages=messages,
        per_second=messages / 80,
        fault=fault,
        bar=Bar(place.settings.session_timeout_seconds + AFTER_SESSION_SECONDS),
        say=say,
    )
