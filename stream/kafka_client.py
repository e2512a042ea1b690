"""How every client of ours reaches Kafka: the settings turned into what aiokafka and Faust ask for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

from stream.settings import Settings
from stream.topics import LARGEST_REJECTED_BYTES

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

LARGEST_REQUEST_BYTES = LARGEST_REJECTED_BYTES + 1024 * 1024
"""`max_request_size` of our producers: the largest record a topic takes, and its envelope."""


FETCH_WAIT_MS = 50
"""How long a worker's empty fetch waits at Kafka, which ends it when something comes for one of its partitions.

Where some partitions have nothing new and others are still being worked on, aiokafka asks for the first ones alone, and
for the others only after that: with Faust's 1.5 s a backlog stood still for so long, again and again.
"""
EMBEDDED_FETCH_WAIT_MS = 20
"""An empty fetch of the mock broker waits its whole maximum and no produce wakes it."""


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """A context that checks the broker's certificate and name, or None where the settings ask for no TLS.

    Raises ValueError where the authority's file cannot be used, saying which one.
    """
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    file = settings.kafka_ca_file
    try:
        return ssl.create_default_context(cafile=str(file) if file else None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            f"TONEWATCH_KAFKA_CA_FILE names {file}, which is no PEM file we can read ({error.strerror or error}); "
            "write the path of the certificate authority's PEM file, or leave it empty for the system's own"
        ) from None


def connection(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for any client of aiokafka: servers, protocol, login, TLS.

    The values hold the password in the clear, as aiokafka wants it: hand them on, print them never.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": servers(settings),
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": tls_context(settings),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return arguments


def faust_connection(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for `faust.App`: `broker`, and `broker_credentials` where a login or TLS is asked for."""
    # Imported here: who only wants aiokafka (web, doctor, admin) need not wait a second for Faust.
    import faust

    arguments: dict[str, Any] = {"broker": ";".join(f"kafka://{server}" for server in servers(settings))}
    context = tls_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments["broker_credentials"] = faust.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_username,
            password=settings.kafka_password.get_secret_value(),
            ssl_context=context,
        )
    elif context is not None:
        arguments["broker_credentials"] = faust.SSLCredentials(context)
    return arguments


def servers(settings: Settings) -> list[str]:
    """The bootstrap servers as HOST:PORT. Raises ValueError where one has no port."""
    found = [server.strip() for server in settings.kafka.split(",") if server.strip()]
    for server in found:
        if not server.rpartition(":")[2].isdigit() or ":" not in server:
            raise ValueError(f"TONEWATCH_KAFKA has {server!r}; write HOST:PORT, several with commas between")
    if not found:
        raise ValueError("TONEWATCH_KAFKA is empty; write HOST:PORT, several with commas between")
    return found


REACH_SECONDS = 1.0


def is_reachable(settings: Settings) -> bool:
    """Whether one of the bootstrap servers takes a connection. Blocks, up to a second a server."""
    for server in servers(settings):
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS):
                return True
        except OSError:
            continue
    return False


def reader(settings: Settings, **more: Any) -> AIOKafkaConsumer:
    """A consumer that commits nothing, not started yet; assign it partitions yourself."""
    from aiokafka import AIOKafkaConsumer

    # The mock broker waits an empty fetch out; Kafka answers as soon as something is there.
    wait = {"fetch_max_wait_ms": EMBEDDED_FETCH_WAIT_MS} if settings.kafka_embedded else {}
    return AIOKafkaConsumer(
        enable_auto_commit=False, auto_offset_reset="latest", **connection(settings), **wait, **more
    )


def admin_client(settings: Settings, timeout_seconds: float = 30.0) -> AIOKafkaAdminClient:
    """An admin client that is not yet started: `await client.start()`, at the end `await client.close()`."""
    from aiokafka.admin import AIOKafkaAdminClient

    return AIOKafkaAdminClient(
        client_id="tonewatch-admin", request_timeout_ms=int(timeout_seconds * 1000), **connection(settings)
    )


FOLLOWERS_SYNC_SECONDS = 0.5
"""How long a group's leader lets the others go first on the mock cluster; they need one round trip."""


def let_followers_sync_first() -> None:
    """Make aiokafka's groups of two or more members work on the embedded broker; for this process, once is enough.

    librdkafka's mock answers a SyncGroup that comes after the leader's with INVALID_REQUEST, and aiokafka then never
    joins. Call it only where `settings.kafka_embedded` is set: on a real broker it would only cost half a second.
    """
    from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance

    as_it_was = CoordinatorGroupRebalance._on_join_leader
    if as_it_was.__name__ == "after_the_followers":
        return

    async def after_the_followers(self: Any, response: Any) -> Any:
        if len(response.members) > 1:
            await asyncio.sleep(FOLLOWERS_SYNC_SECONDS)
        return await as_it_was(self, response)

    CoordinatorGroupRebalance._on_join_leader = after_the_followers
