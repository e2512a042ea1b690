"""Every topic of the house in one place: what it is called, who writes and reads it, how long it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream.settings import Settings

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

LARGEST_RECORD_BYTES = 8 * 1024 * 1024
"""`max.message.bytes` of the topics others write to; a batch of the client counts as one here."""
LARGEST_REJECTED_BYTES = LARGEST_RECORD_BYTES + 64 * 1024
"""A rejected record comes back with headers that say why; without this room the largest could not be kept."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as `tonewatch topics apply` makes it and `docs/asyncapi.yaml` shows it."""

    name: str
    """As it is called on Kafka, prefix included."""
    noun: str
    """As it is called in this code base: the name without the prefix."""
    key: str
    partitions: int
    replication_factor: int
    retention_seconds: int | None
    """None where the newest record of each key is kept for ever (compacted)."""
    at_least: bool
    """The retention is a floor: a longer one that somebody has set stays."""
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    configs: Mapping[str, str]
    """What Kafka is told, by Kafka's own names."""


def topic_name(settings: Settings, noun: str) -> str:
    """The name on Kafka of a topic that the code calls `noun`, for example "chat.messages"."""
    return settings.topic_prefix + noun


def rejected_name(topic: str) -> str:
    """Where the poison of `topic` goes; `topic` is the name on Kafka."""
    return f"{topic}.rejected"


def group_name(settings: Settings, worker: str) -> str:
    """The consumer group, and Faust app id, of all workers of one kind: "chat" or "audio"."""
    return f"{settings.topic_prefix}tonewatch-{worker}"


INPUTS = ("audio.frames", "call.events", "transcript.turns", "chat.messages")
"""What others publish to us."""
AUDIO_WORKER_INPUTS = ("audio.frames", "call.events", "transcript.turns")
"""Must have equally many partitions: Faust gives one worker the same numbers of all of them only then."""
CHAT_WORKER_INPUTS = ("chat.messages", "transcript.turns")


def topics(settings: Settings) -> tuple[Topic, ...]:
    """All topics, in the order in which a record travels."""

    def topic(
        noun: str,
        key: str,
        retention_seconds: int | None,
        writers: tuple[str, ...],
        readers: tuple[str, ...],
        *,
        partitions: int = settings.partitions,
        at_least: bool = False,
        largest_bytes: int = LARGEST_RECORD_BYTES,
    ) -> Topic:
        configs = {
            "cleanup.policy": "delete",
            "max.message.bytes": str(largest_bytes),
            "min.insync.replicas": str(settings.min_insync_replicas),
            # Kafka deletes and compacts only closed segments, and closes one after seven days by itself: audio
            # that is to be gone after an hour would lie there for a week.
            "segment.ms": str(max(10 * MINUTE, min(DAY, (retention_seconds or DAY) // 6)) * 1000),
        }
        if retention_seconds is None:
            configs["cleanup.policy"] = "compact"
        else:
            configs["retention.ms"] = str(retention_seconds * 1000)
        if noun in INPUTS:
            # The record's time is when it arrived: a publisher's wrong clock then makes nothing stale or late.
            configs["message.timestamp.type"] = "LogAppendTime"
        return Topic(
            name=topic_name(settings, noun),
            noun=noun,
            key=key,
            partitions=partitions,
            replication_factor=settings.replication_factor,
            retention_seconds=retention_seconds,
            at_least=at_least,
            writers=writers,
            readers=readers,
            configs=configs,
        )

    def rejected(noun: str, writers: tuple[str, ...]) -> Topic:
        return topic(
            rejected_name(noun),
            "as it came",
            30 * DAY,
            writers,
            ("QA of data",),
            partitions=3,
            largest_bytes=LARGEST_REJECTED_BYTES,
        )

    return (
        topic("audio.frames", "conversation_id", HOUR, ("telephony", "ingest"), ("audio worker",)),
        topic("call.events", "conversation_id", 7 * DAY, ("telephony", "ingest"), ("audio worker",)),
        topic("transcript.turns", "conversation_id", 7 * DAY, ("speech recognisers",), ("chat worker", "audio worker")),
        topic("chat.messages", "conversation_id", 7 * DAY, ("chat platforms", "web"), ("chat worker",), at_least=True),
        topic("chat.verdicts", "conversation_id", DAY, ("chat worker",), ("chat platforms",)),
        topic("qa.scores", "conversation_id", 7 * DAY, ("audio worker",), ("web", "others")),
        topic("qa.alerts", "alert id", None, ("relay",), ("others",), partitions=6),
        topic("qa.interceptions", "interception id", None, ("relay",), ("others",), partitions=6),
        topic("agent.reminders", "agent_id", HOUR, ("relay",), ("agent desktops",), partitions=6),
        rejected("audio.frames", ("audio worker",)),
        rejected("call.events", ("audio worker",)),
        rejected("transcript.turns", ("chat worker", "audio worker")),
        rejected("chat.messages", ("chat worker",)),
    )
