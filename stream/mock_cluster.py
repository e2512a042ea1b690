"""librdkafka's mock cluster, bound by ctypes to the library that the confluent-kafka wheel brings."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

REBALANCE_DELAY_MILLISECONDS = 100
"""A group waits this long for more members; librdkafka's own 3 s would stand before every demo's first record."""
ONLY_BROKER = 1


class MockCluster:
    """A Kafka of one broker inside this process, served by threads of librdkafka until the process ends.

    librdkafka marks these functions experimental: they are named in this file and nowhere else.
    """

    def __init__(self) -> None:
        self._library = _librdkafka()
        message = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        # At the default of 6 the client that holds the cluster warns that it has no server to connect to.
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
