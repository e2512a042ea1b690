"""Describes what travels, topics and the pages' WebSocket, as an AsyncAPI 3.1 document made from the code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from alerts.bodies import AlertRecord, ReminderBody, ScoreBody, VerdictBody
from alerts.intake.schema import CallEvent, ChatMessage, Turn
from alerts.web.live_bodies import MESSAGES
from alerts.web.log_bodies import LogRow
from detectors.decode import RATES
from stream.audio_records import LONGEST_CHUNK_SECONDS
from stream.records import MAX_VALUE_BYTES
from stream.settings import Settings
from stream.topics import Topic, group_name, topics

KAFKA_BINDING = "0.5.0"
WEBSOCKET_BINDING = "0.1.0"
JSON = "application/json"

TAKEN: Mapping[str, tuple[str, type[BaseModel]]] = {
    "call.events": ("the event as type in the value or in ce_type", CallEvent),
    "transcript.turns": ("transcript.turn", Turn),
    "chat.messages": ("chat.message", ChatMessage),
}
"""What comes in as JSON: topic -> its CloudEvents type, and its model."""
TOLD: Mapping[str, tuple[str, type[BaseModel]]] = {
    "chat.verdicts": ("chat.verdict", VerdictBody),
    "qa.scores": ("qa.score", ScoreBody),
    "qa.alerts": ("qa.alert", AlertRecord),
    "qa.interceptions": ("qa.interception", LogRow),
    "agent.reminders": ("agent.reminder", ReminderBody),
}
"""What goes out as JSON."""

_SUMMARIES = {
    "audio.frames": f"Call audio, 20 ms to {LONGEST_CHUNK_SECONDS:g} s a record, 200 ms advised.",
    "call.events": "A call was started, updated (agent, transfer, hold) or ended.",
    "transcript.turns": "One turn of a call in words, of any speech recogniser.",
    "chat.messages": "A chat message as written, or what a platform did with one.",
    "chat.verdicts": "What the platform should do with a message: at least one per message, identical on repeat.",
    "qa.scores": "One record per call and second of its own time, all metrics and sides in it.",
    "qa.alerts": "Every state of every alert; a later version of an id replaces the earlier.",
    "qa.interceptions": "Every interception and violation, and every review of one.",
    "agent.reminders": "The agent's own copy of an alert.",
}
_DECIMAL = {"type": "string", "pattern": "^[0-9]{1,15}$"}

Json = dict[str, Any]


class _Draft07(GenerateJsonSchema):
    """AsyncAPI's schemas are of draft 07, where the items of a tuple are called `items`."""

    def tuple_schema(self, schema: core_schema.TupleSchema) -> Json:
        """Rename what draft 2020-12 calls `prefixItems`."""
        made = super().tuple_schema(schema)
        if "prefixItems" in made:
            made["items"] = made.pop("prefixItems")
        return made


def document(settings: Settings) -> Json:
    """Return the AsyncAPI document of a deployment with these settings."""
    described = topics(settings)
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Tonewatch",
            "version": version("tonewatch"),
            "description": "Audio and chat of a contact centre in; verdicts, scores, alerts and interceptions out. "
            "JSON records may come as CloudEvents, binary (ce_* headers) or structured "
            "(content-type: application/cloudevents+json), or as plain JSON; unknown fields are ignored. "
            f"A JSON value has at most {MAX_VALUE_BYTES} bytes.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {
            "kafka": {"host": settings.kafka, "protocol": _protocol(settings)},
            "web": {"host": f"{settings.web_host}:{settings.web_port}", "protocol": "ws"},
        },
        "channels": {topic.noun: _channel(topic) for topic in described} | {"live": _live_channel()},
        "operations": dict(_operations(settings, described)),
        "components": {
            "messages": {
                topic.noun: _message(topic) for topic in described if not topic.noun.endswith(".rejected")
            } | {"rejected": _rejected(), **{_live_name(model): _live_message(model) for model in MESSAGES}},
            "schemas": _schemas(),
        },
    }  # fmt: skip


def _protocol(settings: Settings) -> str:
    """Return AsyncAPI's word for how Kafka is spoken to."""
    return "kafka-secure" if settings.kafka_security_protocol.endswith("SSL") else "kafka"


