"""Takes calls over where the worker before left them: from the database, and by hearing the last 30 s again."""

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
from stream.audio_records import parse_audio
from stream.calls import Calls
from stream.inbox import Item
from stream.kafka_client import reader
from stream.records import BadRecord
from stream.topics import topic_name

logger = logging.getLogger(__name__)

BACK_SECONDS = 30.0
"""The longest window of a detector is 10 s of speech, of which 30 s nearly always hold enough."""
MOST_SECONDS = 2.0
"""How long Kafka may take, and the database: live audio waits meanwhile."""
ASK_AGAIN_SECONDS = 5.0
"""After the database did not answer, calls that are new begin unknown for this long."""


class Rebuilder:
    """Knows which partitions were heard again since they were assigned."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self._app = app
        self._engine = engine
        self._audio_topic = topic_name(app.tonewatch, "audio.frames")
        self._topics = (self._audio_topic, topic_name(app.tonewatch, "call.events"))
        self._done: set[int] = set()
        self._ask_at = 0.0

    def gave_up(self, partitions: set[int]) -> None:
        """Note that these partitions belong to another worker now."""
        self._done -= partitions

    async def rebuild(self, batch: Sequence[Item], policy: Policy, bank: Bank, calls: Calls) -> None:
        """Before a batch is taken: set up the calls of it that are not followed yet, telling nobody.

        What is known of them comes from the database; with the first audio of a partition the windows of all its
        calls are filled. Best effort: what cannot be read is missing, as if the calls began now.
        """
        first, new = self._first_audio(batch), self._not_followed(batch, calls)
        if not first and (not new or time.monotonic() < self._ask_at):
            return
        self._done |= first.keys()
        found: list[tuple[int, Chunk]] = []
        try:
            async with asyncio.timeout(MOST_SECONDS):
                found = await self._read_back(first) if first else []
        except Exception as error:
            logger.warning("calls are gone on with without their last %.0f s: %s", BACK_SECONDS, error or "no time")
        try:
            async with asyncio.timeout(MOST_SECONDS):
                names = {*new, *(chunk.conversation_id for _, chunk in found)}
                known = await read_calls(self._engine, names, time.time())
        except Exception as error:
            self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
            logger.warning("calls are gone on with as if they began now: %s", error or "no time")
            return
        partitions = {chunk.conversation_id: partition for partition, chunk in found} | new
        for name in known.keys() & partitions.keys():
            if name not in calls:
                self._take_over(known[name], name, partitions[name], policy, bank, calls)
        chunks = [chunk for _, chunk in found if (k := known.get(chunk.conversation_id)) is None or k.ended_at is None]
        for partition, chunk in found:
            if chunk.conversation_id not in known:
                calls.open(chunk.conversation_id, partition, time.time())
        await self._hear_again(chunks, policy, bank, calls)

    def _first_audio(self, batch: Sequence[Item]) -> dict[int, int]:
        """Return the partitions that were not heard again yet, with the offset of their first audio."""
        first: dict[int, int] = {}
        for item in batch:
            message = item.event.message
            if item.topic == self._audio_topic and message.partition not in self._done:
                first.setdefault(message.partition, message.offset)
        return first

    def _not_followed(self, batch: Sequence[Item], calls: Calls) -> dict[str, int]:
        """Return the calls of a batch that are new here, with their partition."""
        keys = {
            message.key: message.partition
            for item in batch
            if item.topic in self._topics and (message := item.event.message).key
        }
        named = {key.decode("utf-8", "replace"): partition for key, partition in keys.items()}
        return {name: partition for name, partition in named.items() if name not in calls}

    def _take_over(self, known: KnownCall, name: str, partition: int, policy: Policy, bank: Bank, calls: Calls) -> None:
        """Go on with a call as the database knows it; one that is over is only ended again."""
        call = calls.open(name, partition, time.time())
        call.conversation, call.ended_at = known.conversation, known.ended_at
        if known.ended_at is not None:
            return
        call.rules = states_from_open(policy.rules, known.open_alerts)
        call.on_hold = any(fields.get("turns.held") for fields in known.slow.values())
        if known.slow:
            bank.restore(name, known.slow)

    async def _hear_again(self, chunks: Sequence[Chunk], policy: Policy, bank: Bank, calls: Calls) -> None:
        """Fill the windows; only how long a condition has held is counted."""
        if not chunks:
            return
        for score in await asyncio.to_thread(bank.push, chunks):
            followed = calls.get(score.conversation_id)
            if followed is not None:
                followed.lost_seconds = score.lost_seconds
                followed.rules, _ = judge_score(
                    policy.rules, followed.rules, followed.conversation, score, time.time(), rebuilding=True
                )
        logger.info("%d records of %d calls were heard again", len(chunks), len({c.conversation_id for c in chunks}))

    async def _read_back(self, first: dict[int, int]) -> list[tuple[int, Chunk]]:
        """Return (partition, chunk) of the last 30 s before each partition's offset in `first`."""
        consumer: AIOKafkaConsumer = reader(self._app.tonewatch)
        await consumer.start()
        try:
            ends = {TopicPartition(self._audio_topic, number): offset for number, offset in first.items()}
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
