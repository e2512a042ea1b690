from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from alerts.store.database import open_engine
from alerts.store.tables import interceptions, messages
from stream import kafka_admin
from stream.kafka_client import connection
from stream.settings import Settings
from stream.topics import topic_name
from stream.worker import database_config
from tests.builders_calls import begin, silence, speak
from tests.builders_web import PASSWORD, add_people
from tests.services_kafka import KafkaServer, Login
from tests.workers import WebProcess, Worker, until_rows, workers

LOGIN = Login("tone", "kafka-secret-word")
DATABASE_PASSWORD = "database-secret-word"
SAID = ("您这个人就是骗子", "我的卡号6222021234567890128", "broken-secret-text")

EVERYWHERE = {"tonewatch_loop_lag_seconds": "gauge", "process_resident_memory_bytes": "gauge"}
OF_WORKERS = EVERYWHERE | {
    "tonewatch_lag_records": "gauge",
    "tonewatch_events": "counter",
    "tonewatch_rejected_records": "counter",
    "tonewatch_topic_held": "gauge",
    "tonewatch_database_retries": "counter",
    "tonewatch_inbox_events": "gauge",
}
CATALOGUE = {
    "chat": OF_WORKERS
    | {
        "tonewatch_verdict_seconds": "histogram",
        "tonewatch_intercepted_messages": "counter",
        "tonewatch_duplicates_ignored": "counter",
    },
    "audio": OF_WORKERS
    | {
        "tonewatch_score_lag_seconds": "histogram",
        "tonewatch_stale_chunks": "counter",
        "tonewatch_lost_audio_seconds": "counter",
    },
    "web": EVERYWHERE
    | {
        "tonewatch_web_clients": "gauge",
        "tonewatch_web_pages_dropped": "counter",
        "tonewatch_web_push_seconds": "histogram",
        "tonewatch_web_outbox_depth": "gauge",
        "tonewatch_web_task_failures": "counter",
    },
}


class Scrape:
    """What one process says of itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    @classmethod
    async def of(cls, port: int) -> Scrape:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        assert answer.status_code == 200
        return cls(answer.text)

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of that very name with these labels."""
        samples = (sample for family in self.families.values() for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def labels(self, family: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.families[family].samples}


async def scrape_until(port: int, name: str, least: float, **labels: str) -> Scrape:
    end = time.monotonic() + 20
    while (scrape := await Scrape.of(port)).total(name, **labels) < least:
        assert time.monotonic() < end, f"{name} is {scrape.total(name, **labels)} and not {least} within 20 s"
        await asyncio.sleep(0.2)
    return scrape


def message(number: int, text: str, role: str = "agent") -> dict[str, Any]:
    return {
        "conversation_id": f"c-{number % 5}", "message_id": f"m-{number}", "platform": "test",
        "sender": {"id": f"{role}-1", "role": role, "team": "refunds"}, "text": text,
    }  # fmt: skip


async def test_every_process_tells_its_numbers_under_load_and_no_secret(postgres_url: str, tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, LOGIN)
    server.start()
    settings = Settings(
        kafka=server.bootstrap,
        kafka_security_protocol="SASL_SSL",
        kafka_username=LOGIN.username,
        kafka_password=LOGIN.password,
        kafka_ca_file=server.authority,
        database=postgres_url,
        database_password=DATABASE_PASSWORD,
        partitions=2,
        session_timeout_seconds=3,
    )
    web = WebProcess(settings, 0, tmp_path)
    try:
        await kafka_admin.apply(settings)
        async with workers(settings, tmp_path, chat=1, audio=1) as (chat, audio):
            engine = open_engine(database_config(settings))
            await add_people(engine, "super-a")
            await engine.dispose()
            web.start()
            await web.until_ready()
            async with httpx.AsyncClient(base_url=f"http://{web.address}") as client:
                answer = await client.post("/api/login", json={"login": "super-a", "password": PASSWORD})
                assert answer.status_code == 200
                session = (client.cookies["tonewatch"], answer.json()["csrf"])
            await load(settings)
            scrapes = await settled(chat, audio, web)
            secrets = (LOGIN.password, DATABASE_PASSWORD, PASSWORD, *session, *SAID)
            for kind, process in (("chat", chat), ("audio", audio), ("web", web)):
                found = {name: family.type for name, family in scrapes[kind].families.items()}
                assert {name: found.get(name) for name in CATALOGUE[kind]} == CATALOGUE[kind], kind
                for secret in secrets:
                    assert secret not in scrapes[kind].text, (kind, secret)
                    assert secret not in process.output, (kind, secret)
                process.stop()
                for secret in secrets:
                    assert secret not in process.output, (kind, secret)
            logged = await until_rows(settings, select(func.count().label("n")).select_from(interceptions))
            assert logged[0]["n"] == scrapes["chat"].total("tonewatch_intercepted_messages_total")
            assert len(await until_rows(settings, select(messages.c.id), count=101)) == 101
    finally:
        web.stop()
        server.stop()


async def load(settings: Settings) -> None:
    """100 messages of which 20 are insults, 10 of them twice, one of a customer, one broken; 4 s of a call."""
    async with AIOKafkaProducer(acks="all", **connection(settings)) as client:

        async def send(noun: str, key: str | None, value: Any, headers: Any = None) -> None:
            body = orjson.dumps(value) if isinstance(value, dict) else value
            name = topic_name(settings, noun)
            await client.send_and_wait(name, body, key=key.encode() if key else None, headers=headers)

        for number in range(100):
            said = message(number, SAID[0] if number % 5 == 0 else f"好的,{number}")
            await send("chat.messages", said["conversation_id"], said)
            if number % 10 == 0:
                await send("chat.messages", said["conversation_id"], said)
        await send("chat.messages", "c-1", message(100, SAID[1], "customer"))
        await send("chat.messages", "c-1", b'{"text": "' + SAID[2].encode())
        await begin(send, "k-1", agent={"id": "a-1"}, team="refunds")
        await speak(send, "k-1", silence(6.0), seconds=(0.0, 4.0), speed=2.0)


async def settled(chat: Worker, audio: Worker, web: WebProcess) -> dict[str, Scrape]:
    """Scrape all three when what was sent is counted, and check the counts that are known."""
    await scrape_until(chat.port, "tonewatch_events_total", 112)
    await scrape_until(audio.port, "tonewatch_score_lag_seconds_count", 2)
    told = await scrape_until(web.port, "tonewatch_web_push_seconds_count", 20)
    await asyncio.sleep(2)  # offsets are committed once a second
    said, heard = await Scrape.of(chat.port), await Scrape.of(audio.port)
    assert said.total("tonewatch_intercepted_messages_total", by="us", action="block") == 20
    assert said.total("tonewatch_duplicates_ignored_total", topic="chat.messages") == 10
    assert said.total("tonewatch_rejected_records_total", topic="chat.messages") == 1
    assert said.total("tonewatch_verdict_seconds_count") == 111
    assert said.total("tonewatch_lag_records") == 0
    lags = {(s.labels["topic"], s.labels["partition"]) for s in said.families["tonewatch_lag_records"].samples}
    assert lags == {(topic, str(n)) for topic in ("chat.messages", "transcript.turns") for n in range(2)}
    assert told.labels("tonewatch_web_outbox_depth", "topic") == {"qa.alerts", "qa.interceptions", "agent.reminders"}
    for scrape in (said, heard, told):
        assert 0 <= scrape.total("tonewatch_loop_lag_seconds") < 5
    return {"chat": said, "audio": heard, "web": told}
