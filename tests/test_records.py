from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import orjson
import pytest
import soundfile

from stream.asyncapi import TAKEN, TOLD
from stream.audio_records import audio_record, parse_audio
from stream.records import Record, call_event_record, chat_record, parse_call_event, parse_chat, turn_record
from tests.builders_audio import side_by_side, tone
from tests.builders_records import GOLDEN, PARSERS, golden, value_of, written_of_call, written_of_chat


def headers_of(said: dict[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in said.items()]


# What comes in --------------------------------------------------------------------------------------------


def the_forms(name: str) -> dict[str, tuple[bytes, list[tuple[str, bytes]]]]:
    """A golden record as CloudEvents binary and structured, and as plain JSON."""
    record = golden(name)
    value, headers = json.dumps(record["value"]).encode(), record["headers"]
    event = {attribute.removeprefix("ce_"): said for attribute, said in headers.items() if attribute.startswith("ce_")}
    event |= {"datacontenttype": headers["content-type"], "data": record["value"]}
    return {
        "binary": (value, headers_of(headers)),
        "structured": (
            json.dumps(event).encode(),
            [("content-type", b"application/cloudevents+json; charset=UTF-8")],
        ),
        "plain": (value, []),
    }


@pytest.mark.parametrize("form", ["binary", "structured", "plain"])
@pytest.mark.parametrize("name", ["chat.messages", "chat.messages.report", "transcript.turns", "call.events"])
def test_each_golden_record_means_the_same_in_all_three_forms(name: str, form: str) -> None:
    topic = name.removesuffix(".report")
    value, headers = the_forms(name)[form]
    assert PARSERS[topic](value, headers).model_dump(mode="json") == golden(name)["means"]


@pytest.mark.parametrize("topic", list(TAKEN))
def test_every_field_that_is_taken_stands_in_a_golden_record(topic: str) -> None:
    assert set(golden(topic)["value"]) == set(TAKEN[topic][1].model_fields)


def test_the_type_of_a_call_event_may_stand_in_its_header_alone() -> None:
    record = golden("call.events")
    value = {name: said for name, said in record["value"].items() if name != "type"}
    event = parse_call_event(json.dumps(value).encode(), headers_of(record["headers"]))
    assert event.model_dump(mode="json") == record["means"]


def test_what_is_not_known_is_ignored_and_header_names_may_be_written_in_any_case() -> None:
    value = json.dumps({**golden("chat.messages")["value"], "mood_of_the_day": {"x": 1}}).encode()
    headers = {"Content-Type": b"application/json", "X-Trace": b"\xff\x00", "ce_type": None}
    assert parse_chat(value, headers).model_dump(mode="json") == golden("chat.messages")["means"]


@pytest.mark.parametrize(
    ("made", "topic"),
    [
        (chat_record(golden("chat.messages")["value"]), "chat.messages"),
        (turn_record(golden("transcript.turns")["value"]), "transcript.turns"),
        (call_event_record("k-1", golden("call.events")["value"], "call.updated"), "call.events"),
    ],
)
def test_what_our_own_tools_publish_is_the_golden_record(made: Record, topic: str) -> None:
    record = golden(topic)
    assert (made.topic, made.key.decode()) == (topic, record["key"])
    assert orjson.loads(made.value) == record["value"]
    said = dict(made.headers)
    assert set(said) == set(record["headers"])
    for name in ("content-type", "ce_specversion", "ce_type"):
        assert said[name].decode() == record["headers"][name]


# Audio ----------------------------------------------------------------------------------------------------

SOUND = side_by_side(tone(440, 0.02, -12.0), tone(1000, 0.02, -30.0))
# One step of 16 bits, for the other library's full scale is 32767 and ours 32768; G.711 has 16 steps an octave:
# at most 1/32 of the value, and half of its smallest step near zero.
CODINGS = {
    "pcm16le": ("audio/pcm;encoding=s16le;rate=8000;channels=2", ("PCM_16", "LITTLE"), 1 / 32768, 0.0),
    "l16": ("audio/L16;rate=8000;channels=2", ("PCM_16", "BIG"), 1 / 32768, 0.0),
    "pcmu": ("audio/PCMU;rate=8000;channels=2", ("ULAW", "FILE"), 8 / 32768, 1 / 32),
    "pcma": ("audio/PCMA;rate=8000;channels=2", ("ALAW", "FILE"), 16 / 32768, 1 / 32),
}


def headers_of_audio(content_type: str, **more: bytes | None) -> list[tuple[str, bytes]]:
    said = {"seq": b"7", "offset_ms": b"1400", "sides": b"agent,customer", **more}
    pairs = [(name, value) for name, value in said.items() if value is not None]
    return [("content-type", content_type.encode()), *pairs]


@pytest.mark.parametrize("coding", list(CODINGS))
def test_golden_audio_of_each_coding_is_the_sound_it_was_made_from(coding: str) -> None:
    content_type, _, least, share = CODINGS[coding]
    chunk = parse_audio(b"k-1", (GOLDEN / f"audio.{coding}.bin").read_bytes(), headers_of_audio(content_type))
    assert (chunk.conversation_id, chunk.sides, chunk.rate) == ("k-1", ("agent", "customer"), 8000)
    assert (chunk.seq, chunk.offset_seconds) == (7, 1.4)
    assert chunk.samples.shape == SOUND.shape
    assert (np.abs(chunk.samples - SOUND) <= least + share * np.abs(SOUND)).all()


@pytest.mark.parametrize("coding", list(CODINGS))
@pytest.mark.parametrize("rate", [8000, 16000, 32000, 48000])
def test_every_rate_of_every_coding_is_read_as_another_library_wrote_it(coding: str, rate: int) -> None:
    content_type, (subtype, endian), least, share = CODINGS[coding]
    sound = side_by_side(tone(440, 0.1, -12.0, rate), tone(1000, 0.1, -30.0, rate))
    buffer = io.BytesIO()
    soundfile.write(buffer, sound.T, rate, format="RAW", subtype=subtype, endian=endian)
    headers = headers_of_audio(content_type.replace("8000", str(rate)))
    chunk = parse_audio(b"k-1", buffer.getvalue(), headers)
    assert (chunk.rate, chunk.samples.shape) == (rate, (2, rate // 10))
    assert (np.abs(chunk.samples - sound) <= least + share * np.abs(sound)).all()


def test_audio_without_rate_and_channels_is_one_channel_at_8_khz() -> None:
    chunk = parse_audio(b"k-1", bytes(320), headers_of_audio("audio/pcm", sides=b"customer"))
    assert (chunk.sides, chunk.rate, chunk.samples.shape) == (("customer",), 8000, (1, 160))


def test_the_audio_record_of_our_own_tools_is_read_back() -> None:
    record = audio_record(
        "k-1",
        (GOLDEN / "audio.pcm16le.bin").read_bytes(),
        content_type=CODINGS["pcm16le"][0],
        seq=7,
        offset_ms=1400,
        sides=("agent", "customer"),
    )
    assert {name: said.decode() for name, said in record.headers} == {
        "ce_specversion": "1.0",
        "ce_id": "k-1:7",
        "ce_type": "audio.frames",
        "ce_source": "/tonewatch",
        "content-type": "audio/pcm;encoding=s16le;rate=8000;channels=2",
        "seq": "7",
        "offset_ms": "1400",
        "sides": "agent,customer",
    }
    assert parse_audio(record.key, record.value, record.headers).seq == 7


# What goes out --------------------------------------------------------------------------------------------


async def test_what_one_message_leads_to_is_told_in_the_golden_records(tmp_path: Path) -> None:
    message = parse_chat(json.dumps(golden("chat.messages")["value"]).encode(), [])
    written = await written_of_chat(message, tmp_path)
    assert set(written) == set(TOLD) - {"qa.scores"}
    for topic, (key, record) in written.items():
        wanted = golden(topic)
        assert (key, value_of(record)) == (wanted["key"], wanted["value"]), topic
        TOLD[topic][1].model_validate(wanted["value"], extra="forbid")
        if isinstance(record, Record):
            said = {name: value.decode() for name, value in record.headers}
            assert said.pop("ce_id") and said.pop("ce_time")
            assert said == wanted["headers"]


def test_a_second_of_a_call_is_told_in_the_golden_record() -> None:
    wanted = golden("qa.scores")["value"]
    assert orjson.loads(written_of_call()) == wanted
    TOLD["qa.scores"][1].model_validate(wanted, extra="forbid")
