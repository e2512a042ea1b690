"""`tonewatch topics apply`: what differs between Kafka's topics and ours, and making it equal; nothing is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaTimeoutError, TopicAlreadyExistsError, for_code

from stream.kafka_client import admin_client
from stream.settings import Settings
from stream.topics import Topic, topics

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

SHOWN_SECONDS = 15.0
LOOK_SECONDS = 0.1
SET_ON_THE_TOPIC = 1
"""DescribeConfigs' source of a value that stands on the topic itself; the others are the cluster's defaults."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not on Kafka as `stream.topics` has it."""

    topic: str
    what: Literal["topic", "config", "partitions", "replication"]
    name: str
    """The config's name for Kafka, else the same as `what`."""
    found: str
    """What is there now; "missing" where nothing is."""
    wanted: str
    remedy: str
    """What `apply` does about it, or, where it does nothing, what a person has to do."""
    by_hand: bool
    """`apply` leaves it alone."""
    done: bool = False


async def plan(settings: Settings) -> list[Difference]:
    """What `apply` would find different, in the order of `stream.topics`; changes nothing.

    Raises aiokafka's KafkaError where Kafka cannot be reached or refuses.
    """
    client = admin_client(settings)
    try:
        await client.start()
        return await _differences(client, settings)
    finally:
        await client.close()


async def apply(settings: Settings) -> list[Difference]:
    """Make missing topics, set configs that differ; the differences there were, `done` where they are no more.

    Returns when Kafka shows the changes, so that a worker started next finds them. May run twice at the same time.
    Raises aiokafka's KafkaError with the topic's name where Kafka refuses a change.
    """
    client = admin_client(settings)
    try:
        await client.start()
        found = await _differences(client, settings)
        ours = {topic.name: topic for topic in topics(settings)}
        changing = [difference for difference in found if not difference.by_hand]
        await _create(client, [ours[each.topic] for each in changing if each.what == "topic"])
        await _set_configs(client, [each for each in changing if each.what == "config"])
        if changing:
            await _until_shown(client, settings)
        return [each if each.by_hand else replace(each, done=True) for each in found]
    finally:
        await client.close()


async def _until_shown(client: AIOKafkaAdminClient, settings: Settings) -> None:
    """Wait for the broker we ask: it learns of a change a moment after the controller has accepted it."""
    for _ in range(int(SHOWN_SECONDS / LOOK_SECONDS)):
        left = [each for each in await _differences(client, settings) if not each.by_hand]
        if not left:
            return
        await asyncio.sleep(LOOK_SECONDS)
    names = ", ".join(f"{each.topic} {each.name}" for each in left)
    raise KafkaTimeoutError(f"Kafka accepted the changes but does not show them after {SHOWN_SECONDS:g} s: {names}")


