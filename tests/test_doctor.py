import asyncio
import contextlib
import logging
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from alerts.config import DatabaseConfig
from alerts.store import database, schema
from stream import doctor
from stream.kafka_client import admin_client, connection
from stream.settings import Settings
from stream.topics import topics
from tests.services import free_port


async def answers(settings):
    return {check.name: check for check in await doctor.examine(settings)}


async def upgrade(url):
    engine = database.open_engine(DatabaseConfig(url))
    await schema.upgrade(engine)
    await engine.dispose()


@contextlib.asynccontextmanager
async def traffic(settings):
    """A record on `call.events` every 50 ms."""

    async def publish(producer):
        while True:
            await producer.send_and_wait(settings.topic_prefix + "call.events", b"{}")
            await asyncio.sleep(0.05)

    async with AIOKafkaProducer(**connection(settings)) as producer:
        task = asyncio.create_task(publish(producer))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_whole_house_is_well(broker_settings, database_url):
    await upgrade(database_url)
    checks = await answers(broker_settings.model_copy(update={"database": database_url}))
    assert {name: check.found for name, check in checks.items() if not check.ok} == {}
    assert list(checks) == ["versions", "Kafka", "topics", "clock", "database", "disk", "holds"]
    assert "with 4 partitions" in checks["topics"].found


async def test_stopped_broker_is_one_line_with_a_remedy_and_no_log(caplog, tmp_path):
    port = free_port()
    settings = Settings(kafka=f"127.0.0.1:{port}", database=f"sqlite:///{tmp_path}/a.sqlite3")
    started = time.monotonic()
    with caplog.at_level(logging.DEBUG, "aiokafka"):
        checks = await answers(settings)
    assert time.monotonic() - started < 5
    check = checks["Kafka"]
    assert not check.ok
    assert check.found == f"127.0.0.1:{port}: connection refused"
    assert "start Kafka" in check.remedy and "TONEWATCH_KAFKA" in check.remedy
    assert "\n" not in check.found + check.remedy
    assert "topics" not in checks and "clock" not in checks, "one cause, one line"
    assert [record for record in caplog.records if record.name.startswith("aiokafka")] == []


async def test_broker_that_accepts_and_says_nothing():
    async def hold(reader, writer):
        try:
            await reader.read()
        finally:  # the test may end sooner, and would leave the connection to a later one's garbage collection
            writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        started = time.monotonic()
        check = (await answers(Settings(kafka=f"127.0.0.1:{port}")))["Kafka"]
        assert time.monotonic() - started < 8
    assert not check.ok
    assert "does not answer as PLAINTEXT" in check.found


async def test_login_that_the_listener_does_not_know(kafka):
    settings = Settings(
        kafka=kafka.bootstrap,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_username="a",
        kafka_password="hidden-word",
    )
    check = (await answers(settings))["Kafka"]
    assert not check.ok
    assert "TONEWATCH_KAFKA_SECURITY_PROTOCOL" in check.remedy
    assert "hidden-word" not in check.found + check.remedy


async def test_missing_topics_are_named(kafka):
    check = (await answers(Settings(kafka=kafka.bootstrap, topic_prefix="nowhere.")))["topics"]
    assert not check.ok
    assert "nowhere.audio.frames" in check.found
    assert check.remedy == "tonewatch topics apply"


async def test_audio_topics_of_different_width(kafka):
    settings = Settings(kafka=kafka.bootstrap, topic_prefix="uneven.", partitions=2)
    client = admin_client(settings)
    await client.start()
    await client.create_topics(
        [
            NewTopic(t.name, 3 if t.noun == "call.events" else t.partitions, 1, topic_configs=dict(t.configs))
            for t in topics(settings)
        ]
    )
    await client.close()
    check = (await answers(settings))["topics"]
    assert not check.ok
    assert "uneven.audio.frames has 2" in check.found and "uneven.call.events has 3" in check.found
    assert "to 3" in check.remedy


async def test_clocks_that_agree(kafka_settings):
    async with traffic(kafka_settings):
        check = (await answers(kafka_settings))["clock"]
    assert check.ok
    assert "agree" in check.found


async def test_no_record_no_clock(kafka_settings):
    check = (await answers(kafka_settings))["clock"]
    assert check.ok
    assert "not compared: no record arrived" in check.found


@pytest.mark.parametrize(("ours", "says"), [(-30.0, "ahead of"), (30.0, "behind")])
async def test_clocks_apart(kafka_settings, monkeypatch, ours, says):
    monkeypatch.setattr(doctor, "_now_seconds", lambda: time.time() + ours)
    async with traffic(kafka_settings):
        check = (await answers(kafka_settings))["clock"]
    assert not check.ok
    apart = float(check.found.split(" is ")[1].split()[0])
    assert says in check.found
    # A record's arrival is known to within the second seek (at most ANSWER_SECONDS) and the time to look.
    assert 30 - doctor.ANSWER_SECONDS - doctor.CLOCK_SECONDS <= apart <= 30
    assert "NTP" in check.remedy


async def test_database_without_tables(postgres_url):
    check = (await answers(Settings(kafka="127.0.0.1:1", database=postgres_url)))["database"]
    assert not check.ok
    assert "has schema none" in check.found
    assert check.remedy == "tonewatch db upgrade"


async def test_sqlite_file_that_is_not_there_is_not_made(tmp_path):
    file = tmp_path / "new.sqlite3"
    check = (await answers(Settings(kafka="127.0.0.1:1", database=f"sqlite:///{file}")))["database"]
    assert not check.ok
    assert not file.exists()


async def test_database_that_is_away():
    url = f"postgresql://tone@127.0.0.1:{free_port()}/x"
    check = (await answers(Settings(kafka="127.0.0.1:1", database=url, database_password="hidden-word")))["database"]
    assert not check.ok
    assert "refused" in check.found
    assert "hidden-word" not in check.found + check.remedy


async def test_other_faust_is_refused_unless_allowed(monkeypatch):
    monkeypatch.setattr(doctor, "FAUST_VERSION", "0.11.1")
    assert not (await answers(Settings(kafka="127.0.0.1:1")))["versions"].ok
    assert (await answers(Settings(kafka="127.0.0.1:1", allow_other_faust=True)))["versions"].ok
