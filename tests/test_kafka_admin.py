import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from stream import kafka_admin
from stream.kafka_client import LARGEST_REQUEST_BYTES, admin_client, connection
from stream.settings import Settings
from stream.topics import AUDIO_WORKER_INPUTS, DAY, HOUR, INPUTS, LARGEST_RECORD_BYTES, rejected_name, topics


@pytest.fixture
async def admin(kafka):
    client = admin_client(Settings(kafka=kafka.bootstrap))
    await client.start()
    yield client
    await client.close()


async def set_config(admin, topic, **configs):
    names = {name.replace("_", "."): value for name, value in configs.items()}
    for response in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=names)]):
        assert response.resources[0][0] == 0
    for _ in range(100):
        if names.items() <= (await config_of(admin, topic)).items():
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"Kafka does not show {names} on {topic}")


async def make(admin, topic):
    """Make a topic and wait until the broker lists it: the controller has it a moment earlier."""
    response = await admin.create_topics([NewTopic(topic, 1, 1)])
    assert [code for _, code, *_ in response.topic_errors] == [0], response
    for _ in range(100):
        if topic in await admin.list_topics():
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"Kafka does not list {topic}")


async def config_of(admin, topic):
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


def house(kafka, prefix):
    return Settings(kafka=kafka.bootstrap, topic_prefix=prefix, partitions=2)


def test_topics_are_those_of_the_design():
    by_noun = {topic.noun: topic for topic in topics(Settings())}
    expected = {
        "audio.frames": (24, HOUR),
        "call.events": (24, 7 * DAY),
        "transcript.turns": (24, 7 * DAY),
        "chat.messages": (24, 7 * DAY),
        "chat.verdicts": (24, DAY),
        "qa.scores": (24, 7 * DAY),
        "qa.alerts": (6, None),
        "qa.interceptions": (6, None),
        "agent.reminders": (6, HOUR),
    } | {rejected_name(noun): (3, 30 * DAY) for noun in INPUTS}
    assert {noun: (topic.partitions, topic.retention_seconds) for noun, topic in by_noun.items()} == expected
    stamped = {n for n, t in by_noun.items() if t.configs.get("message.timestamp.type") == "LogAppendTime"}
    assert stamped == set(INPUTS)
    assert {n for n, t in by_noun.items() if t.configs["cleanup.policy"] == "compact"} == {
        "qa.alerts",
        "qa.interceptions",
    }
    assert len({by_noun[noun].partitions for noun in AUDIO_WORKER_INPUTS}) == 1


async def test_missing_topics_are_made_and_nothing_differs_then(kafka, admin):
    settings = house(kafka, "made.")
    names = {topic.name for topic in topics(settings)}
    assert {each.topic for each in await kafka_admin.plan(settings)} == names
    assert not names & set(await admin.list_topics()), "a plan must not change anything"

    done = await kafka_admin.apply(settings)
    assert {each.topic for each in done} == names
    assert all(each.done and each.what == "topic" for each in done)
    assert await kafka_admin.plan(settings) == []
    assert await kafka_admin.apply(settings) == []
    assert (await config_of(admin, "made.chat.messages"))["message.timestamp.type"] == "LogAppendTime"


async def test_changed_retention_is_shown_and_set_back_and_other_settings_stay(kafka, admin, kafka_settings):
    verdicts = kafka_settings.topic_prefix + "chat.verdicts"
    there = {topic.name: topic for topic in topics(kafka_settings)}[verdicts].configs
    kept = {name.replace(".", "_"): value for name, value in there.items()}
    await set_config(admin, verdicts, **(kept | {"retention_ms": "60000", "compression_type": "zstd"}))

    (difference,) = await kafka_admin.plan(kafka_settings)
    assert (difference.topic, difference.name, difference.found) == (verdicts, "retention.ms", "60000")
    assert difference.wanted == str(DAY * 1000)

    assert [each.done for each in await kafka_admin.apply(kafka_settings)] == [True]
    assert await kafka_admin.plan(kafka_settings) == []
    now = await config_of(admin, verdicts)
    assert (now["retention.ms"], now["compression.type"]) == (str(DAY * 1000), "zstd")


@pytest.mark.parametrize("longer", [str(30 * DAY * 1000), "-1"])
async def test_chat_kept_longer_than_seven_days_is_not_cut(kafka, admin, kafka_settings, longer):
    messages = kafka_settings.topic_prefix + "chat.messages"
    there = {topic.name: topic for topic in topics(kafka_settings)}[messages].configs
    await set_config(
        admin, messages, **({name.replace(".", "_"): v for name, v in there.items()} | {"retention_ms": longer})
    )
    assert await kafka_admin.apply(kafka_settings) == []
    assert (await config_of(admin, messages))["retention.ms"] == longer


async def test_partitions_that_differ_are_left_to_a_person(kafka, admin, kafka_settings):
    wider = kafka_settings.model_copy(update={"partitions": 8})
    differences = await kafka_admin.apply(wider)
    assert {each.name for each in differences} == {"partitions"}
    assert all(each.by_hand and not each.done for each in differences)
    frames = kafka_settings.topic_prefix + "audio.frames"
    assert (await kafka_admin.partition_counts(admin, [frames])) == {frames: kafka_settings.partitions}
    assert "--partitions 8" in differences[0].remedy


async def test_nothing_is_deleted(kafka, admin, kafka_settings):
    stranger = kafka_settings.topic_prefix + "somebody.elses"
    await make(admin, stranger)
    frames = kafka_settings.topic_prefix + "audio.frames"
    async with AIOKafkaProducer(**connection(kafka_settings)) as producer:
        await producer.send_and_wait(frames, b"\0\0", partition=0)
        await kafka_admin.apply(kafka_settings)
        assert (await producer.send_and_wait(frames, b"\0\0", partition=0)).offset == 1
    assert stranger in await admin.list_topics()
    await admin.delete_topics([stranger])


async def test_largest_record_fits_its_topic_and_with_headers_the_rejected_one(kafka_settings):
    messages = kafka_settings.topic_prefix + "chat.messages"
    largest = bytes(LARGEST_RECORD_BYTES - 200)
    async with AIOKafkaProducer(max_request_size=LARGEST_REQUEST_BYTES, **connection(kafka_settings)) as producer:
        await producer.send_and_wait(messages, largest)
        why = [("reason", b"x" * 1000)]
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(messages, largest, headers=why)
        await producer.send_and_wait(rejected_name(messages), largest, headers=why)
