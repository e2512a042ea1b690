"""`tonewatch doctor`: is what Tonewatch stands on there and as it should be, and if not, what to do."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from alerts.config import DatabaseConfig
from alerts.store.database import open_engine
from alerts.store.holds import what_came
from alerts.store.schema import schema_state
from stream import kafka_admin
from stream.check import Check, in_one_line
from stream.kafka_client import admin_client, connection, servers
from stream.rejects import held
from stream.settings import Settings
from stream.topics import AUDIO_WORKER_INPUTS, INPUTS, topic_name, topics

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

REACH_SECONDS = 2.0
"""A broker that takes longer to accept a connection would stall every worker."""
ANSWER_SECONDS = 4.0
CLOCK_SECONDS = 1.5
"""How long we look for a record that arrives just now."""
CLOCK_APART_SECONDS = 1.0
"""A fifth of the audio staleness budget: at five seconds a worker would skip all audio as stale."""
LEAST_FREE_BYTES = 1024**3
FAUST_VERSION = "0.15.3"
"""The version whose losses are known and avoided."""


_now_seconds = time.time
"""Our clock as it is compared with Kafka's; deadlines go by the monotonic one."""


async def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which to mend them; ends within about ten seconds, raises nothing expected."""
    checks = [_versions(settings)]
    with _quiet_clients():
        reached = await _kafka(settings)
        checks.append(reached)
        if reached.ok:
            checks += [await _topics(settings), await _clock(settings)]
    checks += [await _database(settings), _disk(settings)]
    if checks[-2].ok:
        checks.append(await _holds(settings))
    return checks


def _versions(settings: Settings) -> Check:
    name = "versions"
    try:
        faust = version("faust-streaming")
    except PackageNotFoundError:
        return Check(name, False, "faust-streaming is not installed", f"pip install faust-streaming=={FAUST_VERSION}")
    found = f"faust-streaming {faust}, aiokafka {version('aiokafka')}, tonewatch {version('tonewatch')}"
    if faust == FAUST_VERSION or settings.allow_other_faust:
        return Check(name, True, found)
    return Check(
        name,
        False,
        found,
        f"pip install faust-streaming=={FAUST_VERSION}, or set TONEWATCH_ALLOW_OTHER_FAUST=1 and lose the promises",
    )


async def _kafka(settings: Settings) -> Check:
    """Can we connect, log in and get an answer."""
    name = "Kafka"
    try:
        refused = [await _refusal(server) for server in servers(settings)]
        if all(refused):
            return Check(
                name,
                False,
                "; ".join(filter(None, refused)),
                "start Kafka (`docker compose up -d kafka`), or set TONEWATCH_KAFKA to where it listens",
            )
        async with _admin(settings) as client:
            cluster = await asyncio.wait_for(client.describe_cluster(), ANSWER_SECONDS)
    except ValueError as error:
        return Check(name, False, str(error), "correct the setting")
    except (KafkaError, OSError, TimeoutError) as error:
        return Check(
            name,
            False,
            f"{settings.kafka} accepts connections but does not answer as "
            f"{settings.kafka_security_protocol}: {in_one_line(error)}",
            "compare TONEWATCH_KAFKA_SECURITY_PROTOCOL, _SASL_MECHANISM, _USERNAME, _PASSWORD_FILE and _CA_FILE "
            "with the broker's listener",
        )
    brokers = len(cluster["brokers"])
    down = [f"{server} ({why})" for server, why in zip(servers(settings), refused, strict=True) if why]
    note = f"; not reached: {', '.join(down)}" if down else ""
    return Check(name, True, f"{settings.kafka}, {brokers} broker{'s' if brokers != 1 else ''}{note}")


async def _refusal(server: str) -> str:
    """Why a plain TCP connection fails, in one clause; empty where it succeeds."""
    host, _, port = server.rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), REACH_SECONDS)
    except TimeoutError:
        return f"{server} does not answer within {REACH_SECONDS:g} s"
    except OSError as error:
        return f"{server}: {in_one_line(error)}"
    writer.close()
    return ""


async def _topics(settings: Settings) -> Check:
    """Are all topics there, as `stream.topics` has them, and those of the audio worker equally wide."""
    name = "topics"
    try:
        differences = await asyncio.wait_for(kafka_admin.plan(settings), 2 * ANSWER_SECONDS)
        async with _admin(settings) as client:
            wide = await kafka_admin.partition_counts(
                client, (topic_name(settings, noun) for noun in AUDIO_WORKER_INPUTS)
            )
    except (KafkaError, OSError, TimeoutError) as error:
        return Check(
            name, False, f"cannot be read: {in_one_line(error)}", "allow our user DESCRIBE and DESCRIBE_CONFIGS"
        )
    if len(set(wide.values())) > 1:
        found = ", ".join(f"{topic} has {count}" for topic, count in wide.items())
        return Check(
            name,
            False,
            f"the audio worker's topics differ in partitions: {found}; it would get frames without their call",
            f"widen the narrower ones to {max(wide.values())} with `kafka-topics.sh --alter --partitions`, "
            "while no call is running",
        )
    missing = [each.topic for each in differences if each.what == "topic"]
    if missing:
        remedy = next(each.remedy for each in differences if each.by_hand) if settings.kafka_embedded else ""
        return Check(name, False, f"missing: {', '.join(missing)}", remedy or "tonewatch topics apply")
    if differences:
        found = "; ".join(f"{each.topic} {each.name} is {each.found}, not {each.wanted}" for each in differences)
        by_hand = [each.remedy for each in differences if each.by_hand]
        return Check(name, False, found, by_hand[0] if by_hand else "tonewatch topics apply")
    return Check(name, True, f"{len(topics(settings))} topics, inputs with {settings.partitions} partitions")


async def _clock(settings: Settings) -> Check:
    """Does the broker's clock agree with ours; told from a record that arrives while we look."""
    name = "clock"
    if settings.kafka_embedded:
        return Check(name, True, "not compared: the embedded broker stamps no records and runs on this machine")
    try:
        measured = await _clock_apart(settings)
    except (KafkaError, OSError, TimeoutError) as error:
        return Check(name, True, f"not compared: the input topics cannot be read ({in_one_line(error)})")
    if measured is None:
        return Check(name, True, f"not compared: no record arrived within {CLOCK_SECONDS:g} s; look again under load")
    least, most = measured
    if least <= CLOCK_APART_SECONDS and most >= -CLOCK_APART_SECONDS:
        return Check(name, True, f"Kafka's clock and ours agree within {max(abs(least), abs(most)):.1f} s")
    apart = least if least > 0 else most
    side = "ahead of" if apart > 0 else "behind"
    return Check(
        name,
        False,
        f"Kafka's clock is {abs(apart):.1f} s {side} ours: audio would look that much fresher or staler than it is",
        "let NTP set the clock of this machine and of the brokers (chrony, systemd-timesyncd)",
    )


