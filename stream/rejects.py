"""What lies in `*.rejected`: counted, shown, and sent again once its publisher or we have been mended."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.config import DatabaseConfig
from alerts.masking import mask_deep, mask_text
from alerts.store import audit
from alerts.store import holds as hold_store
from alerts.store.database import open_engine, reading, writing
from alerts.store.holds import Hold
from stream.kafka_client import LARGEST_REQUEST_BYTES, connection, reader
from stream.records import REJECT_HEADERS, header_map
from stream.reject_limit import RELEASED_RECORDS
from stream.settings import Settings
from stream.topics import rejected_name

REPLAYED = "replayed"
"""Header of a record that was sent again: topic:partition:offset of where it lay among the rejects."""
FETCH_MS = 500
SHOWN_BYTES = 64
"""Of audio, or of what is no text: enough to see a file's head in, too little to listen to."""


class RejectsError(ValueError):
    """What is wrong with what was asked for, and what to write instead."""


@dataclass(slots=True)
class Reason:
    """The rejects of one topic that have one reason."""

    topic: str
    """Where they came from, as it is called on Kafka."""
    reason: str
    count: int
    newest_at: float
    """Unix time."""
    newest: tuple[int, int]
    """(partition, offset) among the rejects, for `show`."""
    error: str
    """What was said of the newest."""


async def reasons(settings: Settings, topics: Sequence[str]) -> list[Reason]:
    """Return the rejects of these topics by topic and reason, the most frequent first."""
    found: dict[tuple[str, str], Reason] = {}
    for topic in topics:
        async for record, _ in _rejects(settings, topic):
            headers = header_map(record.headers)
            at, where = record.timestamp / 1000, (record.partition, record.offset)
            name, error = _words(headers, "reason"), _words(headers, "error")
            known = found.setdefault((topic, name), Reason(topic, name, 0, at, where, error))
            known.count += 1
            if at >= known.newest_at:
                known.newest_at, known.newest, known.error = at, where, error
    return sorted(found.values(), key=lambda each: (each.topic, -each.count))


async def one(settings: Settings, topic: str, partition: int, offset: int) -> Any:
    """Return one record of `<topic>.rejected`. Raises RejectsError where there is none."""
    async for record, _ in _rejects(settings, topic, only=(partition, offset)):
        if record.offset == offset:
            return record
    raise RejectsError(
        f"{rejected_name(topic)} has nothing at partition {partition}, offset {offset}; "
        f"see: tonewatch rejects list {topic}"
    )


def shown(record: Any, *, unmask: bool) -> tuple[dict[str, str], str]:
    """Return a reject's headers and its value as a person may read them; phone numbers and the like are starred."""
    mask = (lambda text: text) if unmask else mask_text
    headers = {name: mask(value.decode("utf-8", "replace")) for name, value in header_map(record.headers).items()}
    value: bytes | None = record.value
    if value is None:
        return headers, "(null)"
    try:
        body = orjson.loads(value)
        # Parsed before it is masked: an escape in JSON would hide a digit from the mask.
        return headers, orjson.dumps(body if unmask else mask_deep(body), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, TypeError):  # TypeError: nested deeper than orjson writes
        pass
    try:
        return headers, mask(value.decode("utf-8"))
    except UnicodeDecodeError:
        rest = f" … {len(value)} bytes" if len(value) > SHOWN_BYTES else f" ({len(value)} bytes)"
        return headers, value[:SHOWN_BYTES].hex(" ") + rest


async def note_unmasking(settings: Settings, who: str, topic: str, partition: int, offset: int) -> None:
    """Write into the audit log that somebody looks at a reject unmasked; to be done before it is shown."""
    where = f"{rejected_name(topic)}:{partition}:{offset}"
    async with _database(settings) as engine, writing(engine) as connection:
        await audit.record(connection, who=who, what="rejects.unmask", object=where, now=time.time())


async def held(settings: Settings) -> list[Hold]:
    """Return what workers hold now."""
    async with _database(settings) as engine, reading(engine) as connection:
        return await hold_store.held(connection, time.time())