def _schemas() -> Json:
    """Return the JSON Schema of every body, by the name of its model."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for _, model in TAKEN.values()]
    wanted += [(model, "serialization") for _, model in TOLD.values()]
    wanted += [(model, "serialization") for model in MESSAGES]
    _, made = models_json_schema(
        wanted, ref_template="#/components/schemas/{model}", schema_generator=_Draft07
    )  # fmt: skip
    schemas: Json = made["$defs"]
    return schemas


def _ref(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}


# Kafka ----------------------------------------------------------------------------------------------------


def _channel(topic: Topic) -> Json:
    """Return a topic as a channel: partitions, copies, and what Kafka is told of it."""
    is_rejected = topic.noun.endswith(".rejected")
    configuration: Json = {
        name: int(value) if value.isdecimal() else [value] if name == "cleanup.policy" else value
        for name, value in topic.configs.items()
    }
    return {
        "address": topic.name,
        "summary": f"What of {topic.noun.removesuffix('.rejected')} could not be used, as it came."
        if is_rejected
        else _SUMMARIES[topic.noun],
        "description": f"Key: {topic.key}. Written by {', '.join(topic.writers)}; read by {', '.join(topic.readers)}."
        + (" The retention is a floor." if topic.at_least else ""),
        "servers": [_ref("servers", "kafka")],
        "messages": {"record": _ref("components", "messages", "rejected" if is_rejected else topic.noun)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": topic.replication_factor,
                "topicConfiguration": configuration,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _message(topic: Topic) -> Json:
    """Return what a record of a topic looks like."""
    bindings = {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": KAFKA_BINDING}}
    if topic.noun == "audio.frames":
        return {"summary": _SUMMARIES[topic.noun], **_audio(), "bindings": bindings}
    type_, model = {**TAKEN, **TOLD}[topic.noun]
    return {
        "name": model.__name__,
        "summary": _SUMMARIES[topic.noun],
        "contentType": JSON,
        "headers": _cloudevent_headers(type_, required=topic.noun in TOLD),
        "payload": _ref("components", "schemas", model.__name__),
        "bindings": bindings,
    }


def _cloudevent_headers(type_: str, *, required: bool) -> Json:
    """Return the attributes of a CloudEvent in binary mode; of what others send none is needed."""
    return {
        "type": "object",
        "properties": {
            "content-type": {"type": "string"},
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_type": {"type": "string", "description": type_},
            "ce_source": {"type": "string"},
            "ce_id": {"type": "string"},
            "ce_time": {"type": "string", "format": "date-time"},
        },
        "required": ["content-type", "ce_specversion", "ce_type"] if required else [],
    }


def _audio() -> Json:
    """Return what a record of audio looks like: samples as value, all else in headers."""
    rates = "|".join(map(str, RATES))
    return {
        "name": "audio",
        "contentType": "audio/pcm;encoding=s16le;rate=8000;channels=2",
        "headers": {
            "type": "object",
            "properties": {
                "content-type": {
                    "type": "string",
                    "pattern": f"^audio/(pcm;encoding=s16le|L16|PCMU|PCMA)(;rate=({rates}))?(;channels=[12])?$",
                    "description": "audio/pcm is little-endian, audio/L16 big-endian (RFC 2586); "
                    "without a rate 8000 Hz, without channels one",
                },
                "seq": {
                    **_DECIMAL,
                    "description": "counts from 0 per (conversation, sides); a jump is loss, a repeat counts once",
                },
                "offset_ms": {
                    **_DECIMAL,
                    "description": "time of the first sample since the call began; "
                    "a jump with contiguous seq is silence that was not sent",
                },
                "sides": {
                    "type": "string",
                    "pattern": "^(agent|customer|bot)(,(agent|customer|bot))?$",
                    "description": "in channel order",
                },
            },
            "required": ["content-type", "seq", "offset_ms", "sides"],
        },
        "payload": {"type": "string", "format": "binary", "description": "interleaved samples"},
    }


def _rejected() -> Json:
    """Return what a rejected record looks like: as it came, with headers that say why."""
    said = {
        "reason": "one word, for counting: json, encoding, null, size, schema, cloudevent, key, header, audio, …",
        "error": "what is wrong, where, and what to write instead",
        "topic": "where it came",
        "partition": "where it came",
        "offset": "where it came",
    }
    return {
        "name": "rejected",
        "summary": "A record that could not be used: key, value and headers as they came, and why.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": words} for name, words in said.items()},
            "required": list(said),
        },
        "payload": {"type": "string", "format": "binary"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": KAFKA_BINDING}},
    }


def _operations(settings: Settings, described: Sequence[Topic]) -> Iterator[tuple[str, Json]]:
    """Give what Tonewatch does with each channel: a worker receives as a group, whoever writes sends."""
    for topic in described:
        ours = {"chat worker": "chat", "audio worker": "audio"}
        for reader in topic.readers:
            if reader in ours:
                group = group_name(settings, ours[reader])
                yield f"{ours[reader]} receives {topic.noun}", _operation("receive", topic, group)
        writers = [writer for writer in topic.writers if writer in (*ours, "relay")]
        if writers:
            yield f"{' and '.join(writers)} send {topic.noun}".replace(" worker", ""), _operation("send", topic)
    yield "pages receive live", {"action": "send", "channel": _ref("channels", "live")}


def _operation(action: str, topic: Topic, group: str | None = None) -> Json:
    """Return one operation; `group` is the consumer group of whoever receives."""
    made: Json = {"action": action, "channel": _ref("channels", topic.noun)}
    if group is not None:
        binding = {"groupId": {"type": "string", "const": group}, "bindingVersion": KAFKA_BINDING}
        made["bindings"] = {"kafka": binding}
    return made


# The pages' WebSocket -------------------------------------------------------------------------------------


def _live_channel() -> Json:
    """Return `/ws/live`: everything a logged-in person may see, as it is committed."""
    return {
        "address": "/ws/live",
        "summary": "What is open now, what was missed since `after`, then every change; only from the server.",
        "description": "Needs the session cookie of /api/login. Closed with 4401 when the login ends, "
        "4408 when the page reads too slowly: connect again with the last seq as `after`.",
        "servers": [_ref("servers", "web")],
        "messages": {_live_name(model): _ref("components", "messages", _live_name(model)) for model in MESSAGES},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {"type": "object", "properties": {"after": {"type": "integer", "description": "last seq"}}},
                "bindingVersion": WEBSOCKET_BINDING,
            }
        },
    }


def _live_name(model: type[BaseModel]) -> str:
    return f"live.{model.__name__}"


def _live_message(model: type[BaseModel]) -> Json:
    """Return one kind of message of `/ws/live`."""
    summary = (model.__doc__ or "").strip()
    return {"name": model.__name__, "summary": summary, "payload": _ref("components", "schemas", model.__name__)}
