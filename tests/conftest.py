"""Fixtures: Apache Kafka 4, the embedded broker, PostgreSQL 18, Chromium; each started once, when first asked for."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stream import kafka_admin
from stream.embedded import EmbeddedBroker
from stream.kafka_client import admin_client, let_followers_sync_first
from stream.settings import PREFIX, Settings
from stream.topics import topics
from tests import services
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer

_prefixes = (f"t{number}." for number in itertools.count(1))


def pytest_sessionfinish(session: pytest.Session) -> None:
    # With --numprocesses each process has services of its own; what it ran is told by the one that prints.
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["ran"] = dict(services.RAN)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    services.RAN.update(getattr(node, "workeroutput", {}).get("ran", {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if services.RAN:
        ran = ", ".join(f"{name} {version}" for name, version in sorted(services.RAN.items()))
        terminalreporter.write_line(f"really run: {ran}")


@pytest.fixture(scope="session", autouse=True)
def _nothing_from_outside() -> Iterator[None]:
    # A TONEWATCH_KAFKA in the shell must not send the tests to somebody's cluster.
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    yield
    os.environ.update(kept)
    services.end_guards()


@dataclass(frozen=True)
class Broker:
    """One of the two brokers, as a test that runs on both takes it."""

    name: str
    bootstrap: str
    server: KafkaServer | EmbeddedBroker

    @property
    def is_embedded(self) -> bool:
        return self.name == "embedded"

    def settings(self, **more: Any) -> Settings:
        """Settings with a prefix of their own, of which all topics exist; 4 partitions unless `more` says so."""
        values: dict[str, Any] = {"partitions": 4, "topic_prefix": next(_prefixes), "session_timeout_seconds": 3}
        settings = Settings(kafka=self.bootstrap, kafka_embedded=self.is_embedded, **(values | more))
        if isinstance(self.server, EmbeddedBroker):
            self.server.create_topics((topic.name, topic.partitions) for topic in topics(settings))
        else:
            services.run_apart(kafka_admin.apply(settings))
        return settings

    def forget(self, settings: Settings) -> None:
        """Delete the topics of `settings`: what the tests leave would slow the broker down."""
        if not self.is_embedded:
            services.run_apart(_delete_topics(settings))


async def _delete_topics(settings: Settings) -> None:
    client = admin_client(settings)
    try:
        await client.start()
        await client.delete_topics([topic.name for topic in topics(settings)])
    finally:
        await client.close()


@pytest.fixture(scope="session")
def _kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kafka(_kafka_server: KafkaServer) -> Iterator[KafkaServer]:
    """Apache Kafka 4: `.bootstrap`, `.kill()`, `.restart()`, `.stop()`; runs again for the next test."""
    yield _kafka_server
    if not _kafka_server.running:
        _kafka_server.start()


@pytest.fixture(scope="session")
def _embedded_broker() -> Iterator[EmbeddedBroker]:
    let_followers_sync_first()
    with EmbeddedBroker() as broker:
        services.RAN["embedded broker"] = "librdkafka's mock cluster"
        yield broker


@pytest.fixture
def embedded(_embedded_broker: EmbeddedBroker) -> Iterator[EmbeddedBroker]:
    """The embedded broker, without topics; faults that a test leaves behind are taken back."""
    yield _embedded_broker
    _embedded_broker.broker_up()
    _embedded_broker.round_trip_seconds(0)
    for api_key in range(40):
        _embedded_broker.clear_errors(api_key)


@pytest.fixture(params=["kafka", "embedded"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Both brokers, one after the other."""
    server = request.getfixturevalue(request.param)
    return Broker(request.param, server.bootstrap, server)


@pytest.fixture
def broker_settings(broker: Broker) -> Iterator[Settings]:
    """Settings for either broker, all topics made under a prefix of this test's own."""
    settings = broker.settings()
    yield settings
    broker.forget(settings)


@pytest.fixture
def kafka_settings(kafka: KafkaServer) -> Iterator[Settings]:
    """Settings for Apache Kafka, all topics made under a prefix of this test's own."""
    broker = Broker("kafka", kafka.bootstrap, kafka)
    settings = broker.settings()
    yield settings
    if kafka.running:
        broker.forget(settings)


@pytest.fixture
def embedded_settings(embedded: EmbeddedBroker) -> Settings:
    """Settings for the embedded broker, all topics made under a prefix of this test's own."""
    return Broker("embedded", embedded.bootstrap, embedded).settings()


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres(_postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """PostgreSQL 18: `.create_database()`, `.kill()`, `.restart()`; runs again for the next test."""
    yield _postgres_server
    if not _postgres_server.running:
        _postgres_server.start()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    url = postgres.create_database()
    yield url
    if postgres.running:
        postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on SQLite and on PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for Playwright's `executable_path`."""
    on_path = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    of_playwright = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    for path in (*on_path, *map(str, of_playwright)):
        if path:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            services.RAN["Chromium"] = next(word for word in said.split() if word[0].isdigit())
            return path
    services.missing("There is no Chromium.", "apt-get install -y chromium fonts-noto-cjk")
