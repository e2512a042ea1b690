from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from detectors.values import Chunk
from stream.audio_records import parse_audio
from stream.kafka_client import connection
from stream.recordings import read_recording
from stream.records import header_map, parse_call_event, parse_chat
from stream.replay import ReplayError, pieces, read_lines, replay
from stream.settings import Settings
from stream.topics import topic_name
from tests.shared_data import shared_data

# librosa loads audioread, which imports these on Python 3.11 and 3.12; neither is ours to change.
pytestmark = pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)' is deprecated:DeprecationWarning")

CHAT = {
    "message_id": "m-1",
    "conversation_id": "c-9",
    "platform": "openim",
    "sender": {"id": "a-17", "role": "agent"},
    "text": "您好",
}


async def read_back(settings: Settings, topic: str, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(topic_name(settings, topic), auto_offset_reset="earliest", **connection(settings))
    await consumer.start()
    try:
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


def write_tone(path: Path, rate: int, seconds: float, frequencies: tuple[float, ...]) -> None:
    time = np.arange(int(rate * seconds)) / rate
    soundfile.write(path, np.stack([0.5 * np.sin(2 * np.pi * f * time) for f in frequencies], axis=1), rate)


@pytest.mark.parametrize("samples", [160, 1599, 1600, 1700, 1760, 3199, 8000, 8159, 8160])
def test_pieces_cover_the_recording_once_and_each_is_of_a_length_that_may_be_sent(samples: int) -> None:
    cut = list(pieces(samples))
    assert [first for first, _ in cut] == [0, *[end for _, end in cut[:-1]]]
    assert cut[-1][1] == samples
    assert all(end - first == 1600 for first, end in cut[:-1])
    assert 160 <= cut[-1][1] - cut[-1][0] < 1760


async def test_a_shared_call_arrives_to_the_last_sample_with_seq_and_offset(embedded_settings: Settings) -> None:
    path = shared_data("speech", "calls", "agent_louder_12db.flac")
    heard: list[tuple[str, float, float]] = []
    names = await replay(
        embedded_settings,
        [path],
        agent_id="a-7",
        agent_name="Ben",
        team="english",
        language="en",
        speed=50,
        progress=lambda *done: heard.append(done),
    )
    records = await read_back(embedded_settings, "audio.frames", 478)
    chunks: list[Chunk] = sorted((parse_audio(r.key, r.value, r.headers) for r in records), key=lambda c: c.seq)
    assert names == [chunks[0].conversation_id] and {chunk.conversation_id for chunk in chunks} == set(names)
    assert [chunk.seq for chunk in chunks] == list(range(478))
    assert [round(chunk.offset_seconds, 3) for chunk in chunks] == [round(0.2 * n, 3) for n in range(478)]
    assert {chunk.sides for chunk in chunks} == {("agent", "customer")}
    original, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000  # so nothing is resampled and every sample must be the file's own
    sent = np.concatenate([chunk.samples for chunk in chunks], axis=1).T * 32768
    np.testing.assert_array_equal(sent, original)
    started, ended = (
        parse_call_event(r.value, r.headers) for r in await read_back(embedded_settings, "call.events", 2)
    )
    assert started.type == "call.started" and started.team == "english" and started.language == "en"
    assert started.agent is not None and (started.agent.id, started.agent.name) == ("a-7", "Ben")
    assert ended.type == "call.ended" and ended.offset_ms == 95440
    assert heard[-1] == ("agent_louder_12db.flac", 95.44, 95.44)


async def test_a_recording_is_sent_at_the_speed_that_was_asked_for(embedded_settings: Settings, tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.wav", 8000, 2.0, (440.0,))
    loop = asyncio.get_running_loop()
    for speed in (1.0, 4.0):
        began = loop.time()
        await replay(embedded_settings, [tmp_path / "tone.wav"], sides=("agent",), speed=speed)
        # 0.5 s above: connecting, and the two events before and after.
        assert 2.0 / speed <= loop.time() - began < 2.0 / speed + 0.5


def test_any_rate_comes_down_to_8_khz_with_each_side_in_its_channel(tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.flac", 44100, 1.0, (440.0, 1000.0))
    track = read_recording(tmp_path / "tone.flac", ("customer", "agent"))
    assert track.shape == (2, 8000)
    spectrum = np.abs(np.fft.rfft(track[:, :8000]))
    assert spectrum.argmax(axis=1).tolist() == [440, 1000]
    # The resampler passes the telephone band as it is: a sine's RMS within 0.1 dB.
    loudness = np.sqrt(((track[:, 400:-400] / 32768.0) ** 2).mean(axis=1))
    np.testing.assert_allclose(loudness, 0.5 / np.sqrt(2), rtol=0.012)


@pytest.mark.parametrize(
    ("make", "sides", "words"),
    [
        ("mono", ("agent", "customer"), "has 1 channel.*--sides names 2; write for example --sides agent$"),
        ("stereo", ("agent",), "has 2 channel.*write for example --sides agent,customer"),
        ("stereo", ("agent", "agent"), "the sides are agent,agent; write one of agent, customer, bot per channel"),
        ("text", ("agent",), "is not audio: .*Write a WAV or FLAC file"),
        ("short", ("agent",), "shorter than 20 ms"),
        ("absent", ("agent",), "is not there"),
        ("mp3", ("agent",), r"is none of .wav, .flac, .jsonl; convert it"),
    ],
)
async def test_a_recording_that_cannot_be_sent_is_explained(
    make: str, sides: tuple[Any, ...], words: str, tmp_path: Path
) -> None:
    path = tmp_path / ("call.mp3" if make == "mp3" else "call.wav")
    if make in ("mono", "stereo", "short"):
        write_tone(path, 8000, 0.01 if make == "short" else 1.0, (440.0, 600.0) if make == "stereo" else (440.0,))
    elif make != "absent":
        path.write_text("this is no sound")
    with pytest.raises(ReplayError, match=words):
        await replay(Settings(kafka="127.0.0.1:1"), [path], sides=sides)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": 0.5}, "the speed is 0.5; write 1 to 50"),
        ({"conversation_id": "c-1"}, "a conversation id was given for 0 recordings"),
        ({"agent_name": "Ben"}, "has a name and no id"),
    ],
)
async def test_a_wrong_option_is_explained(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        await replay(Settings(kafka="127.0.0.1:1"), [], **options)


async def test_json_lines_go_to_their_topics_as_plain_json(embedded_settings: Settings, tmp_path: Path) -> None:
    turn = {"topic": "transcript.turns", "conversation_id": "k-1", "side": "agent", "text": "您好"}
    lines = [CHAT, {**turn, "start_ms": 0, "end_ms": 900}, {**CHAT, "message_id": "m-2", "text": "再见"}]
    path = tmp_path / "day.jsonl"
    path.write_text("\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n", encoding="utf-8")
    assert await replay(embedded_settings, [path]) == ["c-9", "k-1"]
    records = await read_back(embedded_settings, "chat.messages", 2)
    assert [parse_chat(r.value, r.headers).text for r in records] == ["您好", "再见"]
    assert {(r.key, header_map(r.headers)["content-type"]) for r in records} == {(b"c-9", b"application/json")}
    (turned,) = await read_back(embedded_settings, "transcript.turns", 1)
    assert json.loads(turned.value) == {
        "conversation_id": "k-1", "side": "agent", "text": "您好", "start_ms": 0, "end_ms": 900,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "a list; write one JSON object a line"),
        ('{"topic": "qa.alerts"}', "topic is 'qa.alerts'; write one of chat.messages, transcript.turns, call.events"),
        (json.dumps({k: v for k, v in CHAT.items() if k != "conversation_id"}), "conversation_id: Field required"),
        (json.dumps({**CHAT, "sender": {"role": "agent"}}), "sender.id: Field required"),
        (json.dumps({**CHAT, "topic": "transcript.turns"}), "side: Field required"),
    ],
)
def test_a_bad_line_is_named_with_its_number(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    path.write_text(json.dumps(CHAT) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(ReplayError) as error:
        read_lines(path)
    assert f"{path}:2: " in str(error.value) and words in str(error.value)


async def test_a_file_with_a_bad_line_is_refused_before_anything_is_sent(
    embedded_settings: Settings, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps(CHAT))
    bad.write_text("{")
    with pytest.raises(ReplayError, match="bad.jsonl:1"):
        await replay(embedded_settings, [good, bad])
    await replay(embedded_settings, [good])
    assert len(await read_back(embedded_settings, "chat.messages", 1)) == 1