async def release(settings: Settings, topic: str, who: str) -> list[Hold]:
    """Let the next bad records of a held topic be set aside; return whose holds ended. Raises RejectsError."""
    now = time.time()
    async with _database(settings) as engine, writing(engine) as connection:
        found = await hold_store.release(connection, topic, RELEASED_RECORDS, who, now)
        if not found:
            raise RejectsError(f"no worker holds {topic}; there is nothing to release")
        await audit.record(connection, who=who, what="rejects.release", object=topic, now=now)
        return found


async def replay(
    settings: Settings,
    topic: str,
    *,
    since: datetime | None,
    reason: str | None,
    progress: Callable[[float], None],
) -> int:
    """Publish rejects to their topic again as they came, and return how many; those that come meanwhile are left."""
    sent = 0
    reports = []
    async with AIOKafkaProducer(
        acks="all", enable_idempotence=True, max_request_size=LARGEST_REQUEST_BYTES, linger_ms=5, **connection(settings)
    ) as producer:
        async for record, share in _rejects(settings, topic, since=since):
            progress(share)
            headers = header_map(record.headers)
            if reason is not None and _words(headers, "reason") != reason:
                continue
            where = f"{record.topic}:{record.partition}:{record.offset}"
            kept = [(name, value) for name, value in headers.items() if name not in (*REJECT_HEADERS, REPLAYED)]
            reports.append(
                await producer.send(topic, record.value, key=record.key, headers=[*kept, (REPLAYED, where.encode())])
            )
            sent += 1
            if len(reports) == 100:
                for report in reports:
                    await report
                reports.clear()
        for report in reports:
            await report
    progress(1.0)
    return sent


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Give an engine that is disposed of at the end."""
    engine = open_engine(DatabaseConfig(settings.database, settings.database_password.get_secret_value()))
    try:
        yield engine
    finally:
        await engine.dispose()


def _words(headers: dict[str, bytes], name: str) -> str:
    """Return a header as text."""
    return headers.get(name, b"?").decode("utf-8", "replace")


async def _rejects(
    settings: Settings, topic: str, *, since: datetime | None = None, only: tuple[int, int] | None = None
) -> AsyncIterator[tuple[Any, float]]:
    """Yield what `<topic>.rejected` holds at this moment, each record with the share of the work done so far."""
    name = rejected_name(topic)
    consumer: AIOKafkaConsumer = reader(settings, max_partition_fetch_bytes=LARGEST_REQUEST_BYTES)
    await consumer.start()
    try:
        known = await consumer._client.fetch_all_metadata()  # the public call knows only topics that are assigned
        partitions = [TopicPartition(name, number) for number in sorted(known.partitions_for_topic(name) or ())]
        if only is not None:
            partitions = [tp for tp in partitions if tp.partition == only[0]]
        if not partitions:
            return
        first, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        if since is not None and not settings.kafka_embedded:  # the mock broker knows no times
            times = await consumer.offsets_for_times(dict.fromkeys(partitions, round(since.timestamp() * 1000)))
            first = {tp: times[tp].offset if times.get(tp) else ends[tp] for tp in partitions}
        if only is not None:
            first = {tp: min(max(only[1], first[tp]), ends[tp]) for tp in partitions}
        waiting = {tp for tp in partitions if first[tp] < ends[tp]}
        consumer.assign(list(waiting))
        for tp in waiting:
            consumer.seek(tp, first[tp])
        whole, done = sum(ends[tp] - first[tp] for tp in waiting), 0
        while waiting:
            for tp, records in (await consumer.getmany(timeout_ms=FETCH_MS)).items():
                for record in records:
                    done += record.offset < ends[tp]
                    if record.offset < ends[tp] and (since is None or record.timestamp >= since.timestamp() * 1000):
                        yield record, done / whole
            # By position, not by the last record: an aborted transaction leaves offsets that hold nothing.
            for tp in list(waiting):
                if await consumer.position(tp) >= ends[tp]:
                    waiting.discard(tp)
                    consumer.pause(tp)
    finally:
        await consumer.stop()
