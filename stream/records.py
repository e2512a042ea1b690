"""The Kafka envelope: how a record is made, and what a record that came in says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args
from uuid import uuid4

import orjson
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from pydantic import BaseModel, ValidationError

from alerts.intake.schema import CallEvent, ChatMessage, Turn, checked_name, explain
from detectors.decode import Encoding, decode
from detectors.values import Chunk, Side

MAX_VALUE_BYTES = 4 * 1024 * 1024
"""A larger value is no record of ours: a text of a million characters in four bytes each ends below it."""
SOURCE = "/tonewatch"
LONGEST_CHUNK_SECONDS = 1.0
REJECT_HEADERS = ("reason", "error", "topic", "partition", "offset")
"""What is added to a record that is set aside."""

Headers = list[tuple[str, bytes]]
Model = TypeVar("Model", bound=BaseModel)

_ENCODINGS: Mapping[str, Encoding] = {"audio/l16": "s16be", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}


class BadRecord(ValueError):
    """A record that cannot be used: `reason` is a short word for counting, the message says what is wrong."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Record:
    """A record ready to be published; the topic is without the deployment's prefix."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


# Out ------------------------------------------------------------------------------------------------------


def json_record(topic: str, key: str, type_: str, data: Mapping[str, Any] | bytes) -> Record:
    """Return a CloudEvents record in binary mode: attributes as headers, `data` itself as value."""
    value = data if isinstance(data, bytes) else orjson.dumps(data)
    event = CloudEvent(
        attributes={
            "id": uuid4().hex,
            "type": type_,
            "source": SOURCE,
            "time": datetime.now(UTC),
            "datacontenttype": "application/json",
        },
        data=value,
    )
    return Record(topic, key.encode(), value, list(to_binary_event(event).headers.items()))


def chat_record(message: Mapping[str, Any]) -> Record:
    """Return the record of a chat message (a dict in the form of `wire.md`)."""
    return json_record("chat.messages", str(message["conversation_id"]), "chat.message", message)


def turn_record(turn: Mapping[str, Any]) -> Record:
    """Return the record of a turn of a transcript."""
    return json_record("transcript.turns", str(turn["conversation_id"]), "transcript.turn", turn)


def call_event_record(conversation_id: str, event: Mapping[str, Any], type: str) -> Record:
    """Return the record of a call's event; `type` is call.started, call.updated or call.ended."""
    body = {**event, "conversation_id": conversation_id, "type": type}
    return json_record("call.events", conversation_id, type, body)


def audio_record(
    conversation_id: str, payload: bytes, *, content_type: str, seq: int, offset_ms: int, sides: Iterable[str]
) -> Record:
    """Return the record of a piece of audio: the value is the samples, all else stands in headers."""
    headers = [
        # By hand and without an id of its own: five records a second and call, and `seq` names it already.
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{conversation_id}:{seq}".encode()),
        ("ce_type", b"audio.frames"),
        ("ce_source", SOURCE.encode()),
        ("content-type", content_type.encode()),
        ("seq", b"%d" % seq),
        ("offset_ms", b"%d" % offset_ms),
        ("sides", ",".join(sides).encode()),
    ]
    return Record("audio.frames", conversation_id.encode(), payload, headers)


# In -------------------------------------------------------------------------------------------------------


