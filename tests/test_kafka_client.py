import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream import doctor, kafka_admin
from stream.kafka_client import connection, faust_connection
from stream.settings import Settings
from tests.services_kafka import KafkaServer, Login

LOGIN = Login("tone", "correct-horse")


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    server = KafkaServer(tmp_path_factory.mktemp("secured"), LOGIN)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(secured):
    return Settings(
        kafka=secured.bootstrap,
        kafka_security_protocol="SASL_SSL",
        kafka_username=LOGIN.username,
        kafka_password=LOGIN.password,
        kafka_ca_file=secured.authority,
        partitions=1,
    )


async def test_login_over_tls_makes_topics_and_carries_records(settings):
    await kafka_admin.apply(settings)
    async with AIOKafkaProducer(**connection(settings)) as producer:
        await producer.send_and_wait("chat.messages", b"over TLS")
    consumer = AIOKafkaConsumer(**connection(settings))
    await consumer.start()
    try:
        consumer.assign([TopicPartition("chat.messages", 0)])
        await consumer.seek_to_beginning()
        assert (await consumer.getone()).value == b"over TLS"
    finally:
        await consumer.stop()


async def test_faust_logs_in_with_the_same_settings(settings):
    await kafka_admin.apply(settings)
    app = faust.App("login", **faust_connection(settings), topic_allow_declare=False, topic_disable_leader=True)
    app.finalize()
    await app.producer.start()
    try:
        sent = await app.producer.send_and_wait("chat.messages", None, b"by Faust", None, None, None)
    finally:
        await app.producer.stop()
    assert sent.topic == "chat.messages"


async def test_wrong_password_is_told_from_a_stopped_broker(settings):
    wrong = settings.model_copy(update={"kafka_password": Settings(kafka_password="no").kafka_password})
    check = next(check for check in await doctor.examine(wrong) if check.name == "Kafka")
    assert not check.ok
    assert "does not answer as SASL_SSL" in check.found
    assert "_PASSWORD_FILE" in check.remedy


async def test_unknown_authority_is_refused(settings):
    stranger = settings.model_copy(update={"kafka_ca_file": None})
    check = next(check for check in await doctor.examine(stranger) if check.name == "Kafka")
    assert not check.ok
    assert "_CA_FILE" in check.remedy
