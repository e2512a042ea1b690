"""Sends recordings and JSON Lines files into the topics, as if they happened now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from alerts.config import HookConfig
from alerts.hooks.hook import BadHook
from alerts.intake.maps import MAPS
from detectors.decode import RATE
from stream.audio_records import audio_record
from stream.command import Progressed, progress_bar
from stream.kafka_client import connection
from stream.recordings import AUDIO_SUFFIXES, SHORTEST_SAMPLES, RecordingError, Track, read_recording
from stream.records import BadRecord, Record, call_event_record, parse_call_event, parse_chat, parse_turn
from stream.settings import Settings
from stream.topics import topic_name

RECORD_SAMPLES = RATE // 5
"""200 ms, as `wire.md` advises."""
SPEEDS = (1.0, 50.0)

_PARSERS = {"chat.messages": parse_chat, "transcript.turns": parse_turn, "call.events": parse_call_event}


class ReplayError(ValueError):
    """What is wrong with a file or an option, and what to write instead."""


async def replay(
    settings: Settings,
    files: Sequence[Path],
    *,
    sides: tuple[str, ...] = ("agent", "customer"),
    agent_id: str | None = None,
    agent_name: str | None = None,
    team: str | None = None,
    language: str | None = None,
    speed: float = 1.0,
    conversation_id: str | None = None,
    platform: str | None = None,
    progress: Progressed | None = None,
) -> list[str]:
    """Publish one file after the other and return the conversation ids, one a recording, those of JSON Lines once each.

    A recording is one call, sent at `speed` times real time; JSON Lines go out at once. Every file is read and checked
    before the first record leaves. With `platform` the lines are that platform's own events, as `POST /v1/events` takes
    them; those that tell of no message are passed over. Raises ReplayError for a bad file or option, KafkaError where
    a record was refused.
    """
    if not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise ReplayError(f"the speed is {speed:g}; write {SPEEDS[0]:g} to {SPEEDS[1]:g} times real time")
    recordings = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if conversation_id is not None and len(recordings) != 1:
        raise ReplayError(
            f"a conversation id was given for {len(recordings)} recordings; give it with one, or leave it away"
        )
    if agent_name is not None and agent_id is None:
        raise ReplayError(f"agent {agent_name} has a name and no id; give the id too")
    if platform is not None and platform not in MAPS:
        raise ReplayError(f"platform is {platform!r}; write one of {', '.join(MAPS)}")
    if platform is not None and recordings:
        raise ReplayError(f"{recordings[0]} is a recording; events of {platform} are a JSONL file, one a line")
    started: dict[str, Any] = {"direction": "inbound", "offset_ms": 0, "team": team, "language": language}
    if agent_id is not None:
        started["agent"] = {"id": agent_id, "name": agent_name or agent_id}
    agents = HookConfig(agent_ids=settings.hook_agent_ids)

    def read(path: Path) -> Track | list[Record]:
        return read_events(path, platform, agents) if platform is not None else _read(path, sides)

    contents = [await asyncio.to_thread(read, path) for path in files]
    told: list[str] = []
    # Ids end in the time, or the same file replayed twice would go on with a call that has ended.
    run = f"{time.time_ns() // 1_000_000:x}"
    async with AIOKafkaProducer(**connection(settings), linger_ms=5) as producer:
        post = _Post(settings, producer)
        for number, (path, content) in enumerate(zip(files, contents, strict=True), start=1):

            def done(part: float, whole: float, name: str = path.name) -> None:
                if progress is not None:
                    progress(name, part, whole)

            if isinstance(content, list):
                told += await _send_lines(post, content, done)
            else:
                name = conversation_id or f"{path.stem}-{run}-{number}"
                told.append(name)
                await _send_call(post, name, content, sides, started, speed, done)
    return list(dict.fromkeys(told))


class _Post:
    """Sends records; what the broker refused is raised at the next pause."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._unanswered: list[asyncio.Future[Any]] = []

    async def send(self, record: Record) -> None:
        topic = topic_name(self._settings, record.topic)
        sent = await self._producer.send(topic, record.value, key=record.key, headers=record.headers)
        self._unanswered.append(sent)

    async def answered(self) -> None:
        waiting, self._unanswered = self._unanswered, []
        await asyncio.gather(*waiting)


