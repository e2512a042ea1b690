from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Origin

from alerts.access import Scope
from alerts.alert import Conversation
from alerts.store.alert_log import AlertClosedError, move_alert, open_alerts
from alerts.store.alerts import apply_changes
from alerts.store.database import open_engine, reading, writing
from alerts.store.tables import alerts, outbox
from alerts.web.live import TOO_SLOW
from stream.operate import upgrade_database
from stream.settings import Settings
from stream.worker import database_config
from tests.builders_alerts import change
from tests.builders_web import PASSWORD, add_people
from tests.workers import Listener, WebProcess

SEED = 41
STORM_SECONDS = 18.0
BURST = 300
"""Alerts of each team in one transaction: more than may wait for one page."""
TEAMS = {"super-a": {"refunds"}, "super-b": {"sales"}, "lead-all": {"refunds", "sales"}}
WAYS = ("steady", "killed", "half-open", "slow", "reconnecting")
LONG_TEXT = "字" * 1500
"""Evidence of 4.5 kB each: a page that does not read must fill the buffers between here and there."""

Seen = set[tuple[int, int]]
"""(alert id, version)."""


@dataclass
class Page:
    """One of the twenty: how it treats its connection, and what it has received."""

    number: int
    login: str
    way: str
    cookie: str
    webs: list[WebProcess]
    seen: Seen = field(default_factory=set)
    teams: set[str] = field(default_factory=set)
    after: int | None = None
    connections: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    left_open: list[ClientConnection] = field(default_factory=list)
    greeted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has had its first hello."""
    calm: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the storm is over: from then on the page only reads."""

    async def live(self) -> None:
        """Be a page until cancelled: connect, again and again, to whichever process answers."""
        chance = random.Random(SEED + self.number)
        while True:
            web = self.webs[(self.number + self.connections) % 2]
            self.connections += 1
            try:
                async with asyncio.timeout(5):
                    connection = await self._connect(web)
            except (OSError, TimeoutError, InvalidHandshake):
                self.ends["refused"] += 1
                await asyncio.sleep(0.2)
                continue
            try:
                await self._read(connection, chance)
            except ConnectionClosed as closed:
                self.ends["too slow" if closed.rcvd is not None and closed.rcvd.code == TOO_SLOW else "cut"] += 1
                await asyncio.sleep(0.05)
            finally:
                if connection not in self.left_open:
                    connection.transport.abort()

    async def _connect(self, web: WebProcess) -> ClientConnection:
        plain = socket.socket()
        if self.way == "half-open":
            # As small as the system allows: what a page has not read must not hide in its buffer.
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        query = "" if self.after is None else f"?after={self.after}"
        try:
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", web.port))
            return await connect(
                f"ws://{web.address}/ws/live{query}",
                sock=plain,
                origin=Origin(f"http://{web.address}"),
                additional_headers={"Cookie": f"tonewatch={self.cookie}"},
                compression=None,
                max_queue=2,
                max_size=None,
                ping_interval=None,
                close_timeout=1,
            )
        except BaseException:
            plain.close()
            raise

    async def _read(self, connection: ClientConnection, chance: random.Random) -> None:
        """Read until this page's way of ending a connection comes."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + chance.uniform(0.3, 2.5)
        last = -1
        while True:
            if self.way != "steady" and not self.calm.is_set() and loop.time() > ends_at:
                if self.way == "killed":
                    self.ends["killed"] += 1
                    return  # without a word
                if self.way == "reconnecting":
                    await connection.close()
                    self.ends["closed"] += 1
                    return
                if self.way == "half-open":
                    # Neither read nor closed: the process has to notice by itself; the page comes anew beside it.
                    self.left_open.append(connection)
                    self.ends["left open"] += 1
                    return
            if self.way == "slow" and not self.calm.is_set():
                await asyncio.sleep(0.4)
            message = orjson.loads(await connection.recv())
            match message["type"]:
                case "hello":
                    assert not message["resync"], "nothing was deleted and less than 2000 were missed"
                    for body in message["alerts"]:
                        self._take(body)
                    if self.after is None:
                        self.after = message["seq"]
                    self.greeted.set()
                case "alert":
                    assert message["seq"] > last, "in order, and each once on one connection"
                    last = message["seq"]
                    self.after = max(self.after or 0, last)
                    self._take(message["alert"])

    def _take(self, body: dict[str, Any]) -> None:
        self.seen.add((body["id"], body["version"]))
        self.teams.add(body["team"])


async def write_alerts(engine: AsyncEngine, number: int, seconds: float) -> None:
    """Open, change, take, close and hand over alerts of two teams, each in its own transaction."""
    chance = random.Random(SEED * 100 + number)
    end = time.monotonic() + seconds
    names: list[str] = []
    while time.monotonic() < end:
        now = time.time()
        what = chance.choices(("open", "update", "move", "end", "unknown"), (40, 20, 25, 10, 5))[0]
        if what in ("open", "unknown") or not names:
            name = f"c-{number}-{len(names)}"
            who = _conversation(name, chance)
            names.append(name)
            first = replace(who, agent_id=None, team="unassigned") if what == "unknown" else who
            async with writing(engine) as connection:
                await apply_changes(connection, [_change("open", first, now)], 1, now)
            if what == "unknown":
                await asyncio.sleep(0.05)
                async with writing(engine) as connection:
                    await apply_changes(connection, (), 1, now, learned=(who,))
        elif what == "move":
            with contextlib.suppress(AlertClosedError):
                async with writing(engine) as connection:
                    body = chance.choice(await open_alerts(connection, Scope(all_teams=True)))
                    verb: Any = chance.choice(("seen", "own", "resolve", "dismiss"))
                    await move_alert(
                        connection, Scope(all_teams=True), body["id"], verb, who="lead-all", now=now, note="noted"
                    )
        else:
            name = chance.choice(names)
            async with writing(engine) as connection:
                where = alerts.c.conversation_id == name
                team = (await connection.execute(select(alerts.c.team).where(where).limit(1))).scalar_one()
                who = Conversation("openim", name, "chat", agent_id=f"a-{name}", team=team)
                await apply_changes(connection, [_change(what, who, now)], 1, now)
        await asyncio.sleep(chance.uniform(0.0, 0.04))


async def write_burst(engine: AsyncEngine) -> None:
    """Open many alerts of both teams at once."""
    now = time.time()
    who = [
        Conversation("openim", f"b-{team}-{n}", "chat", agent_id="a-1", team=team)
        for team in ("refunds", "sales")
        for n in range(BURST)
    ]
    async with writing(engine) as connection:
        await apply_changes(connection, [_change("open", each, now) for each in who], 1, now)


def _conversation(name: str, chance: random.Random) -> Conversation:
    return Conversation("openim", name, "chat", agent_id=f"a-{name}", team=chance.choice(("refunds", "sales")))


def _change(kind: Any, who: Conversation, now: float) -> Any:
    return change(kind, now, conversation=who, evidence=replace(change().evidence, text=LONG_TEXT))


async def log_in(web: WebProcess, login: str) -> str:
    async with httpx.AsyncClient(base_url=f"http://{web.address}") as client:
        answer = await client.post("/api/login", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(client.cookies["tonewatch"])


async def total_of(name: str, webs: list[WebProcess]) -> int:
    """One of the numbers of /metrics, of both processes together."""
    count = 0.0
    for web in webs:
        async with httpx.AsyncClient(base_url=f"http://{web.address}") as client:
            lines = (await client.get("/metrics")).text.splitlines()
        count += next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
    return round(count)


async def expected(engine: AsyncEngine) -> tuple[dict[str, Seen], dict[str, dict[int, int]]]:
    """By login: every version that was told of the teams it sees, and how each of their alerts stands now."""
    async with reading(engine) as connection:
        told = (await connection.execute(select(outbox.c.team, outbox.c.body).where(outbox.c.kind == "alert"))).all()
        stand = (await connection.execute(select(alerts.c.id, alerts.c.version, alerts.c.team))).all()
    return (
        {who: {(row.body["id"], row.body["version"]) for row in told if row.team in t} for who, t in TEAMS.items()},
        {who: {row.id: row.version for row in stand if row.team in t} for who, t in TEAMS.items()},
    )


async def test_twenty_pages_each_receive_every_alert_that_they_may_see(
    kafka_settings: Settings, postgres_url: str, tmp_path: Path
) -> None:
    settings = kafka_settings.model_copy(update={"database": postgres_url})
    await upgrade_database(settings)
    engine = open_engine(database_config(settings))
    webs = [WebProcess(settings, number, tmp_path) for number in range(2)]
    tasks: list[asyncio.Task[None]] = []
    pages: list[Page] = []
    try:
        await add_people(engine, *TEAMS)
        for web in webs:
            web.start()
        for web in webs:
            await web.until_ready()
        cookies = {login: await log_in(webs[0], login) for login in TEAMS}
        logins = [login for login in TEAMS for _ in range(7)][:20]
        pages = [
            Page(number, login, WAYS[number % len(WAYS)], cookies[login], webs) for number, login in enumerate(logins)
        ]
        tasks = [asyncio.create_task(page.live()) for page in pages]
        async with asyncio.timeout(20):
            for page in pages:
                await page.greeted.wait()  # what was over before its hello no page can have seen
        writers = [asyncio.create_task(write_alerts(engine, number, STORM_SECONDS)) for number in range(3)]
        await asyncio.sleep(STORM_SECONDS / 3)
        webs[0].kill()
        await asyncio.sleep(1.0)  # everybody is at the other process meanwhile
        webs[0].start()
        await webs[0].until_ready()
        await asyncio.sleep(1.0)
        await write_burst(engine)
        await asyncio.gather(*writers)
        for page in pages:
            page.calm.set()

        told, stand = await expected(engine)
        end = time.monotonic() + 20
        while any(not told[page.login] <= page.seen for page in pages) and time.monotonic() < end:
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.1)

        print(f"{len(stand['lead-all'])} alerts in {len(told['lead-all'])} versions")
        for page in pages:
            missing, more = told[page.login] - page.seen, page.seen - told[page.login]
            print(page.way, page.login, page.connections, dict(page.ends), len(page.seen), len(missing), len(more))
        for page in pages:
            assert page.seen == told[page.login], (page.number, page.way)
            assert page.teams <= TEAMS[page.login], "a page has received what is another team's"
            newest: dict[int, int] = {}
            for number, version in page.seen:
                newest[number] = max(version, newest.get(number, 0))
            assert newest == stand[page.login]

        # The storm was one: everybody did what their way says, and who did not read was dropped, but nobody else.
        done = sum((page.ends for page in pages), Counter[str]())
        assert min(done[what] for what in ("killed", "closed", "left open")) >= 8, done
        assert await total_of("tonewatch_web_pages_dropped_total", webs) >= 4
        for page in pages:
            if page.way == "steady":
                assert page.ends["too slow"] == 0 and page.connections - page.ends["refused"] <= 2, page.ends

        for page in pages:
            for connection in page.left_open:
                connection.transport.abort()
        for _ in range(50):
            if (count := await total_of("tonewatch_web_clients", webs)) == len(pages):
                break
            await asyncio.sleep(0.2)
        assert count == len(pages), "connections that are gone are still served"

        async with Listener(settings, "qa.alerts") as feed:

            def newest_told(heard: Listener) -> dict[int, int]:
                return {body["id"]: body["version"] for body in heard.bodies}

            async with reading(engine) as database:
                rows = await database.execute(select(alerts.c.id, alerts.c.version))
                all_of_them = {row.id: row.version for row in rows}
            await feed.until(lambda heard: newest_told(heard) == all_of_them, 15, "the newest of each on qa.alerts")
    except BaseException:
        for web in webs:
            print(web.output[-3000:])
        raise
    finally:
        for task in tasks:
            task.cancel()
        for page in pages:
            for connection in page.left_open:
                connection.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        for web in webs:
            web.stop()
        await engine.dispose()
