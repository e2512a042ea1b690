"""What the benchmarks of the running house share: services of their own, its processes, and how bars are printed."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stream import kafka_admin
from stream.settings import Settings
from tests.services import end_guards, run_apart
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer


@dataclass(frozen=True)
class Line:
    """One figure beside its bar."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    """None where it is only told, a peer's figure for instance."""

    @property
    def holds(self) -> bool:
        return self.bar is None or self.value <= self.bar


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON")
    return parser


def conclude(lines: Sequence[Line], file: Path | None) -> int:
    """Print every line and return the exit status: 1 where a bar is missed."""
    width = max(len(line.what) for line in lines)
    for line in lines:
        bar = "" if line.bar is None else f"  bar {line.bar:g}  {'holds' if line.holds else 'MISSED'}"
        print(f"{line.what:<{width}}  {line.value:9.1f} {line.unit}{bar}")
    if file is not None:
        file.write_text(json.dumps([asdict(line) | {"holds": line.holds} for line in lines], indent=1))
    return 0 if all(line.holds for line in lines) else 1


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
        yield kafka, postgres, folder


def with_topics(settings: Settings) -> Settings:
    run_apart(kafka_admin.apply(settings))
    return settings
