"""Hears the last 30 s of a partition again, so that a call goes on where the worker before left it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.engine import judge_score, states_from_open
from alerts.keep_calls import KnownCall, read_calls
from alerts.policy import Policy
from detectors.bank import Bank
from detectors.values import Chunk
from stream.app import App
from stream.calls import Calls
from stream.inbox import Item
from stream.kafka_client import reader
from stream.records import BadRecord, parse_audio
from stream.topics import topic_name

logger = logging.getLogger(__name__)

BACK_SECONDS = 30.0
"""The longest window of a detector is 10 s of speech, of which 30 s nearly always hold enough."""
MOST_SECONDS = 2.0
"""How long reading back may take: live audio waits meanwhile."""


class Rebuilder:
    """Knows which partitions were heard again since they were assigned."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self._app = app
        self._engine = engine
        self._topic = topic_name(app.tonewatch, "audio.frames")
        self._done: set[int] = set()

    def gave_up(self, partitions: set[int]) -> None:
        """Note that these partitions belong to another worker now."""
        self._done -= partitions

    async def rebuild(self, batch: Sequence[Item], policy: Policy, bank: Bank, calls: Calls) -> None:
        """Before the first audio of a partition is taken: fill the windows of its calls, telling nobody.

        Best effort: what cannot be read is missing from the windows, as if the calls began now.
        """
        first: dict[int, int] = {}
        for item in batch:
            message = item.event.message
            if item.topic == self._topic and message.partition not in self._done:
                first.setdefault(message.partition, message.offset)
        if not first:
            return
        self._done |= first.keys()
        try:
            async with asyncio.timeout(MOST_SECONDS):
                found = await self._read_back(first)
                known = await read_calls(self._engine, {chunk.conversation_id for _, chunk in found}, time.time())
        except Exception as error:
            logger.warning("calls are gone on with without their last %.0f s: %s", BACK_SECONDS, error or "no time")
            return
        await self._take(found, known, policy, bank, calls)

    async def _take(
        self,
        found: Sequence[tuple[int, Chunk]],
        known: dict[str, KnownCall],
        policy: Policy,
        bank: Bank,
        calls: Calls,
    ) -> None:
        """Set the calls up from what the database knows and push what was read back."""
        chunks = []
        now = time.time()
        for partition, chunk in found:
            name = chunk.conversation_id
            earlier = known.get(name)
            if earlier is not None and earlier.is_over:
                continue
            chunks.append(chunk)
            if name in calls:
                continue
            call = calls.open(name, partition, now)
            if earlier is not None:
                call.conversation = earlier.conversation
                call.rules = states_from_open(policy.rules, earlier.open_alerts)
                if earlier.slow:
                    bank.restore(name, earlier.slow)
        for score in await asyncio.to_thread(bank.push, chunks):
            followed = calls.get(score.conversation_id)
            if followed is not None:
                followed.lost_seconds = score.lost_seconds
                followed.rules, _ = judge_score(
                    policy.rules, followed.rules, followed.conversation, score, now, rebuilding=True
                )
        logger.info("%d records of %d calls were heard again", len(chunks), len({c.conversation_id for c in chunks}))

    async def _read_back(self, first: dict[int, int]) -> list[tuple[int, Chunk]]:
        """Return (partition, chunk) of the last 30 s before each partition's offset in `first`."""
        consumer: AIOKafkaConsumer = reader(self._app.tonewatch)
        await consumer.start()
        try:
            ends = {TopicPartition(self._topic, number): offset for number, offset in first.items()}
            consumer.assign(list(ends))
            begins = await consumer.beginning_offsets(list(ends))
            if not self._app.tonewatch.kafka_embedded:  # the mock broker knows no times; it keeps little anyway
                since = round((time.time() - BACK_SECONDS) * 1000)
                times = await consumer.offsets_for_times(dict.fromkeys(ends, since))
                begins = {tp: times[tp].offset if times.get(tp) else end for tp, end in ends.items()}
            waiting = {tp for tp, end in ends.items() if begins[tp] < end}
            for tp in ends:
                consumer.seek(tp, begins[tp])
                if tp not in waiting:
                    consumer.pause(tp)
            found: list[tuple[int, Chunk]] = []
            while waiting:
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        if record.offset < ends[tp]:
                            found += self._chunks(record)
                    if records and records[-1].offset >= ends[tp] - 1:
                        waiting.discard(tp)
                        consumer.pause(tp)
            return found
        finally:
            await consumer.stop()

    def _chunks(self, record: object) -> list[tuple[int, Chunk]]:
        """Return a record's chunk; what is no audio was rejected when it came."""
        try:
            chunk = parse_audio(record.key, record.value, record.headers)  # type: ignore[attr-defined]  # no types
        except BadRecord:
            return []
        return [(record.partition, chunk)]  # type: ignore[attr-defined]  # aiokafka ships no types
