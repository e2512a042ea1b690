"""How long after it was added a phrase is let through, at 100 messages a second: on the topic and over HTTP."""

from __future__ import annotations

import asyncio
import sys

from house import services, with_topics
from lines import Line, arguments, conclude

from stream.settings import Settings
from tests.test_policy_reload import SECONDS, add_under_load


def main() -> int:
    given = arguments(__doc__ or "").parse_args()
    lines: list[Line] = []
    with services() as (kafka, postgres, folder):
        for database, url in (
            ("sqlite", f"sqlite:///{folder}/house.sqlite3"),
            ("postgres", postgres.create_database()),
        ):
            here = folder / database
            here.mkdir()
            settings = Settings(kafka=kafka.bootstrap, topic_prefix=f"{database}.", partitions=8, database=url)
            print(f"{database} …", file=sys.stderr)
            told = asyncio.run(add_under_load(with_topics(settings), here))
            for where, seconds in zip(("chat worker", "HTTP"), told.seconds(), strict=True):
                lines.append(Line(f"{database}: in force, {where}", seconds, "s", SECONDS))
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