def header_map(headers: Any) -> dict[str, bytes]:
    """Return a record's headers by lower-case name, whichever form the client handed over."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return {str(name).lower(): value for name, value in pairs if value is not None}


def parse_chat(value: bytes | None, headers: Any) -> ChatMessage:
    """Return the chat message of a record. Raises BadRecord."""
    return _validated(ChatMessage, _json_of(value, header_map(headers)))


def parse_turn(value: bytes | None, headers: Any) -> Turn:
    """Return the turn of a record. Raises BadRecord."""
    turn = _validated(Turn, _json_of(value, header_map(headers)))
    if turn.end_ms < turn.start_ms:
        raise BadRecord("schema", f"end_ms {turn.end_ms:g} lies before start_ms {turn.start_ms:g}")
    return turn


def parse_call_event(value: bytes | None, headers: Any) -> CallEvent:
    """Return the call event of a record; its type may stand in `ce_type` alone. Raises BadRecord."""
    names = header_map(headers)
    body = _json_of(value, names)
    if isinstance(body, dict) and "type" not in body and "ce_type" in names:
        body = {**body, "type": names["ce_type"].decode("utf-8", "replace")}
    return _validated(CallEvent, body)


def parse_audio(key: bytes | None, value: bytes | None, headers: Any) -> Chunk:
    """Return the chunk of an audio record. Raises BadRecord."""
    names = header_map(headers)
    if not key:
        raise BadRecord("key", "no key; the key of audio.frames is the conversation_id")
    if not value:
        raise BadRecord("empty", "no audio in the value")
    encoding, rate, channels = _audio_format(names)
    seq, offset_ms = _number(names, "seq"), _number(names, "offset_ms")
    sides = _sides(names, channels)
    try:
        conversation_id = checked_name(key.decode("utf-8"))
        samples = decode(value, encoding, rate, channels)
    except UnicodeDecodeError:
        raise BadRecord("encoding", "the key is not UTF-8") from None
    except ValidationError as error:
        raise BadRecord("key", f"the key, which is the conversation_id: {explain(error)}") from None
    except ValueError as error:
        raise BadRecord("audio", str(error)) from None
    if samples.shape[1] > LONGEST_CHUNK_SECONDS * rate:
        raise BadRecord("audio", f"{samples.shape[1] / rate:.2f} s in one record; send 20 ms to 1 s, 200 ms advised")
    return Chunk(conversation_id, sides, samples, rate, seq, offset_ms / 1000)


def _json_of(value: bytes | None, headers: Mapping[str, bytes]) -> Any:
    """Return the data of a JSON record: CloudEvents binary or structured, or plain JSON."""
    if value is None:
        raise BadRecord("null", "the value is null")
    if len(value) > MAX_VALUE_BYTES:
        raise BadRecord("size", f"{len(value)} bytes; at most {MAX_VALUE_BYTES} are read")
    structured = headers.get("content-type", b"").startswith(b"application/cloudevents")
    try:
        # orjson is the door for all three forms: it refuses bad UTF-8, NaN and lone surrogates.
        body = orjson.loads(value)
        if not structured:
            return body
        return from_kafka_event(KafkaMessage(headers=dict(headers), key=None, value=value)).get_data()
    except orjson.JSONDecodeError as error:
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as bad:
            raise BadRecord("encoding", f"not UTF-8 at byte {bad.start}") from None
        raise BadRecord("json", f"not JSON: {error}") from None
    except Exception as error:
        # Whatever the SDK raises on a stranger's bytes (RecursionError on deep nesting is one): here it is poison,
        # further out it would end the worker, again and again.
        raise BadRecord("cloudevent", f"not a CloudEvent: {error}") from None


def _validated(model: type[Model], body: Any) -> Model:
    """Return the model of a parsed body."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise BadRecord("schema", explain(error)) from None


def _audio_format(headers: Mapping[str, bytes]) -> tuple[Encoding, int, int]:
    """Return (encoding, rate, channels) of `content-type`."""
    text = headers.get("content-type", b"").decode("ascii", "replace").lower()
    kind, _, rest = text.partition(";")
    parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";") if "=" in part)
    kind = kind.strip()
    encoding = _ENCODINGS.get(kind)
    if kind == "audio/pcm":
        if parameters.get("encoding", "s16le") != "s16le":
            raise BadRecord("audio", f"encoding {parameters['encoding']!r} of audio/pcm; write encoding=s16le")
        encoding = "s16le"
    if encoding is None:
        raise BadRecord(
            "audio",
            f"content-type {text[:80]!r}; write audio/pcm;encoding=s16le;rate=8000;channels=2, "
            "or audio/L16, audio/PCMU, audio/PCMA",
        )
    rate, channels = parameters.get("rate", "8000"), parameters.get("channels", "1")
    # At most six digits: Python refuses to read a number of thousands of them, which would end the worker.
    if not (re.fullmatch("[0-9]{1,6}", rate) and channels in ("1", "2")):
        raise BadRecord("audio", f"rate={rate[:20]}, channels={channels[:20]}; rate is in Hz, channels 1 or 2")
    return encoding, int(rate), int(channels)


def _number(headers: Mapping[str, bytes], name: str) -> int:
    """Return a header that is an ASCII decimal."""
    text = headers.get(name)
    if text is None:
        raise BadRecord("header", f"no header {name!r}")
    if not re.fullmatch(rb"[0-9]{1,15}", text):
        raise BadRecord("header", f"header {name!r} is {text[:40]!r}; write an ASCII decimal")
    return int(text)


def _sides(headers: Mapping[str, bytes], channels: int) -> tuple[Side, ...]:
    """Return the side of each channel."""
    text = headers.get("sides", b"").decode("ascii", "replace")
    sides = tuple(part.strip() for part in text.split(",")) if text else ()
    known = get_args(Side)
    if len(sides) != channels or len(set(sides)) != channels or any(side not in known for side in sides):
        raise BadRecord(
            "sides",
            f"header 'sides' is {text[:60]!r} for {channels} channel(s); write one of {', '.join(known)} per channel",
        )
    return sides  # type: ignore[return-value]  # each was found in get_args(Side) above
