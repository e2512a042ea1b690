import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from stream import kafka_admin
from stream.embedded import EmbeddedBroker
from stream.kafka_client import connection
from stream.settings import Settings
from stream.topics import group_name, topics
from tests.services import wait_until

PRODUCE = 0
TOPIC_AUTHORIZATION_FAILED = 29


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


async def read(consumer, count, seconds=15):
    values = []
    async with asyncio.timeout(seconds):
        while len(values) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values += [record.value for record in records]
    return values


async def test_all_topics_are_there(embedded_settings):
    assert await kafka_admin.plan(embedded_settings) == []


async def test_missing_topic_is_shown_as_one_the_broker_makes_at_its_start(embedded):
    settings = Settings(kafka=embedded.bootstrap, kafka_embedded=True, topic_prefix="absent.")
    differences = await kafka_admin.apply(settings)
    assert len(differences) == len(topics(settings))
    assert all(each.by_hand and not each.done and "restart it" in each.remedy for each in differences)


async def test_what_is_produced_is_consumed_by_a_group(broker_settings):
    topic = broker_settings.topic_prefix + "chat.messages"
    sent = {f"message {number}".encode() for number in range(40)}
    async with AIOKafkaProducer(**connection(broker_settings)) as producer:
        for value in sent:
            await producer.send_and_wait(topic, value, key=value)
    members = [
        AIOKafkaConsumer(
            topic,
            group_id=group_name(broker_settings, "chat"),
            auto_offset_reset="earliest",
            session_timeout_ms=3000,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=20,
            **connection(broker_settings),
        )
        for _ in range(2)
    ]
    try:
        # Two at once: without `let_followers_sync_first` one of them never joins on the embedded broker.
        await asyncio.gather(*(member.start() for member in members))
        got = []
        async with asyncio.timeout(20):
            while len(got) < len(sent):
                for member in members:
                    for records in (await member.getmany(timeout_ms=100)).values():
                        got += [record.value for record in records]
        assert sorted(got) == sorted(sent)
        assert sorted(len(member.assignment()) for member in members) == [2, 2]
    finally:
        for member in members:
            await member.stop()


async def test_injected_error_meets_the_next_request_only(embedded, embedded_settings):
    topic = embedded_settings.topic_prefix + "chat.messages"
    async with AIOKafkaProducer(**connection(embedded_settings)) as producer:
        await producer.send_and_wait(topic, b"before", partition=0)
        embedded.inject_errors(PRODUCE, [TOPIC_AUTHORIZATION_FAILED])
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"refused", partition=0)
        assert (await producer.send_and_wait(topic, b"after", partition=0)).offset == 1


async def test_records_outlive_a_broker_that_was_down(embedded, embedded_settings):
    topic = embedded_settings.topic_prefix + "chat.messages"
    async with AIOKafkaProducer(**connection(embedded_settings)) as producer:
        await producer.send_and_wait(topic, b"before", partition=0)
        embedded.broker_down()
        waiting = asyncio.create_task(producer.send_and_wait(topic, b"while down", partition=0))
        done, _ = await asyncio.wait([waiting], timeout=1)
        assert not done, "a broker that is down must not take a record"
        embedded.broker_up()
        await asyncio.wait_for(waiting, 15)
    consumer = AIOKafkaConsumer(fetch_max_wait_ms=20, **connection(embedded_settings))
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        assert await read(consumer, 2) == [b"before", b"while down"]
    finally:
        await consumer.stop()


def test_unknown_command_is_refused_and_the_broker_lives(embedded):
    with pytest.raises(RuntimeError, match="unknown command 'explode'"):
        embedded._ask(do="explode")
    embedded.round_trip_seconds(0)


def test_stop_ends_the_child():
    broker = EmbeddedBroker([("a", 1)])
    broker.start()
    pid = broker.pid
    broker.stop()
    assert not alive(pid)
    with pytest.raises(RuntimeError, match="not running"):
        broker.broker_down()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_child_ends_with_its_parent(how):
    starter = (
        "import time; from stream.embedded import EmbeddedBroker; b = EmbeddedBroker(); b.start(); "
        "print(b.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not alive(child), 5, "the end of the broker whose parent is gone")


def test_process_tells_where_it_listens_and_ends_when_asked(tmp_path):
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "stream.embedded", "--ready-file", str(ready)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            said = json.loads(process.stdout.readline())
            assert json.loads(ready.read_text()) == said
            assert said["topics"] == len(topics(Settings()))
            process.terminate()
            _, log = process.communicate(timeout=2)
            assert process.returncode == 0
            assert "in memory only" in log
        finally:
            process.kill()
