from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np

from stream.audio import MOST_PER_BATCH
from stream.audio_records import audio_record
from stream.records import Record, call_event_record
from stream.settings import Settings
from tests.builders_calls import post
from tests.test_poison import publish
from tests.workers import Listener, producer, workers

CALLS = 60
BURST_SECONDS = 50
"""Of sound of every call, all of it published within a few seconds: more than ten times what talk would bring."""
RECORD_SECONDS = 0.2
CALM, MOST_LIVE = 10, 200
"""Records of every call that come after it at their own pace: so many must be heard in a row without one too old, and
so many may pass until then. How soon is the machine's doing; that it comes to it is ours."""
STALE_SECONDS = 1.0
GROWTH_MB = 120
"""Of memory: Faust's buffers and ours hold about 5,000 records of 1.6 kB and the bank a row a call; all that came in
would be 24 MB as bytes and, one Python object a record, more than this."""
TALK = np.random.default_rng(5).integers(0, 256, round(8000 * RECORD_SECONDS), dtype=np.uint8).tobytes()


def piece(call: int, seq: int) -> Record:
    at_ms = round(seq * RECORD_SECONDS * 1000)
    return audio_record(f"b-{call}", TALK, content_type="audio/PCMU", seq=seq, offset_ms=at_ms, sides=["agent"])


async def test_a_burst_of_audio_costs_freshness_and_nothing_else(kafka_settings: Settings, tmp_path: Path) -> None:
    settings = kafka_settings.model_copy(
        update={"database": f"sqlite:///{tmp_path / 'a.sqlite3'}", "audio_staleness_seconds": STALE_SECONDS}
    )
    per_call = round(BURST_SECONDS / RECORD_SECONDS)
    burst = [piece(call, seq) for seq in range(per_call) for call in range(CALLS)]
    async with workers(settings, tmp_path, audio=1) as [worker], Listener(settings, "qa.scores") as scores:
        events = f'tonewatch_events_total{{topic="{settings.topic_prefix}audio.frames"}}'
        before_mb, most_mb, most_waiting = worker.resident_mb, 0.0, 0.0

        async def all_taken(records: int, seconds: float) -> None:
            nonlocal most_mb, most_waiting
            end = time.monotonic() + seconds
            while worker.counted(events) < records:
                assert time.monotonic() < end, f"{worker.counted(events)} of {records} records were taken"
                most_mb = max(most_mb, worker.resident_mb)
                most_waiting = max(most_waiting, worker.counted("tonewatch_inbox_events"))
                await asyncio.sleep(0.1)

        # The calls are under way: of one that is first heard in its middle nobody knows what was before.
        await publish(settings, burst[:CALLS])
        await all_taken(CALLS, 20)
        async with asyncio.TaskGroup() as both:
            both.create_task(publish(settings, burst[CALLS:]))
            both.create_task(all_taken(len(burst), 60))
        stale, seq, calm = 0.0, per_call, 0
        async with producer(settings) as send:
            while calm < CALM or seq % round(1 / RECORD_SECONDS):  # scores are of whole seconds
                assert seq < per_call + MOST_LIVE, "it is not up to date again"
                await asyncio.gather(*(post(send, piece(call, seq)) for call in range(CALLS)), asyncio.sleep(0.2))
                seq += 1
                before, stale = stale, worker.counted("tonewatch_stale_chunks_total")
                keeps_up = worker.counted(events) >= (seq - 2) * CALLS
                calm = calm + 1 if keeps_up and stale == before else 0
            await all_taken(seq * CALLS, 20)
            stale = worker.counted("tonewatch_stale_chunks_total")
            for call in range(CALLS):
                await post(send, call_event_record(f"b-{call}", {}, "call.ended"))
        last_ms = round(seq * RECORD_SECONDS * 1000)

        def final() -> dict[str, float]:
            return {body["conversation_id"]: body["lost_ms"] for body in scores.bodies if body["at_ms"] == last_ms}

        await scores.until(lambda _: len(final()) == CALLS, 20, "the last score of every call")
        assert worker.is_alive and worker.ready()

    assert stale > 0, "a burst that leaves nothing behind shows nothing"
    assert sum(final().values()) == round(stale * RECORD_SECONDS * 1000), "what was too old is told, all else heard"
    assert most_waiting <= MOST_PER_BATCH
    assert most_mb - before_mb < GROWTH_MB