async def _clock_apart(settings: Settings) -> tuple[float, float] | None:
    """Least and most seconds by which the broker's clock is ahead of ours; None where no record arrived."""
    async with _admin(settings) as client:
        counts = await kafka_admin.partition_counts(client, (topic_name(settings, noun) for noun in INPUTS))
    if not counts:
        return None
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False, request_timeout_ms=int(ANSWER_SECONDS * 1000), **connection(settings)
    )
    try:
        await asyncio.wait_for(consumer.start(), ANSWER_SECONDS)
        consumer.assign([TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)])
        # The first one also finds the partitions' leaders, which takes up to a second; only the second tells sharply
        # from when on we looked, and the time to look begins after it.
        await asyncio.wait_for(consumer.seek_to_end(), ANSWER_SECONDS)
        before = _now_seconds()
        await asyncio.wait_for(consumer.seek_to_end(), ANSWER_SECONDS)
        end = time.monotonic() + CLOCK_SECONDS
        while (left := end - time.monotonic()) > 0:
            got = await consumer.getmany(timeout_ms=int(left * 1000))
            after = _now_seconds()
            # Appended after `before` (it was beyond the end then) and before `after`, whatever its publisher says.
            stamped = [
                record.timestamp / 1000 for some in got.values() for record in some if record.timestamp_type == 1
            ]
            if stamped:
                return max(stamped) - after, min(stamped) - before
        return None
    finally:
        await consumer.stop()


async def _database(settings: Settings) -> Check:
    """Can the database be reached, and are its tables of this version."""
    name = "database"
    file = _sqlite_file(settings)
    if file is not None and not file.exists():
        # Connecting would make an empty one.
        return Check(name, False, f"{file} does not exist yet", "tonewatch db upgrade")
    shown = str(file) if file else settings.database.rpartition("@")[2]
    try:
        engine = open_engine(DatabaseConfig(settings.database, settings.database_password.get_secret_value()))
        try:
            there, ours = await asyncio.wait_for(schema_state(engine), ANSWER_SECONDS)
        finally:
            await engine.dispose()
    except TimeoutError:
        return Check(name, False, f"{shown} does not answer within {ANSWER_SECONDS:g} s", _DATABASE_REMEDY)
    except Exception as error:  # each driver has its own
        return Check(name, False, f"{shown}: {in_one_line(error)}", _DATABASE_REMEDY)
    if there != ours:
        return Check(
            name, False, f"{shown} has schema {there or 'none'}, this version needs {ours}", "tonewatch db upgrade"
        )
    return Check(name, True, f"{shown}, schema {there}")


async def _holds(settings: Settings) -> Check:
    """Is any topic held because most of what came on it cannot be used."""
    name = "holds"
    try:
        found = await asyncio.wait_for(held(settings), ANSWER_SECONDS)
    except Exception as error:  # each driver has its own
        return Check(name, False, in_one_line(error) or "no answer", _DATABASE_REMEDY)
    if not found:
        return Check(name, True, "no topic is held")
    topics_held = dict.fromkeys(hold.topic for hold in found)
    remedy = "mend what publishes them, then: " + " and ".join(f"tonewatch rejects release {t}" for t in topics_held)
    return Check(name, False, "; ".join(what_came(hold) for hold in found), remedy)


_DATABASE_REMEDY = "start it, or correct TONEWATCH_DATABASE and TONEWATCH_DATABASE_PASSWORD_FILE"


def _sqlite_file(settings: Settings) -> Path | None:
    """The file of an SQLite database, None where it is another."""
    scheme = "sqlite:///"
    return Path(settings.database.removeprefix(scheme)).absolute() if settings.database.startswith(scheme) else None


def _disk(settings: Settings) -> Check:
    """Is there room where the SQLite file grows."""
    name = "disk"
    file = _sqlite_file(settings)
    if file is None:
        return Check(name, True, "not looked at: the database is on its own server")
    folder = file.parent
    if not folder.is_dir():
        return Check(name, False, f"{folder} does not exist", "make it, or name another file in TONEWATCH_DATABASE")
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GiB free in {folder}"
    if free >= LEAST_FREE_BYTES:
        return Check(name, True, found)
    return Check(name, False, found, "free at least 1 GiB: when it is full, no message can be judged")


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = admin_client(settings, ANSWER_SECONDS)
    try:
        await asyncio.wait_for(client.start(), ANSWER_SECONDS)
        yield client
    finally:
        await client.close()


@contextmanager
def _quiet_clients() -> Iterator[None]:
    """Hold back aiokafka's own log: against a stopped broker it writes a line per try, and we say it in one."""
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
