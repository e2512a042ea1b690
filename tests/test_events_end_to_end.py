"""A platform's own event on its way from a real web process over Kafka into the interception log."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from sqlalchemy import select

from alerts.store.tables import interceptions
from stream.operate import add_key, upgrade_database
from stream.settings import Settings
from tests.builders_events import COMETCHAT_BLOCKED, EASEMOB_MODERATION, signed
from tests.builders_hooks import SECRET
from tests.workers import WebProcess, until_rows, workers


async def test_from_a_real_web_process_over_kafka_into_the_interception_log(
    embedded_settings: Settings, tmp_path: Path
) -> None:
    settings = embedded_settings.model_copy(
        update={
            "database": f"sqlite:///{tmp_path / 'tonewatch.sqlite3'}",
            "easemob_secret": Settings(easemob_secret=SECRET).easemob_secret,
        }
    )
    await upgrade_database(settings)
    _, key = await add_key(settings, "cometchat", "", who="test", now=1.0)
    web = WebProcess(settings, 0, tmp_path)
    async with workers(settings, tmp_path, chat=1):
        web.start()
        try:
            await web.until_ready()
            event = {**EASEMOB_MODERATION, "moderationResult": "REJECT"}
            content, _ = signed("easemob", event, time.time())
            async with httpx.AsyncClient(base_url=f"http://{web.address}") as client:
                for _ in range(2):
                    answer = await client.post("/v1/events/easemob", content=content)
                    assert (answer.status_code, answer.json()["taken"]) == (200, "intercepted"), answer.text
                answer = await client.post("/v1/events/cometchat", json=COMETCHAT_BLOCKED, auth=("any", key))
                assert (answer.status_code, answer.json()["taken"]) == (200, "intercepted"), answer.text
            lines = await until_rows(settings, select(interceptions), count=2)
        finally:
            web.stop()
    assert {(line["platform"], line["agent_id"], line["intercepted_by"]) for line in lines} == {
        ("easemob", "qa2", "platform"), ("cometchat", "cometchat-uid-2", "platform"),
    }  # fmt: skip
