from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from alerts.store.database import writing
from alerts.store.outbox import OutboxRow
from alerts.store.tables import outbox, sessions, users
from alerts.web.bodies import AlertBody
from alerts.web.context import Links
from alerts.web.log_bodies import LogRow
from tests.builders_alerts import database
from tests.builders_web import (
    PASSWORD,
    Line,
    add_alert,
    add_chat,
    add_people,
    alert_change,
    score_record,
    served,
    tell,
    web_of,
)

Message = dict[str, Any]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url) as opened:
        await add_people(opened)
        yield opened


class Browser:
    """Somebody who has logged in at a real server."""

    def __init__(self, address: str, cookie: str, csrf: str) -> None:
        self.address = address
        self.cookie = cookie
        self.csrf = csrf

    @classmethod
    async def log_in(cls, address: str, login: str) -> Browser:
        async with httpx.AsyncClient(base_url=f"http://{address}") as client:
            answer = await client.post("/api/login", json={"login": login, "password": PASSWORD})
            return cls(address, client.cookies["tonewatch"], answer.json()["csrf"])

    def live(self, after: int | None = None, **more: Any) -> connect:
        query = "" if after is None else f"?after={after}"
        headers = {"Cookie": f"tonewatch={self.cookie}"}
        origin = more.pop("origin", f"http://{self.address}")
        return connect(f"ws://{self.address}/ws/live{query}", additional_headers=headers, origin=origin, **more)

    async def post(self, path: str, body: Message) -> httpx.Response:
        headers = {"X-CSRF-Token": self.csrf, "Cookie": f"tonewatch={self.cookie}"}
        async with httpx.AsyncClient(base_url=f"http://{self.address}", headers=headers) as client:
            return await client.post(path, json=body)


async def _until(socket: ClientConnection, holds: Callable[[Message], bool], seconds: float = 10.0) -> list[Message]:
    """Read until a message fulfils `holds`; ticks are left out, unless they are asked for."""
    got: list[Message] = []
    async with asyncio.timeout(seconds):
        while True:
            message = orjson.loads(await socket.recv())
            if message["type"] != "tick" or holds(message):
                got.append(message)
            if holds(message):
                return got


def _is_alert(number: int) -> Callable[[Message], bool]:
    return lambda message: message["type"] == "alert" and message["alert"]["id"] == number


async def test_hello_then_every_change_as_it_is_committed(engine: AsyncEngine) -> None:
    (finding,) = await add_chat(
        engine, "c-1", "refunds", "a-1", [Line("傻瓜13800137712", action="block", span=(0, 2), finding="interception")]
    )
    number = await add_alert(engine, "c-1", "refunds", "a-1")
    async with served(engine) as (_, address):
        qa = await Browser.log_in(address, "qa-a")
        supervisor = await Browser.log_in(address, "super-a")
        async with supervisor.live() as socket:
            (hello,) = await _until(socket, lambda message: message["type"] == "hello")
            assert [alert["id"] for alert in hello["alerts"]] == [number] and hello["seq"] == 0
            AlertBody.model_validate(hello["alerts"][0])
            await supervisor.post(f"/api/alerts/{number}/own", {})
            (owned,) = await _until(socket, _is_alert(number))
            assert (owned["seq"], owned["alert"]["state"]) == (1, "owned")
            assert owned["alert"]["owner_name"] == "Super-A"
            await qa.post(f"/api/interceptions/interception/{finding}/review", {"decision": "upheld"})
            (reviewed,) = await _until(socket, lambda message: message["type"] == "interception")
            assert LogRow.model_validate(reviewed["item"]).review == "upheld"
            assert reviewed["item"]["text"] == "傻瓜138****7712"
            (tick,) = await _until(socket, lambda message: message["type"] == "tick")
            assert tick["seq"] == 2 and tick["lag_seconds"] < 2


