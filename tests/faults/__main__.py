"""`python -m tests.faults`: every kind of fault on its brokers and databases, a line each; exit code 1 if one fails."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from stream.embedded import EmbeddedBroker
from stream.kafka_client import let_followers_sync_first
from stream.settings import PREFIX, Settings
from tests import services
from tests.conftest import Broker
from tests.faults import errors, kills, outages, rebalances
from tests.faults.line import Line, head
from tests.faults.run import Place, Say
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer

OF_KILLS, OF_OTHERS = 5000, 2000
"""Messages of a run."""
EMBEDDED_SESSION_SECONDS = 3.0
SAY_SECONDS = 10.0
"""Where standard error is no terminal, progress is a line this often."""

Fault = Callable[[Place, int, Say], Awaitable[Line]]
# kind, what it does, broker, databases, messages
TABLE: tuple[tuple[str, Fault, str, tuple[str, ...], int], ...] = (
    ("1", kills.kills, "kafka", ("sqlite", "postgres"), OF_KILLS),
    ("2", kills.burst, "kafka", ("sqlite", "postgres"), OF_KILLS),
    ("3", kills.stops, "kafka", ("sqlite", "postgres"), OF_OTHERS),
    ("4", rebalances.joins, "kafka", ("postgres",), OF_OTHERS),
    ("5", rebalances.zombies, "kafka", ("postgres",), OF_OTHERS),
    ("6", outages.broker, "kafka", ("sqlite",), OF_OTHERS),
    ("6", outages.broker_absent, "kafka", ("sqlite",), OF_OTHERS),
    ("7", outages.database, "kafka", ("sqlite", "postgres"), OF_OTHERS),
    ("8", errors.error_codes, "embedded", ("sqlite",), OF_OTHERS),
    ("8", errors.errors_at_once, "embedded", ("sqlite",), OF_OTHERS),
)


class Services:
    """What the runs stand on, each started when first asked for."""

    def __init__(self, folder: Path, ends: ExitStack, session_timeout_seconds: float) -> None:
        self._folder = folder
        self._ends = ends
        self._session_timeout_seconds = session_timeout_seconds
        self._brokers: dict[str, KafkaServer | EmbeddedBroker] = {}
        self._postgres: PostgresServer | None = None

    def _broker(self, name: str) -> KafkaServer | EmbeddedBroker:
        if name not in self._brokers:
            server: KafkaServer | EmbeddedBroker
            if name == "kafka":
                (self._folder / "kafka").mkdir()
                server = KafkaServer(self._folder / "kafka")
            else:
                let_followers_sync_first()
                server = EmbeddedBroker()
            server.start()
            self._ends.callback(server.stop)
            self._brokers[name] = server
        return self._brokers[name]

    @contextmanager
    def place(self, broker: str, database: str, folder: Path) -> Iterator[Place]:
        """Topics and a database of this run's own."""
        server = self._broker(broker)
        url = f"sqlite:///{folder / 'tonewatch.sqlite3'}"
        if database == "postgres":
            if self._postgres is None:
                self._postgres = PostgresServer()
                self._postgres.start()
                self._ends.callback(self._postgres.stop)
            url = self._postgres.create_database()
        one = Broker(broker, server.bootstrap, server)
        # The mock lets every join wait for the session's length less a second, whoever is there already.
        session = EMBEDDED_SESSION_SECONDS if one.is_embedded else self._session_timeout_seconds
        settings: Settings = one.settings(database=url, session_timeout_seconds=session)
        yield Place(
            broker,
            database,
            settings,
            folder,
            kafka=server if isinstance(server, KafkaServer) else None,
            embedded=server if isinstance(server, EmbeddedBroker) else None,
            postgres=self._postgres if database == "postgres" else None,
        )
        one.forget(settings)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    kinds = sorted({kind for kind, *_ in TABLE})
    parser.add_argument("--only", nargs="+", choices=kinds, metavar="KIND", help=f"of {', '.join(kinds)}")
    parser.add_argument("--database", choices=("sqlite", "postgres"), help="only the lines on this one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there as well")
    parser.add_argument("--messages", type=int, help=f"a run (default: {OF_KILLS} for kinds 1 and 2, else {OF_OTHERS})")
    parser.add_argument("--session-timeout", type=float, default=10.0, help="of the workers, in seconds")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.CRITICAL)  # the clients' complaints about what we break
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # a TONEWATCH_KAFKA in the shell must not send the faults to somebody's cluster
    folder = Path(tempfile.mkdtemp(prefix="tonewatch-faults-"))
    lines: list[Line] = []
    print(head(), flush=True)
    with ExitStack() as ends:
        ends.callback(services.end_guards)
        stands = Services(folder, ends, options.session_timeout)
        for number, (kind, fault, broker, databases, messages) in enumerate(TABLE):
            for database in databases:
                if kind not in (options.only or kinds) or database != (options.database or database):
                    continue
                own = folder / f"{number}-{database}"
                own.mkdir()
                with stands.place(broker, database, own) as place:
                    line = asyncio.run(_one(partial(fault, place, options.messages or messages)))
                lines.append(line)
                print(line, flush=True)
                if not line.holds:
                    print(f"    what the workers said: {own}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([line.as_json for line in lines], indent=1) + "\n", encoding="utf-8")
    failed = [line for line in lines if not line.holds]
    ran = ", ".join(f"{name} {version}" for name, version in sorted(services.RAN.items()))
    print(f"{len(lines) - len(failed)} of {len(lines)} lines hold; really run: {ran}")
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


async def _one(fault: Callable[[Say], Awaitable[Line]]) -> Line:
    told = 0.0

    def say(progress: str) -> None:
        nonlocal told
        if sys.stderr.isatty():
            print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - told > SAY_SECONDS:
            told = time.monotonic()
            print(progress, file=sys.stderr, flush=True)

    line = await fault(say)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return line


if __name__ == "__main__":
    sys.exit(main())
