from __future__ import annotations

import json
from typing import Any

import pytest

from stream.audio_records import parse_audio
from stream.records import MAX_VALUE_BYTES, BadRecord, parse_chat, parse_turn
from tests.builders_records import PARSERS, golden

MESSAGE = golden("chat.messages")["value"]
TURN = golden("transcript.turns")["value"]
EVENT = golden("call.events")["value"]


def without(body: dict[str, Any], name: str) -> bytes:
    return json.dumps({key: value for key, value in body.items() if key != name}).encode()


def changed(body: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({**body, **more}).encode()


@pytest.mark.parametrize("topic", list(PARSERS))
@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        (None, "null", "null"),
        (b"", "json", "not JSON"),
        (b"hello", "json", "not JSON"),
        (b'{"conversation_id": "c-1"', "json", "not JSON"),
        (b'{"text": NaN}', "json", "not JSON"),
        (b'{"text": "\\ud800"}', "json", "surrogate"),
        (b'{"text": "\xed\xa0\x80"}', "encoding", "byte 10"),
        (b'{"text": "\xff"}', "encoding", "byte 10"),
        (b"[1, 2]", "schema", "record"),
        (b"null", "schema", "record"),
        (b"{}", "schema", "Field required"),
        (b" " * (MAX_VALUE_BYTES + 1), "size", str(MAX_VALUE_BYTES)),
        (b"[" * 100_000, "json", "depth"),
    ],
)
def test_what_is_no_record_is_refused_with_its_reason(topic: str, value: bytes | None, reason: str, says: str) -> None:
    with pytest.raises(BadRecord, match=says) as refused:
        PARSERS[topic](value, [])
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("topic", "value", "says"),
    [
        ("chat.messages", without(MESSAGE, "conversation_id"), "conversation_id: Field required"),
        ("chat.messages", changed(MESSAGE, conversation_id=""), "conversation_id: .*at least 1 character"),
        ("chat.messages", changed(MESSAGE, conversation_id=9), "conversation_id: .*valid string"),
        ("chat.messages", changed(MESSAGE, conversation_id="c" * 257), "conversation_id: .*at most 256"),
        ("chat.messages", changed(MESSAGE, conversation_id="c\0"), "conversation_id: .*NUL character"),
        ("chat.messages", changed(MESSAGE, message_id="\0"), "message_id: .*NUL character"),
        ("chat.messages", changed(MESSAGE, sender={"id": "a\0"}), "sender.id: .*NUL character"),
        ("chat.messages", changed(MESSAGE, sender={"id": "a", "role": "boss"}), "sender.role"),
        ("chat.messages", changed(MESSAGE, sent_at="2026-11-21T10:00:00"), "sent_at: .*timezone"),
        ("chat.messages", changed(MESSAGE, delivery="lost"), "delivery"),
        ("chat.messages", without(MESSAGE, "text"), "text: Field required"),
        ("chat.messages", changed(MESSAGE, text="x" * 1_000_001), "text: .*at most 1000000"),
        ("transcript.turns", changed(TURN, side="boss"), "side"),
        ("transcript.turns", changed(TURN, start_ms=-1), "start_ms: .*greater than or equal to 0"),
        ("transcript.turns", changed(TURN, end_ms=1), "end_ms 1 lies before start_ms 1200"),
        ("call.events", without(EVENT, "type"), "type: Field required"),
        ("call.events", changed(EVENT, type="call.lost"), "type"),
        ("call.events", changed(EVENT, offset_ms="0"), "offset_ms"),
        ("call.events", changed(EVENT, agent={"id": 17}), "agent.id: .*valid string"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_with_the_place(topic: str, value: bytes, says: str) -> None:
    with pytest.raises(BadRecord, match=says) as refused:
        PARSERS[topic](value, [])
    assert refused.value.reason == "schema"
    assert "13800137712" not in str(refused.value), "a customer's number is not for the log"


@pytest.mark.parametrize(
    "value",
    [
        b"[1]",
        b'{"specversion": "1.0"}',
        b'{"specversion": 1, "id": [], "type": {}, "source": 3, "data": {}}',
        b'{"specversion": "1.0", "id": "1", "type": "x", "source": "s", "time": "nope", "data": {}}',
        # The SDK's own reader runs out of stack where ours has let it pass.
        b'{"specversion": "1.0", "id": "1", "type": "x", "source": "s", "data": %s}' % (b"[" * 1000 + b"]" * 1000),
    ],
)
def test_what_is_no_cloudevent_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord) as refused:
        parse_chat(value, [("content-type", b"application/cloudevents+json")])
    assert refused.value.reason == "cloudevent"


def test_a_nul_in_a_text_becomes_the_character_that_says_so_and_spans_stay_right() -> None:
    sender = {"id": "a", "name": "L\0in"}
    said = {"matched": ["\0x", {"phrase": "y\0"}], "delivered_text": "\0"}
    message = parse_chat(changed(MESSAGE, text="a\0b骗子", sender=sender, **said), [])
    assert (message.text, message.sender.name, message.delivered_text) == ("a\ufffdb骗子", "L\ufffdin", "\ufffd")
    assert [m if isinstance(m, str) else m.phrase for m in message.matched] == ["\ufffdx", "y\ufffd"]
    assert parse_turn(changed(TURN, text="\0好"), []).text == "\ufffd好"


@pytest.mark.parametrize(
    ("more", "reason", "says"),
    [
        ({"key": None}, "key", "conversation_id"),
        ({"key": b""}, "key", "conversation_id"),
        ({"key": b"k\0"}, "key", "NUL character"),
        ({"key": b"k" * 257}, "key", "at most 256"),
        ({"key": b"k\xff"}, "encoding", "not UTF-8"),
        ({"value": None}, "empty", "no audio"),
        ({"value": b""}, "empty", "no audio"),
        ({"value": bytes(639)}, "audio", "multiple of 4 bytes"),
        ({"value": bytes(32_004)}, "audio", "1.00 s in one record; send 20 ms to 1 s"),
        ({"value": bytes(5_000_000)}, "audio", "send 20 ms to 1 s"),
        ({"content-type": None}, "audio", "write audio/pcm"),
        ({"content-type": b"audio/opus"}, "audio", "write audio/pcm"),
        ({"content-type": b"application/json"}, "audio", "write audio/pcm"),
        ({"content-type": b"audio/pcm;encoding=s24le"}, "audio", "write encoding=s16le"),
        ({"content-type": b"audio/pcm;rate=44100;channels=2"}, "audio", "8000, 16000, 32000, 48000"),
        ({"content-type": b"audio/pcm;rate=fast;channels=2"}, "audio", "rate is in Hz"),
        # More digits than Python reads as a number, and a digit that is none of ours.
        ({"content-type": b"audio/pcm;channels=2;rate=" + b"9" * 5000}, "audio", "rate is in Hz"),
        ({"content-type": "audio/pcm;channels=2;rate=\u0661".encode()}, "audio", "rate is in Hz"),
        ({"content-type": b"audio/pcm;rate=8000;channels=3"}, "audio", "channels 1 or 2"),
        ({"seq": None}, "header", "no header 'seq'"),
        ({"offset_ms": None}, "header", "no header 'offset_ms'"),
        ({"seq": b"-1"}, "header", "ASCII decimal"),
        ({"seq": b"1.5"}, "header", "ASCII decimal"),
        ({"offset_ms": b"9" * 5000}, "header", "ASCII decimal"),
        ({"sides": None}, "sides", "2 channel"),
        ({"sides": b"agent"}, "sides", "2 channel"),
        ({"sides": b"agent,agent"}, "sides", "one of agent, customer, bot"),
        ({"sides": b"agent,boss"}, "sides", "one of agent, customer, bot"),
        ({"sides": b"\xff,agent"}, "sides", "one of agent, customer, bot"),
    ],
)
def test_audio_that_cannot_be_used_is_refused_with_what_to_write_instead(
    more: dict[str, Any], reason: str, says: str
) -> None:
    record: dict[str, Any] = {"key": b"k-1", "value": bytes(640), "content-type": b"audio/pcm;channels=2"} | more
    key, value = record.pop("key"), record.pop("value")
    said = {"seq": b"0", "offset_ms": b"0", "sides": b"agent,customer", **record}
    with pytest.raises(BadRecord, match=says) as refused:
        parse_audio(key, value, said)
    assert refused.value.reason == reason
