"""What the benchmarks of the running house share: services of their own, and topics on them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stream import kafka_admin
from stream.settings import Settings
from tests.services import end_guards, run_apart
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer


@contextmanager
def services() -> Iterator[tuple[KafkaServer, PostgresServer, Path]]:
    """Kafka 4 and PostgreSQL on free ports, and an empty folder; all gone at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tonewatch-bench-")))
        (folder / "kafka").mkdir()
        kafka, postgres = KafkaServer(folder / "kafka"), PostgresServer()
        stack.callback(end_guards)
        kafka.start()
        stack.callback(kafka.stop)
        postgres.start()
        stack.callback(postgres.stop)
        # What others wrote just before, an installation, say, reaches the disk now: or else the kernel writes it in
        # bursts beside what is measured, and every fsync waits. After a copy of 1.2 GB the verdicts' p99 was 53 to
        # 181 ms in ten runs without this, 7 to 14 ms in four with it.
        os.sync()
        yield kafka, postgres, folder


def new_database(kind: str, postgres: PostgresServer, folder: Path, name: str = "bench") -> str:
    """Return the URL of an empty database of `kind`, sqlite or postgres."""
    return postgres.create_database() if kind == "postgres" else f"sqlite:///{folder}/{name}.sqlite3"


def with_topics(settings: Settings) -> Settings:
    run_apart(kafka_admin.apply(settings))
    return settings
