"""Calls for the end-to-end tests: recordings of the shared data as records, whole, with holes, or broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import numpy as np

from detectors.arrays import FloatArray
from detectors.decode import RATE
from stream.audio_records import audio_record
from stream.records import Record, call_event_record

RECORD_SAMPLES = RATE // 5


def audio(conversation_id: str, samples: FloatArray, seq: int) -> Record:
    """The record number `seq` of a call whose sound is `samples` (2, n) at 8 kHz: 200 ms."""
    first = seq * RECORD_SAMPLES
    piece = np.round(samples[:, first : first + RECORD_SAMPLES] * 32767).astype("<i2")
    return audio_record(
        conversation_id,
        piece.T.tobytes(),
        content_type=f"audio/pcm;encoding=s16le;rate={RATE};channels=2",
        seq=seq,
        offset_ms=round(first * 1000 / RATE),
        sides=("agent", "customer"),
    )


async def post(send: Any, record: Record) -> None:
    await send(record.topic, record.key.decode(), record.value, record.headers)


async def begin(send: Any, conversation_id: str, **event: Any) -> None:
    await post(send, call_event_record(conversation_id, event, "call.started"))


async def speak(
    send: Any,
    conversation_id: str,
    samples: FloatArray,
    *,
    seconds: tuple[float, float],
    speed: float,
    missing: Collection[int] = (),
    twice: Collection[int] = (),
) -> None:
    """Send [from, to) seconds of `samples`, without the records of `missing`, those of `twice` again one later."""
    loop = asyncio.get_running_loop()
    first, end = (round(at * RATE / RECORD_SAMPLES) for at in seconds)
    began = loop.time()
    for seq in range(first, end):
        await asyncio.sleep(max(0.0, began + (seq + 1 - first) * RECORD_SAMPLES / RATE / speed - loop.time()))
        if seq not in missing:
            await post(send, audio(conversation_id, samples, seq))
        if seq - 1 in twice:
            await post(send, audio(conversation_id, samples, seq - 1))


def silence(seconds: float) -> FloatArray:
    """Both sides of a line on which nobody speaks: its noise alone, -60 dBov."""
    return np.random.default_rng(11).normal(0, 1e-3, (2, round(seconds * RATE))).astype(np.float32)
