"""Kinds 1, 3 and 7 of `make faults` in short: nothing lost, nothing twice, whatever breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.settings import Settings
from tests.faults import kills, outages
from tests.faults.line import Line
from tests.faults.run import Place
from tests.services_kafka import KafkaServer
from tests.services_postgres import PostgresServer

SHARED_MACHINE_SECONDS = 15.0
"""The bar on a stall where other tests run beside this one; `make faults` has the promised ones."""


@pytest.fixture
def place(kafka: KafkaServer, kafka_settings: Settings, tmp_path: Path) -> Place:
    """Kafka 4 and SQLite."""
    settings = kafka_settings.model_copy(
        update={"database": f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}", "session_timeout_seconds": 6.0}
    )
    return Place("kafka", "sqlite", settings, tmp_path, kafka=kafka)


@pytest.fixture
def place_on_postgres(place: Place, postgres: PostgresServer, postgres_url: str) -> Place:
    settings = place.settings.model_copy(update={"database": postgres_url})
    return Place("kafka", "postgres", settings, place.folder, kafka=place.kafka, postgres=postgres)


def held(line: Line) -> bool:
    print(line)  # pytest shows it where the line fails
    return line.holds and line.faults > 0


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue("place" if request.param == "sqlite" else "place_on_postgres")
    return found


@pytest.mark.timeout(240)
async def test_ten_kills_under_two_thousand_messages_lose_and_repeat_nothing(either: Place) -> None:
    line = await kills.kills(
        either, 2000, lambda _: None, times=10, apart_seconds=2.0, stall_seconds=SHARED_MACHINE_SECONDS
    )
    assert held(line)
    assert line.to_be_blocked >= 400
    assert line.faults == 10


@pytest.mark.timeout(180)
async def test_a_worker_that_is_told_to_stop_loses_and_repeats_nothing(place: Place) -> None:
    assert held(await kills.stops(place, 400, lambda _: None, times=4, stall_seconds=SHARED_MACHINE_SECONDS))


@pytest.mark.timeout(180)
async def test_a_database_that_is_away_loses_and_repeats_nothing(place_on_postgres: Place) -> None:
    line = await outages.database(
        place_on_postgres, 500, lambda _: None, away_seconds=4.0, stall_seconds=SHARED_MACHINE_SECONDS
    )
    assert held(line)