async def test_another_teams_changes_never_arrive(engine: AsyncEngine) -> None:
    await add_alert(engine, "c-sales", "sales", "sales-a")
    async with served(engine) as (app, address):
        browser = await Browser.log_in(address, "super-a")
        nobody = await Browser.log_in(address, "nobody")
        async with browser.live(after=0) as socket, nobody.live() as other:
            await tell(engine, alert_change(1, "sales", "sales-a"), alert_change(2, "unassigned", None))
            web_of(app).hub.score(score_record("k-1", 1, "sales", "sales-a"))
            await tell(engine, alert_change(3, "refunds", "a-1"))
            got = await _until(socket, _is_alert(3))
            assert [message["type"] for message in got] == ["hello", "alert"] and got[0]["alerts"] == []
            ticks = await _until(other, lambda message: message["type"] == "tick" and message["seq"] == 3)
            assert [message["type"] for message in ticks] == ["hello", "tick"] and ticks[0]["alerts"] == []
        async with browser.live(after=0) as socket:
            got = await _until(socket, _is_alert(3))
            assert [message["type"] for message in got] == ["hello", "alert"]


async def test_a_page_that_comes_back_gets_what_it_missed_in_order(engine: AsyncEngine) -> None:
    async with served(engine) as (_, address):
        browser = await Browser.log_in(address, "super-a")
        async with browser.live() as socket:
            await tell(engine, alert_change(1))
            last = (await _until(socket, _is_alert(1)))[-1]["seq"]
        await tell(engine, alert_change(2), alert_change(3), alert_change(4, "sales"))
        await tell(engine, alert_change(5))
        async with browser.live(after=last) as socket:
            await tell(engine, alert_change(6))
            got = await _until(socket, _is_alert(6))
            assert got[0]["type"] == "hello" and not got[0]["resync"]
            assert [message["alert"]["id"] for message in got[1:]] == [2, 3, 5, 6]
            seqs = [message["seq"] for message in got[1:]]
            assert seqs == sorted(set(seqs))


async def test_it_also_does_so_at_another_process(engine: AsyncEngine) -> None:
    async with served(engine) as (_, first), served(engine) as (_, second):
        browser = await Browser.log_in(first, "super-a")
        async with browser.live() as socket:
            await tell(engine, alert_change(1))
            last = (await _until(socket, _is_alert(1)))[-1]["seq"]
        await tell(engine, alert_change(2))
        browser.address = second
        async with browser.live(after=last) as socket:
            await tell(engine, alert_change(3))
            got = await _until(socket, _is_alert(3))
            assert [message["alert"]["id"] for message in got if message["type"] == "alert"] == [2, 3]


async def test_changes_under_way_while_a_page_connects_are_neither_lost_nor_doubled(engine: AsyncEngine) -> None:
    async with served(engine) as (_, address):
        browser = await Browser.log_in(address, "super-a")

        async def write() -> None:
            for number in range(1, 61):
                await tell(engine, alert_change(number))

        async def read() -> list[int]:
            async with browser.live(after=0) as socket:
                got = await _until(socket, _is_alert(60), 30)
                return [message["alert"]["id"] for message in got if message["type"] == "alert"]

        writer = asyncio.create_task(write())
        lists = await asyncio.gather(*(read() for _ in range(4)))
        await writer
        assert lists == [list(range(1, 61))] * 4