async def _send_call(
    post: _Post,
    conversation_id: str,
    track: Track,
    sides: tuple[str, ...],
    started: Mapping[str, Any],
    speed: float,
    done: Callable[[float, float], None],
) -> None:
    seconds = track.shape[1] / RATE
    await post.send(call_event_record(conversation_id, started, "call.started"))
    await post.answered()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for seq, (first, end) in enumerate(pieces(track.shape[1])):
        # A record leaves when its last sample has been spoken, as from a real line.
        await asyncio.sleep(max(0.0, began + end / RATE / speed - loop.time()))
        record = audio_record(
            conversation_id,
            track[:, first:end].T.astype("<i2").tobytes(),
            content_type=f"audio/pcm;encoding=s16le;rate={RATE};channels={len(sides)}",
            seq=seq,
            offset_ms=round(first * 1000 / RATE),
            sides=sides,
        )
        await post.send(record)
        done(end / RATE, seconds)
    await post.answered()
    await post.send(call_event_record(conversation_id, {"offset_ms": round(seconds * 1000)}, "call.ended"))
    await post.answered()


async def _send_lines(post: _Post, records: list[Record], done: Callable[[float, float], None]) -> list[str]:
    for number, record in enumerate(records, start=1):
        await post.send(record)
        if number % 100 == 0:
            await post.answered()
        done(number, len(records))
    await post.answered()
    return [record.key.decode() for record in records]


def pieces(samples: int) -> Iterator[tuple[int, int]]:
    """Cut a recording of that many samples into records: [first, end) of each, 200 ms, the last 20 to 220 ms."""
    first = 0
    while first < samples:
        end = first + RECORD_SAMPLES
        if samples - end < SHORTEST_SAMPLES:  # no record may be shorter
            end = samples
        yield first, end
        first = end


def _read(path: Path, sides: tuple[str, ...]) -> Track | list[Record]:
    if not path.is_file():
        raise ReplayError(f"{path} is not there; write the path of a WAV, FLAC or JSONL file")
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        try:
            return read_recording(path, sides)
        except RecordingError as error:
            raise ReplayError(str(error)) from None
    if suffix == ".jsonl":
        return read_lines(path)
    raise ReplayError(f"{path} is none of {', '.join(AUDIO_SUFFIXES)}, .jsonl; convert it, for example with ffmpeg")


def read_lines(path: Path) -> list[Record]:
    """Return the records of a JSON Lines file; a line is a chat message, or has a `topic` beside its fields.

    Raises ReplayError naming file, line and what to write for the first bad line.
    """
    records = []
    for where, data in _objects(path):
        topic = data.pop("topic", "chat.messages")
        if topic not in _PARSERS:
            raise ReplayError(f"{where}: topic is {topic!r}; write one of {', '.join(_PARSERS)}")
        value = orjson.dumps(data)
        try:
            _PARSERS[topic](value, [])
        except BadRecord as error:
            raise ReplayError(f"{where}: {error}; see `{topic}` in docs/asyncapi.yaml") from None
        records.append(_plain(topic, data["conversation_id"], value))
    if not records:
        raise ReplayError(f"{path} has no line; write one JSON object a line")
    return records


def read_events(path: Path, platform: str, agents: HookConfig) -> list[Record]:
    """Return the messages of a JSON Lines file of a platform's own events; `agents` says who of its users is one.

    Raises ReplayError naming file and line of the first bad one, and where no line tells of a message.
    """
    if not path.is_file():
        raise ReplayError(f"{path} is not there; write the path of a JSONL file")
    records, because = [], "it has no line"
    for where, event in _objects(path):
        try:
            reported = MAPS[platform].read(event, agents)
        except BadHook as error:
            raise ReplayError(f"{where}: {error}; it is no event of {platform}, or not whole") from None
        if reported.message is None:
            because = f"the last of its lines: {reported.because}"
            continue
        body = orjson.dumps(reported.message.model_dump(mode="json", exclude_none=True))
        records.append(_plain("chat.messages", reported.message.conversation_id, body))
    if not records:
        raise ReplayError(f"{path} tells of no message ({because}); write one event of {platform} a line")
    return records


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file:line, object) for every line that is not empty. Raises ReplayError."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ReplayError(f"{where}: not JSON: {error}; write one JSON object a line") from None
        if not isinstance(data, dict):
            raise ReplayError(f"{where}: a {type(data).__name__}; write one JSON object a line")
        yield where, data


def _plain(topic: str, key: str, value: bytes) -> Record:
    """Return a record of plain JSON."""
    return Record(topic, key.encode(), value, [("content-type", b"application/json")])


async def replay_with_progress(settings: Settings, files: Sequence[Path], **options: Any) -> list[str]:
    """Run `replay` with these options of it, and draw a bar a file in the terminal."""
    with progress_bar() as progressed:
        return await replay(settings, files, progress=progressed, **options)
