"""The demo's broker: librdkafka's mock cluster in a child process, in memory, bounded, gone when it ends."""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream.mock_cluster import MockCluster
from stream.settings import Settings
from stream.topics import topics

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often the child looks whether its parent still lives."""


class EmbeddedBroker:
    """The mock cluster as its starter sees it: start, stop, and the faults a test may ask for.

    Any Kafka client can use it, over TCP on 127.0.0.1. It keeps 5 MiB or 100,000 records a partition and silently
    drops older ones, knows no topic settings and writes nothing to disk: for trying out, and for error codes in tests.
    `topics_to_make` are (name, partitions). The methods block for a few milliseconds each.
    """

    def __init__(self, topics_to_make: Iterable[tuple[str, int]] = ()) -> None:
        self._topics = list(topics_to_make)
        self._child: subprocess.Popen[str] | None = None
        self._one_at_a_time = threading.Lock()
        self.bootstrap = ""

    @classmethod
    def for_settings(cls, settings: Settings) -> Self:
        """A broker with all topics of `stream.topics`."""
        return cls((topic.name, topic.partitions) for topic in topics(settings))

    def start(self) -> str:
        """Start the child; its bootstrap server, HOST:PORT. Raises RuntimeError with the child's words if it dies."""
        made = [argument for name, partitions in self._topics for argument in ("--topic", f"{name}:{partitions}")]
        self._child = subprocess.Popen(
            [sys.executable, "-m", "stream.embedded", "--control", "--no-default-topics", *made],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C in the terminal goes to the whole foreground group; our parent decides when the broker ends.
            start_new_session=True,
        )
        self.bootstrap = str(self._answer()["kafka"])
        return self.bootstrap

    @property
    def pid(self) -> int:
        """The child's process id, for tests that kill it."""
        return self._running().pid

    def create_topics(self, made: Iterable[tuple[str, int]]) -> None:
        """Add topics, as (name, partitions), to the running broker."""
        for name, partitions in made:
            self._ask(do="topic", name=name, partitions=partitions)

    def inject_errors(self, api_key: int, codes: Sequence[int]) -> None:
        """Answer the next len(codes) requests of `api_key` (0 Produce, 1 Fetch, 8 OffsetCommit, …) with these errors.

        A code of 0 lets that request through. Both numbers are Kafka's own.
        """
        self._ask(do="errors", api_key=api_key, codes=list(codes))

    def clear_errors(self, api_key: int) -> None:
        """Forget the errors of `api_key` that no request has met yet."""
        self._ask(do="clear", api_key=api_key)

    def broker_down(self) -> None:
        """Close every connection and refuse new ones; records and offsets stay."""
        self._ask(do="down")

    def broker_up(self) -> None:
        """Listen again, on the same port."""
        self._ask(do="up")

    def round_trip_seconds(self, seconds: float) -> None:
        """Delay every answer by this long."""
        self._ask(do="rtt", milliseconds=int(seconds * 1000))

    def stop(self) -> None:
        """End the child; does nothing where there is none."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None:
            raise RuntimeError("the embedded broker is not running; call start() first")
        return self._child

    def _ask(self, **command: Any) -> None:
        with self._one_at_a_time:
            pipe = self._running().stdin
            assert pipe is not None
            pipe.write(json.dumps(command) + "\n")
            pipe.flush()
            self._answer()

    def _answer(self) -> dict[str, Any]:
        pipe = self._running().stdout
        assert pipe is not None
        line = pipe.readline()
        if not line:
            raise RuntimeError(f"the embedded broker ended with exit code {self._running().wait()}; see its log above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the embedded broker refuses: {answer['error']}")
        return answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the child process.

    Prints one JSON line, {"kafka": "127.0.0.1:PORT", "topics": N}, once it listens; ends on SIGTERM, on Ctrl-C, or
    when the process that started it is gone. With `--control` each line on stdin is a JSON command for
    `MockCluster.obey`, answered by one JSON line, and the end of stdin is the end of the broker.
    """
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="python -m stream.embedded", description=__doc__)
    parser.add_argument("--topic", action="append", default=[], metavar="NAME:PARTITIONS", help="make this topic too")
    parser.add_argument("--no-default-topics", action="store_true", help="not the topics of TONEWATCH_*")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="write the ready line there as well")
    parser.add_argument("--control", action="store_true", help="obey JSON commands on stdin; its end is ours")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s embedded broker: %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

    made = [] if options.no_default_topics else [(topic.name, topic.partitions) for topic in topics(Settings())]
    for pair in options.topic:
        name, _, partitions = pair.rpartition(":")
        if not name or not partitions.isdigit():
            parser.error(f"--topic {pair}: write NAME:PARTITIONS")
        made.append((name, int(partitions)))

    cluster = MockCluster()
    for name, count in made:
        cluster.obey({"do": "topic", "name": name, "partitions": count})
    log.info(
        "listening on %s with %d topics, in memory only: at most 5 MiB or 100,000 records a partition, "
        "all gone when this process ends",
        cluster.bootstrap,
        len(made),
    )
    ready = json.dumps({"kafka": cluster.bootstrap, "topics": len(made)})
    if options.ready_file:
        # Whole or not there: whoever waits for the file reads it at once. Before the line, so that who has read the
        # line finds the file.
        beside = options.ready_file.with_suffix(".part")
        beside.write_text(ready + "\n", encoding="utf-8")
        beside.replace(options.ready_file)
    print(ready, flush=True)
    _serve(cluster, parent, sys.stdin.fileno() if options.control else None)
    return 0


def _serve(cluster: MockCluster, parent: int, control: int | None) -> None:
    """Obey `control` until it ends or `parent` is gone; librdkafka serves clients in threads of its own."""
    pending = b""
    # A changed parent id means that we were handed to init. Looking costs nothing and, unlike prctl's death signal,
    # does not take the end of the *thread* that started us for the end of the process.
    while os.getppid() == parent:
        readable, _, _ = select.select([] if control is None else [control], [], [], LOOK_SECONDS)
        if control is None or not readable:
            continue
        data = os.read(control, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            try:
                cluster.obey(json.loads(line))
                answer: dict[str, Any] = {"ok": True}
            except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
