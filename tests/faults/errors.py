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
ERRORS_AT_ONCE = 3
HEARTBEAT, REBALANCING = 12, 27
ROUNDS = 4
APART_SECONDS = 5.0
"""Between faults, so that each is answered for by its own stall: a join on the mock takes the session's length."""


async def error_codes(place: Place, messages: int, say: Say) -> Line:
    """Each API in turn answers a few requests with each of its errors."""
    broker = place.embedded
    assert broker is not None, "only the embedded broker can be told to answer so"
    chance = random.Random(8)

    async def fault(state: Run) -> None:
        steps = [(name, *ERRORS[name]) for _ in range(ROUNDS) for name in ERRORS]
        for number, (name, key, codes) in enumerate(steps):
            await state.share((number + 0.5) / len(steps))
            answers = [chance.choice(codes) for _ in range(ERRORS_AT_ONCE)]
            state.note(f"{name} answers {answers}")
            await asyncio.to_thread(broker.inject_errors, key, answers)
            if name == "JoinGroup":  # nobody joins without a reason
                await asyncio.to_thread(broker.inject_errors, HEARTBEAT, [REBALANCING])
            state.faults += len(answers)

    return await run(
        place,
        "8 error codes",
        messages=messages,
        per_second=messages / (ROUNDS * len(ERRORS) * APART_SECONDS),
        fault=fault,
        bar=Bar(place.settings.session_timeout_seconds + AFTER_SESSION_SECONDS),
        say=say,
    )
