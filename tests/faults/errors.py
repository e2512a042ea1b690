"""Kind 8: the broker answers with error codes instead of doing what it is asked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

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
HEARTBEAT, REBALANCING = 12, 27
ROUNDS = 2
AT_ONCE = 3
APART_SECONDS = 5.0
"""Between faults, so that each is answered for by its own stall: a join on the mock takes the session's length."""

Answers = tuple[str, Sequence[int]]
"""Name of an API, and the errors that its next requests are answered with."""


async def error_codes(place: Place, messages: int, say: Say) -> Line:
    """Each error of each API, one at a time."""
    steps = [(name, (code,)) for name, (_, codes) in ERRORS.items() for code in codes] * ROUNDS
    return await _answered_with(place, "8 error codes", messages, say, steps, joins=1)


async def errors_at_once(place: Place, messages: int, say: Say) -> Line:
    """Each API answers several requests with errors, whoever asks: one rebalance follows another."""
    chance = random.Random(8)
    steps = [(name, [chance.choice(ERRORS[name][1]) for _ in range(AT_ONCE)]) for name in ERRORS] * ROUNDS
    return await _answered_with(place, f"8 error codes, {AT_ONCE} at once", messages, say, steps, joins=AT_ONCE)


async def _answered_with(
    place: Place, kind: str, messages: int, say: Say, steps: Sequence[Answers], *, joins: int
) -> Line:
    """Take the steps in turn; every error may make the group join anew, `joins` times in a row at a step."""
    broker = place.embedded
    assert broker is not None, "only the embedded broker can be told to answer so"

    async def fault(state: Run) -> None:
        for number, (name, answers) in enumerate(steps):
            await state.share((number + 0.5) / len(steps))
            state.note(f"{name} answers {list(answers)}")
            await asyncio.to_thread(broker.inject_errors, ERRORS[name][0], answers)
            if name == "JoinGroup":  # nobody joins without a reason
                await asyncio.to_thread(broker.inject_errors, HEARTBEAT, [REBALANCING])
            state.faults += len(answers)

    apart_seconds = APART_SECONDS * joins
    return await run(
        place,
        kind,
        messages=messages,
        per_second=messages / (len(steps) * apart_seconds),
        fault=fault,
        bar=Bar(place.settings.session_timeout_seconds * joins + AFTER_SESSION_SECONDS),
        say=say,
    )
