"""A made-up contact centre that talks: publishes the calls and chats of the plan in real time, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from detectors.decode import encode_mulaw, to_pcm16
from detectors.values import SIDES_OF_A_CALL
from stream.audio_records import audio_record
from stream.kafka_client import connection
from stream.records import Record, call_event_record, chat_record, turn_record
from stream.scenes import CallEvent, ChatLine, Event, Speech, Turn, plan
from stream.settings import Settings
from stream.topics import topic_name
from stream.voices import RATE

log = logging.getLogger(__name__)

RECORD_SECONDS = 0.2
RECORD_SAMPLES = int(RATE * RECORD_SECONDS)
LINE_NOISE_DBFS = -60.0
MULAW_LANGUAGE = "en"
"""Calls in this language go out as µ-law, the others as PCM: both forms of `audio.frames` are in every demo."""
COMPLAIN_SECONDS = 10.0
"""While the broker is away, say so at most this often."""


class Line:
    """The telephone line of one call: both sides' speech and some noise, as records of 200 ms."""

    def __init__(self, event: CallEvent, noise: NDArray[np.float32]) -> None:
        self.conversation_id = event.conversation_id
        self.began_at = event.at_seconds
        self._mulaw = event.data["language"] == MULAW_LANGUAGE
        self._noise = noise
        self._speech: list[tuple[int, int, NDArray[np.float32]]] = []
        self._sent = 0

    def say(self, speech: Speech) -> None:
        """Put a clip on its side's track, at its own time of the call."""
        first = round((speech.at_seconds - self.began_at) * RATE)
        samples = speech.clip.samples * np.float32(10 ** (speech.gain_db / 20))
        self._speech.append((SIDES_OF_A_CALL.index(speech.side), first, samples))

    def records(self, until_seconds: float) -> Iterator[Record]:
        """What has been said by then and has not been sent: whole records only, the rest may still be talked into."""
        while self.began_at + (self._sent + 1) * RECORD_SECONDS <= until_seconds:
            yield self._record()

    def _record(self) -> Record:
        start, end = self._sent * RECORD_SAMPLES, (self._sent + 1) * RECORD_SAMPLES
        # Two ends of the same noise: reading it costs a hundredth of making it.
        shift = start % (len(self._noise) // 2 - RECORD_SAMPLES)
        mixed = np.stack(
            [self._noise[shift : shift + RECORD_SAMPLES], self._noise[::-1][shift : shift + RECORD_SAMPLES]]
        )
        for side, first, samples in self._speech:
            low, high = max(start, first), min(end, first + len(samples))
            if low < high:
                mixed[side, low - start : high - start] += samples[low - first : high - first]
        self._speech = [entry for entry in self._speech if entry[1] + len(entry[2]) > end]
        interleaved = mixed.T.reshape(-1)
        if self._mulaw:
            payload, content_type = encode_mulaw(interleaved), f"audio/PCMU;rate={RATE};channels=2"
        else:
            payload = to_pcm16(interleaved).astype("<i2").tobytes()
            content_type = f"audio/pcm;encoding=s16le;rate={RATE};channels=2"
        record = audio_record(
            self.conversation_id,
            payload,
            content_type=content_type,
            seq=self._sent,
            offset_ms=round(start * 1000 / RATE),
            sides=SIDES_OF_A_CALL,
        )
        self._sent += 1
        return record


class Centre:
    """Turns the plan into records, one step of 200 ms after the other; knows no clock and no broker."""

    def __init__(self, events: Iterator[Event], seed: int) -> None:
        self._events = events
        self._next: Event = next(events)
        self._lines: dict[str, Line] = {}
        self._noise = line_noise(seed)
        self._steps = 0

    @property
    def _until_seconds(self) -> float:
        return self._steps * RECORD_SECONDS

    def step(self, now: datetime) -> list[Record]:
        """The records of the next 200 ms, in the order in which they have to go out; `now` dates chat messages."""
        self._steps += 1
        records: list[Record] = []
        ended: list[CallEvent] = []
        while self._next.at_seconds < self._until_seconds:
            event, self._next = self._next, next(self._events)
            match event:
                case CallEvent(type="call.ended"):
                    ended.append(event)
                case CallEvent():
                    if event.type == "call.started":
                        self._lines[event.conversation_id] = Line(event, self._noise)
                    records.append(call_event_record(event.conversation_id, event.data, event.type))
                case Speech():
                    self._lines[event.conversation_id].say(event)
                case Turn():
                    records.append(turn_record(event.data))
                case ChatLine():
                    sent_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                    records.append(chat_record({**event.data, "sent_at": sent_at}))
        records += [record for line in self._lines.values() for record in line.records(self._until_seconds)]
        for event in ended:
            del self._lines[event.conversation_id]
            records.append(call_event_record(event.conversation_id, event.data, event.type))
        return records

    def hang_up(self) -> list[Record]:
        """The end of every call that still runs."""
        now = self._until_seconds
        ends = [(line.conversation_id, round((now - line.began_at) * 1000)) for line in self._lines.values()]
        self._lines.clear()
        return [call_event_record(name, {"offset_ms": at_ms}, "call.ended") for name, at_ms in ends]


def line_noise(seed: int) -> NDArray[np.float32]:
    """10 s of white noise of -60 dBFS RMS, shape (n,): what a quiet line sounds like."""
    noise = np.random.default_rng(seed).standard_normal(10 * RATE) * 10 ** (LINE_NOISE_DBFS / 20)
    return noise.astype(np.float32)


async def simulate(
    settings: Settings, *, stop: asyncio.Event, seed: int = 1, speed: float = 1.0, agents: int = 10
) -> None:
    """Publish the contact centre of `seed` at `speed` times real time until `stop` is set; then hang up and return.

    Survives a broker that goes away: what happened meanwhile is lost, as on a real line.
    """
    # A new name each time: conversations of an earlier run in the same database have ended.
    centre = Centre(plan(seed, agents, run=f"{int(time.time()):x}-"), seed)
    producer = AIOKafkaProducer(**connection(settings), linger_ms=5)
    await producer.start()
    outlet = _Outlet(settings, producer)
    loop = asyncio.get_running_loop()
    began = loop.time()
    step = 0
    try:
        while not stop.is_set():
            step += 1
            wait = began + step * RECORD_SECONDS / speed - loop.time()
            if wait > 0:
                try:
                    await asyncio.wait_for(stop.wait(), wait)
                    break
                except TimeoutError:
                    pass
            await outlet.send(centre.step(datetime.now(UTC)))
        await outlet.send(centre.hang_up())
    finally:
        await producer.stop()


async def simulate_until_stopped(settings: Settings, *, seed: int = 1, speed: float = 1.0, agents: int = 10) -> None:
    """Run `simulate` until the process is told to end (SIGTERM, Ctrl-C); the calls are hung up first."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await simulate(settings, stop=stop, seed=seed, speed=speed, agents=agents)


class _Outlet:
    """Sends records without waiting for the broker's answer, and complains now and then when they get lost."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._lost = 0
        self._complained_at = -COMPLAIN_SECONDS

    async def send(self, records: list[Record]) -> None:
        for record in records:
            topic = topic_name(self._settings, record.topic)
            try:
                sent = await self._producer.send(topic, record.value, key=record.key, headers=record.headers)
            except KafkaError as error:
                self._complain(error)
                return
            sent.add_done_callback(self._answered)

    def _answered(self, sent: asyncio.Future[object]) -> None:
        if not sent.cancelled() and (error := sent.exception()):
            self._complain(error)

    def _complain(self, error: BaseException) -> None:
        self._lost += 1
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("%d records could not be published so far: %s", self._lost, error)