async def test_who_was_away_too_long_begins_anew(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.web.live.MOST_MISSED", 5)
    async with served(engine) as (app, address):
        browser = await Browser.log_in(address, "super-a")
        await tell(engine, *(alert_change(n) for n in range(1, 9)))
        async with browser.live() as socket:
            await _until(socket, lambda message: message["type"] == "tick" and message["seq"] == 8)
        for after, missed in ((3, 5), (2, None), (8, 0), (99, None)):
            async with browser.live(after=after) as socket:
                got = await _until(socket, lambda message: message["type"] == "tick")
                assert got[0]["resync"] is (missed is None), after
                assert len(got) - 2 == (missed or 0), after
        async with writing(engine) as connection:
            await connection.execute(delete(outbox).where(outbox.c.seq <= 6))
        async with browser.live(after=4) as socket:
            assert (await _until(socket, lambda message: message["type"] == "hello"))[0]["resync"] is True
        assert web_of(app).hub.clients <= 1


async def test_scores_come_together(engine: AsyncEngine) -> None:
    async def tail() -> AsyncIterator[Message]:
        second = 0
        while True:
            second += 1
            for number in range(20):
                yield score_record(f"k-{number}", second, "refunds" if number % 2 else "sales", f"a-{number}")
            await asyncio.sleep(0.05)

    async with served(engine, Links(tail_scores=tail)) as (_, address):
        browser = await Browser.log_in(address, "super-a")
        async with browser.live() as socket:
            sent = (await _until(socket, lambda message: message["type"] == "scores"))[-1]
            names = [record["conversation_id"] for record in sent["items"]]
            assert sorted(names) == sorted(f"k-{number}" for number in range(1, 20, 2))
            # One message each quarter of a second, however many records there are.
            got = await _until(socket, lambda message: message["type"] == "tick")
            got += await _until(socket, lambda message: message["type"] == "tick")
            assert sum(message["type"] == "scores" for message in got) <= 9


async def test_a_page_that_stops_reading_is_dropped_and_resumes(engine: AsyncEngine) -> None:
    def big(number: int) -> OutboxRow:
        row = alert_change(number)
        body = dict(row.body)
        body["evidence"] = {"text": "字" * 20_000}
        return OutboxRow(row.kind, row.key, row.team, row.agent_id, body, row.at)

    async with served(engine) as (app, address):
        hub = web_of(app).hub
        hub._queue_length = 32  # 256 of these would be more than a test should move
        browser = await Browser.log_in(address, "super-a")
        async with contextlib.AsyncExitStack() as stack:
            # Uncompressed: a repeated character would fit into the buffers between here and there for ever.
            plain: Message = {"max_size": None, "compression": None}
            quick = await stack.enter_async_context(browser.live(**plain))
            slow = await browser.live(max_queue=1, **plain)
            stack.push_async_callback(slow.close)
            await _until(slow, lambda message: message["type"] == "hello")
            for first in range(1, 301, 10):
                await tell(engine, *(big(number) for number in range(first, first + 10)))
                got = await _until(quick, _is_alert(first + 9))
                assert [m["alert"]["id"] for m in got if m["type"] == "alert"] == list(range(first, first + 10))
            async with asyncio.timeout(15):
                while hub.clients > 1:  # noqa: ASYNC110  (an event for this test alone)
                    await asyncio.sleep(0.05)
            seen: list[int] = []
            last = 0
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(20):
                    while True:
                        message = orjson.loads(await slow.recv())
                        if message["type"] == "alert":
                            last = message["seq"]
                            seen.append(message["alert"]["id"])
            assert seen == list(range(1, len(seen) + 1)) and len(seen) < 300
            async with browser.live(after=last, max_size=None) as again:
                rest = await _until(again, _is_alert(300), 30)
            assert seen + [m["alert"]["id"] for m in rest if m["type"] == "alert"] == list(range(1, 301))


async def test_the_end_of_a_login_ends_the_connection(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.web.live.SESSION_CHECK_SECONDS", 0.1)
    disabled = update(users).where(users.c.login == "super-a").values(disabled=True)
    narrower = update(users).where(users.c.login == "super-a").values(teams=["sales"])
    async with served(engine) as (app, address):
        for change in (narrower, delete(sessions), disabled):
            browser = await Browser.log_in(address, "super-a")
            async with browser.live() as socket:
                await _until(socket, lambda message: message["type"] == "hello")
                async with writing(engine) as connection:
                    await connection.execute(change)
                with pytest.raises(ConnectionClosed) as closed:
                    await _until(socket, lambda message: False)
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
        assert web_of(app).hub.clients == 0


async def test_without_a_login_or_from_another_site_nobody_connects(engine: AsyncEngine) -> None:
    async with served(engine) as (_, address):
        browser = await Browser.log_in(address, "super-a")
        for origin in ("https://evil.example", "null", f"http://{address}.evil.example"):
            with pytest.raises(InvalidStatus) as refused:
                async with browser.live(origin=origin):
                    pass
            assert refused.value.response.status_code == 403
        browser.cookie = "x" * 43
        with pytest.raises(InvalidStatus) as refused:
            async with browser.live():
                pass
        assert refused.value.response.status_code == 403


async def test_what_a_page_says_is_not_listened_to(engine: AsyncEngine) -> None:
    async with served(engine) as (_, address):
        browser = await Browser.log_in(address, "super-a")
        async with browser.live() as socket:
            for said in ("{}", '{"type":"alert"}', b"\x00\xff", "x" * 10_000):
                await socket.send(said)
            await tell(engine, alert_change(1))
            await _until(socket, _is_alert(1))
