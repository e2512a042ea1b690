"""The demo's broker: librdkafka's mock cluster in a child process, in memory, bounded, gone when it ends.

Real TCP on 127.0.0.1 for any Kafka client, from the confluent-kafka wheel alone. It keeps 5 MiB or 100,000 records
a partition and silently drops older ones, knows no topic settings, and writes nothing to disk: for trying out, and
for error codes in tests, never a store. librdkafka marks the interface experimental; it is bound here and nowhere else.

As a process: `python -m stream.embedded` prints one JSON line, {"kafka": "127.0.0.1:PORT", "topics": N}, once it
listens, and ends on SIGTERM, Ctrl-C, or when the process that started it is gone. With `--control` it reads one JSON
command a line from stdin and answers each with one JSON line.
"""

from __future__ import annotations

import argparse
import ctypes
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

from stream.settings import Settings
from stream.topics import topics

log = logging.getLogger(__name__)

REBALANCE_DELAY_MILLISECONDS = 100
"""A group waits this long for more members; librdkafka's own 3 s would stand before every demo's first record."""
LOOK_SECONDS = 0.5
"""How often the child looks whether its parent still lives."""
ONLY_BROKER = 1


class EmbeddedBroker:
    """The mock cluster as its starter sees it: start, stop, and the faults a test may ask for.

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


class MockCluster:
    """librdkafka's mock cluster in this process, through ctypes; one broker."""

    def __init__(self) -> None:
        self._library = _librdkafka()
        message = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        # At its default of 6 the client that holds the cluster warns that it has no server to connect to: it needs none.
        self._library.rd_kafka_conf_set(settings, b"log_level", b"4", message, len(message))
        self._client = self._library.rd_kafka_new(0, settings, message, len(message))
        if not self._client:
            raise RuntimeError(f"librdkafka cannot make a client: {message.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise RuntimeError("librdkafka cannot make its mock cluster: is 127.0.0.1 usable?")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, REBALANCE_DELAY_MILLISECONDS)

    @property
    def bootstrap(self) -> str:
        """The address clients are given, HOST:PORT."""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def obey(self, command: dict[str, Any]) -> None:
        """Do what one line of the control channel asks. Raises ValueError, KeyError or RuntimeError."""
        library, cluster = self._library, self._cluster
        match command["do"]:
            case "topic":
                self._check(
                    library.rd_kafka_mock_topic_create(cluster, command["name"].encode(), command["partitions"], 1)
                )
            case "errors":
                codes = command["codes"]
                array = (ctypes.c_int * len(codes))(*codes)
                library.rd_kafka_mock_push_request_errors_array(cluster, command["api_key"], len(codes), array)
            case "clear":
                library.rd_kafka_mock_clear_request_errors(cluster, command["api_key"])
            case "down":
                self._check(library.rd_kafka_mock_broker_set_down(cluster, ONLY_BROKER))
            case "up":
                self._check(library.rd_kafka_mock_broker_set_up(cluster, ONLY_BROKER))
            case "rtt":
                self._check(library.rd_kafka_mock_broker_set_rtt(cluster, ONLY_BROKER, command["milliseconds"]))
            case other:
                raise ValueError(f"unknown command {other!r}; there are topic, errors, clear, down, up, rtt")

    def _check(self, code: int) -> None:
        if code:
            raise RuntimeError(self._library.rd_kafka_err2str(code).decode())


def _librdkafka() -> ctypes.CDLL:
    """The librdkafka inside the confluent-kafka wheel, with the argument types of what we call."""
    try:
        import confluent_kafka
    except ImportError:
        raise RuntimeError(
            "the embedded broker needs the package confluent-kafka; install tonewatch[embedded], "
            "or set TONEWATCH_KAFKA to a Kafka of yours"
        ) from None
    package = Path(confluent_kafka.__file__).parent
    # auditwheel puts it beside the package, delocate (macOS) into it.
    found = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not found:
        raise RuntimeError(
            f"no librdkafka lies beside {package.name}: it was not installed from a wheel; "
            "install the wheel, or set TONEWATCH_KAFKA to a Kafka of yours"
        )
    library = ctypes.CDLL(str(found[0]))
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (handle, []),
        "rd_kafka_conf_set": (number, [handle, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (handle, [number, handle, text, ctypes.c_size_t]),
        "rd_kafka_err2str": (text, [number]),
        "rd_kafka_mock_cluster_new": (handle, [handle, number]),
        "rd_kafka_mock_cluster_bootstraps": (text, [handle]),
        "rd_kafka_mock_topic_create": (number, [handle, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [handle, ctypes.c_int32]),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [handle, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)],
        ),
        "rd_kafka_mock_clear_request_errors": (None, [handle, ctypes.c_int16]),
        "rd_kafka_mock_broker_set_down": (number, [handle, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (number, [handle, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (number, [handle, ctypes.c_int32, number]),
    }
    for name, (returns, takes) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = returns, takes
    return library


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the child process."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="python -m stream.embedded", description=__doc__.splitlines()[0])
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
    print(ready, flush=True)
    if options.ready_file:
        # Whole or not there: whoever waits for the file reads it at once.
        beside = options.ready_file.with_suffix(".part")
        beside.write_text(ready + "\n", encoding="utf-8")
        beside.replace(options.ready_file)
    _serve(cluster, parent, sys.stdin.buffer.raw if options.control else None)
    return 0


def _serve(cluster: MockCluster, parent: int, control: Any) -> None:
    """Obey `control` until it ends or `parent` is gone; librdkafka serves clients in threads of its own."""
    pending = b""
    # A changed parent id means that we were handed to init. Looking costs nothing and, unlike prctl's death signal,
    # does not take the end of the *thread* that started us for the end of the process.
    while os.getppid() == parent:
        readable, _, _ = select.select([control] if control else [], [], [], LOOK_SECONDS)
        if not readable:
            continue
        data = os.read(control.fileno(), 65536)
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
