from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import httpx
from pydantic import BaseModel
from websockets.asyncio.client import connect
from websockets.typing import Origin

from alerts.judge import incoming_message
from alerts.moderate import moderate
from alerts.web.live_bodies import MESSAGES
from stream.records import parse_chat
from tests.builders_alerts import database
from tests.builders_records import ARRIVED, a_policy, golden
from tests.builders_web import PASSWORD, add_people, served, web_of

BY_TYPE: dict[str, type[BaseModel]] = {
    name: model for model in MESSAGES for name in get_args(model.model_fields["type"].annotation)
}


async def test_every_message_of_the_live_socket_is_what_the_reference_says(tmp_path: Path) -> None:
    message = incoming_message(
        parse_chat(json.dumps(golden("chat.messages")["value"]).encode(), []), source="s", arrived_at=ARRIVED
    )
    spoken = incoming_message(
        parse_chat(json.dumps({**golden("chat.messages")["value"], "delivery": "delivered"}).encode(), []),
        source="s",
        arrived_at=ARRIVED,
    )
    seen: dict[str, Any] = {}
    async with database(f"sqlite:///{tmp_path / 'live.sqlite3'}") as engine:
        await add_people(engine, "super-a")
        async with served(engine) as (app, address):
            async with httpx.AsyncClient(base_url=f"http://{address}") as client:
                await client.post("/api/login", json={"login": "super-a", "password": PASSWORD})
                cookie = {"Cookie": f"tonewatch={client.cookies['tonewatch']}"}
            async with connect(
                f"ws://{address}/ws/live", additional_headers=cookie, origin=Origin(f"http://{address}")
            ) as live:
                await moderate(engine, a_policy(), [message], lambda: ARRIVED)
                await moderate(engine, a_policy(), [spoken], lambda: ARRIVED)
                web_of(app).hub.score(golden("qa.scores")["value"])
                async with asyncio.timeout(10):
                    while set(seen) != set(BY_TYPE):
                        said = json.loads(await live.recv())
                        BY_TYPE[said["type"]].model_validate(said, extra="forbid")
                        seen[said["type"]] = said
    assert seen["interception"]["item"]["message_id"] == seen["violation"]["item"]["message_id"] == "m-1"
    assert seen["scores"]["items"] == [golden("qa.scores")["value"]]
    assert "13800137712" not in json.dumps(seen), "a customer's number is masked"
