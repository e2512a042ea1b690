"""The Kafka envelope: how a record is made, and what a record that came in says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from pydantic import BaseModel, ValidationError

from alerts.intake.schema import CallEvent, ChatMessage, Turn, explain

MAX_VALUE_BYTES = 4 * 1024 * 1024
"""A larger value is no record of ours: a text of a million characters in four bytes each ends below it."""
SOURCE = "/tonewatch"
REJECT_HEADERS = ("reason", "error", "topic", "partition", "offset")
"""What is added to a record that is set aside."""

Headers = list[tuple[str, bytes]]
Model = TypeVar("Model", bound=BaseModel)


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