async def partition_counts(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Partitions of those of `names` that exist, by name."""
    return {name: len(described["partitions"]) for name, described in (await _described(client, names)).items()}


async def _described(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Kafka's metadata of those of `names` that exist, by name."""
    wanted = set(names)
    # All topics are asked for: asking for one that is missing creates it where the broker allows that.
    return {each["topic"]: each for each in await client.describe_topics() if each["topic"] in wanted}


async def _differences(client: AIOKafkaAdminClient, settings: Settings) -> list[Difference]:
    ours = topics(settings)
    described = await _described(client, (topic.name for topic in ours))
    # The mock cluster knows no topic configs; it is told the topics at its start and keeps what fits into memory.
    configs = {} if settings.kafka_embedded else await _configs(client, described)
    found: list[Difference] = []
    for topic in ours:
        if topic.name not in described:
            found.append(_missing(topic, settings))
            continue
        found += _shape(topic, described[topic.name]["partitions"])
        if topic.name in configs:
            found += _config_differences(topic, configs[topic.name])
    return found


def _missing(topic: Topic, settings: Settings) -> Difference:
    wanted = f"{topic.partitions} partitions, {topic.replication_factor} copies"
    if settings.kafka_embedded:
        remedy = "the embedded broker makes its topics at its start: restart it with these settings"
    else:
        remedy = "is created"
    return Difference(topic.name, "topic", "topic", "missing", wanted, remedy, by_hand=settings.kafka_embedded)


def _shape(topic: Topic, partitions: list[dict[str, Any]]) -> list[Difference]:
    """Differences that only a person can mend."""
    found = []
    if len(partitions) != topic.partitions:
        found.append(
            Difference(
                topic.name,
                "partitions",
                "partitions",
                str(len(partitions)),
                str(topic.partitions),
                # More partitions give a key another one: a running conversation's records would overtake each other.
                f"stop publishers and workers, let them catch up, then `kafka-topics.sh --alter --topic {topic.name} "
                f"--partitions {topic.partitions}`, or set TONEWATCH_PARTITIONS to what is there",
                by_hand=True,
            )
        )
    copies = min((len(partition["replicas"]) for partition in partitions), default=0)
    if copies < topic.replication_factor:
        found.append(
            Difference(
                topic.name,
                "replication",
                "replication",
                str(copies),
                str(topic.replication_factor),
                "add copies with `kafka-reassign-partitions.sh`, or set TONEWATCH_REPLICATION_FACTOR to what is there",
                by_hand=True,
            )
        )
    return found


def _config_differences(topic: Topic, there: Mapping[str, tuple[str, bool]]) -> list[Difference]:
    found = []
    for name, wanted in topic.configs.items():
        value, _ = there.get(name, ("", False))
        if value == wanted or (name == "retention.ms" and topic.at_least and _as_long(value, wanted)):
            continue
        found.append(Difference(topic.name, "config", name, value or "missing", wanted, "is set", by_hand=False))
    return found


def _as_long(retention: str, wanted: str) -> bool:
    """A retention of -1 is for ever."""
    return retention == "-1" or int(retention or 0) >= int(wanted)


async def _configs(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, tuple[str, bool]]]:
    """Per topic and config: its value, and whether it is set on the topic itself."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for response in await client.describe_configs(resources) if resources else []:
        for resource in response.to_object()["resources"]:
            _raise_for(resource["error_code"], resource["resource_name"], resource["error_message"])
            found[resource["resource_name"]] = {
                entry["config_names"]: (entry["config_value"] or "", entry["config_source"] == SET_ON_THE_TOPIC)
                for entry in resource["config_entries"]
            }
    return found


async def _create(client: AIOKafkaAdminClient, missing: list[Topic]) -> None:
    if not missing:
        return
    response = await client.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.configs))
            for topic in missing
        ]
    )
    for name, code, *message in response.topic_errors:
        # Somebody was quicker: two `topics apply` at once, or a broker that does not show yet what we made before.
        if code != TopicAlreadyExistsError.errno:
            _raise_for(code, name, message[0] if message else None)


async def _set_configs(client: AIOKafkaAdminClient, changes: list[Difference]) -> None:
    if not changes:
        return
    names = dict.fromkeys(change.topic for change in changes)
    # AlterConfigs replaces everything that is set on a topic: what somebody else has set there must go with ours,
    # or it would silently fall back to the cluster's default.
    kept = await _configs(client, names)
    resources = []
    for name in names:
        values = {config: value for config, (value, on_topic) in kept[name].items() if on_topic}
        values |= {change.name: change.wanted for change in changes if change.topic == name}
        resources.append(ConfigResource(ConfigResourceType.TOPIC, name, configs=values))
    for response in await client.alter_configs(resources):
        for resource in response.to_object()["resources"]:
            _raise_for(resource["error_code"], resource["resource_name"], resource["error_message"])


def _raise_for(code: int, topic: str, message: str | None) -> None:
    if code:
        raise for_code(code)(f"{topic}: {message or 'Kafka gives no reason'}")
