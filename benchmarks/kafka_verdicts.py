"""How much later than a plain Faust echo a verdict is, at 1,000 messages a second on the same broker, in one run."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from statistics import median

from house import services
from lines import Line, conclude
from verdict_latency import beside_echo, measure, of_rounds, percentile, rounds_given

from stream.settings import Settings
from tests.workers import workers

RATE = 1000
LATER_BAR_MS = 10.0
"""Of the 99th percentiles: the median of the rounds' differences. A round and its echo are of the same minute, and a
machine's speed changes by the minute; the medians of ours and of the echoes were of different ones."""
ROUNDS = 5


async def alone(settings: Settings, folder: Path, seconds: float) -> list[float]:
    """A chat worker and nothing beside it."""
    async with workers(settings, folder, chat=1):
        return await asyncio.to_thread(measure, settings, seconds, RATE, "chat.messages", "chat.verdicts")


def main() -> int:
    given = rounds_given(__doc__ or "", ROUNDS)
    lines: list[Line] = []
    with services() as each:
        for database in ("sqlite", "postgres"):
            ours = partial(alone, folder=each[2], seconds=given.seconds)
            took, echoed = beside_echo(ours, each, database, RATE, given)
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                rounds = zip(took, echoed, strict=True)
                later = [percentile(verdicts, share) - percentile(echoes, share) for verdicts, echoes in rounds]
                lines += [
                    Line(f"{database}: verdict {name}", of_rounds(took, share), "ms"),
                    Line(f"{database}: plain Faust echo {name}", of_rounds(echoed, share), "ms"),
                    Line(
                        f"{database}: later than the echo, {name}",
                        median(later),
                        "ms",
                        LATER_BAR_MS if name == "p99" else None,
                        note=f" of {' '.join(f'{ms:.1f}' for ms in later)}",
                    ),
                ]
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
