from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from alerts.store.tables import audit
from stream.records import (
    header_map,
)
from stream.settings import Settings
from stream.topics import rejected_name, topic_name
from tests.builders_poison import Poison, good_chat
from tests.test_poison import publish, tonewatch
from tests.workers import Listener, rows, workers


async def test_rejects_are_listed_shown_and_sent_again(
    broker_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = broker_settings.model_copy(update={"database": f"sqlite:///{tmp_path / 'a.sqlite3'}"})
    name = topic_name(settings, "chat.messages")
    log = tmp_path / "command.log"
    broken = {**good_chat(1), "text": "我的电话是13800138000", "sender": {"id": 5}}
    async with workers(settings, tmp_path, chat=1), Listener(settings, "chat.messages.rejected") as aside:
        came = Poison("chat.messages", b"c-1", orjson.dumps(broken), [("trace", b"t-7")], "schema")
        null = Poison("chat.messages", b"c-2", None, [], "null")
        await publish(settings, [came, null, null])
        await aside.until(lambda all_: len(all_.records) == 3, 20, "setting them aside")
        [first] = [record for record in aside.records if record.value]

        code, told = await asyncio.to_thread(tonewatch, settings, log, "rejects", "list", "chat.messages")
        assert code == 0
        counted = [line.split("│")[1:4] for line in told.splitlines() if "│" in line]
        assert [[cell.strip() for cell in line] for line in counted] == [[name, "null", "2"], [name, "schema", "1"]]

        where = ("rejects", "show", name, str(first.partition), str(first.offset))
        code, told = await asyncio.to_thread(tonewatch, settings, log, *where)
        assert code == 0
        assert "reason: schema" in told
        assert "sender.id" in told
        assert "trace: t-7" in told
        assert "138****8000" in told
        assert "13800138000" not in told
        code, told = await asyncio.to_thread(tonewatch, settings, log, *where, "--unmask")
        assert "13800138000" in told
        [entry] = await rows(settings, select(audit))
        assert (entry["what"], entry["object"]) == (
            "rejects.unmask",
            f"{rejected_name(name)}:{first.partition}:{first.offset}",
        )

        code, told = await asyncio.to_thread(tonewatch, settings, log, "rejects", "replay", name, "--reason", "schema")
        assert code == 0
        assert f"1 records of {name} were sent again." in told
        await aside.until(lambda all_: len(all_.records) == 4, 20, "setting the one aside that was sent again")
        again = aside.records[-1]
        headers = header_map(again.headers)
        assert (again.key, again.value) == (b"c-1", came.value)
        assert headers["replayed"].decode() == f"{rejected_name(name)}:{first.partition}:{first.offset}"
        assert headers["trace"] == b"t-7"
        assert int(headers["offset"]) > int(header_map(first.headers)["offset"]), "the place is the newer record's"
        assert len([1 for header, _ in again.headers if header == "reason"]) == 1
