"""What the web process gives to Kafka and takes from it: feeds of alerts and interceptions out, scores in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from stream.kafka_client import connection, reader
from stream.records import json_record
from stream.settings import Settings
from stream.topics import group_name, topic_name

logger = logging.getLogger(__name__)

EVENT_TYPES = {
    "qa.alerts": "qa.alert",
    "qa.interceptions": "qa.interception",
    "agent.reminders": "agent.reminder",
    "chat.messages": "chat.message",
}
TAIL_BACK_RECORDS = 90
"""Scores read back per partition at start, so that a page opened now shows the last minute or so."""
RETRY_SECONDS = 1.0


class Feeds:
    """One producer for the feeds; connects when first used, and anew after the broker was away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, topic: str, key: str, body: Mapping[str, Any]) -> None:
        """Publish one JSON record and await its delivery. Raises KafkaError while the broker is away."""
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **connection(self._settings))
                await producer.start()
                self._producer = producer
        record = json_record(topic, key, EVENT_TYPES[topic], body)
        await self._producer.send_and_wait(
            topic_name(self._settings, topic), value=record.value, key=record.key, headers=record.headers
        )

    async def stop(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            await self._producer.stop()


async def tail_scores(settings: Settings) -> AsyncIterator[dict[str, Any]]:
    """Yield every record of `qa.scores` from a little before now on, for ever; waits while the broker is away."""
    while True:
        consumer = reader(settings, metadata_max_age_ms=30_000)
        try:
            await consumer.start()
            await _assign_from_the_end(consumer, topic_name(settings, "qa.scores"), TAIL_BACK_RECORDS)
            async for record in consumer:
                if record.value:
                    yield orjson.loads(record.value)
        except (KafkaError, OSError) as error:
            logger.warning("the tail of qa.scores broke off, going on: %s", error)
        finally:
            await consumer.stop()
        await asyncio.sleep(RETRY_SECONDS)


async def _assign_from_the_end(consumer: AIOKafkaConsumer, topic: str, back: int) -> None:
    """Take all partitions of a topic, each from `back` records before its end."""
    numbers = await consumer._client.fetch_all_metadata()  # the public call answers only for topics it knows already
    partitions = [TopicPartition(topic, number) for number in sorted(numbers.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    first, last = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(first[partition], last[partition] - back))


class ChatLag:
    """Tells whether `chat.messages` lags: a wait must not be called over while its answer waits unread."""

    def __init__(self, settings: Settings, most_seconds: float = 5.0) -> None:
        self._settings = settings
        self._most_seconds = most_seconds
        self._consumer: AIOKafkaConsumer | None = None
        self._behind_since: float | None = None

    async def __call__(self) -> bool:
        """Return whether the chat workers' committed offsets have been behind for longer than allowed.

        A broker that cannot be asked counts as lagging: rather a late alert than a false one.
        """
        try:
            async with asyncio.timeout(self._most_seconds):
                behind = await self._behind()
        except (KafkaError, OSError, TimeoutError):
            return True
        now = asyncio.get_running_loop().time()
        self._behind_since = (self._behind_since or now) if behind else None
        return self._behind_since is not None and now - self._behind_since > self._most_seconds

    async def _behind(self) -> bool:
        """Return whether any committed offset stands before its partition's end."""
        if self._consumer is None:
            consumer = reader(self._settings, group_id=group_name(self._settings, "chat"))
            await consumer.start()
            self._consumer = consumer
        topic = topic_name(self._settings, "chat.messages")
        numbers = await self._consumer._client.fetch_all_metadata()
        partitions = [TopicPartition(topic, number) for number in numbers.partitions_for_topic(topic) or ()]
        ends = await self._consumer.end_offsets(partitions)
        for partition, end in ends.items():
            done = await self._consumer.committed(partition)
            if end > (done or 0):
                return True
        return False

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()
