"""How much later than a plain Faust echo a verdict is, at 1,000 messages a second on the same broker, in one run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from house import new_database, services, with_topics
from lines import Line, arguments, conclude
from verdict_latency import echo, measure, of_rounds

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
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the rate is held")
    parser.add_argument("--rounds", type=int, default=3, help="how often, ours and the echo in turn; medians are told")
    given = parser.parse_args()
    lines: list[Line] = []
    with services() as (kafka, postgres, folder):
        for database in ("sqlite", "postgres"):
            took, echoed = [], []
            for turn in range(given.rounds):
                print(f"{database} at {RATE}/s, round {turn + 1} of {given.rounds} …", file=sys.stderr)
                url = new_database(database, postgres, folder, f"bench-{turn}")
                ours = Settings(kafka=kafka.bootstrap, topic_prefix=f"k{database}-{turn}.", partitions=8, database=url)
                peers = Settings(kafka=kafka.bootstrap, topic_prefix=f"e{database}-{turn}.", partitions=8)
                took.append(asyncio.run(alone(with_topics(ours), folder, given.seconds)))
                echoed.append(asyncio.run(echo(with_topics(peers), folder, given.seconds, RATE)))
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
