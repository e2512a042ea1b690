"""How much later than a plain Faust echo a verdict is, at 1,000 messages a second on the same broker, in one run."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from house import services
from lines import Line, conclude
from verdict_latency import beside_echo, measure, of_rounds, rounds_given

from stream.settings import Settings
from tests.workers import workers

RATE = 1000
LATER_BAR_MS = 10.0
"""Of the 99th percentiles."""


async def alone(settings: Settings, folder: Path, seconds: float) -> list[float]:
    """A chat worker and nothing beside it."""
    async with workers(settings, folder, chat=1):
        return await asyncio.to_thread(measure, settings, seconds, RATE, "chat.messages", "chat.verdicts")


def main() -> int:
    given = rounds_given(__doc__ or "")
    lines: list[Line] = []
    with services() as each:
        for database in ("sqlite", "postgres"):
            ours = partial(alone, folder=each[2], seconds=given.seconds)
            took, echoed = beside_echo(ours, each, database, RATE, given)
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                mine, theirs = of_rounds(took, share), of_rounds(echoed, share)
                bar = LATER_BAR_MS if name == "p99" else None
                lines += [
                    Line(f"{database}: verdict {name}", mine, "ms"),
                    Line(f"{database}: plain Faust echo {name}", theirs, "ms"),
                    Line(f"{database}: later than the echo, {name}", mine - theirs, "ms", bar),
                ]
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
