"""A house with two teams for tests of the web process: chats, findings, alerts, people, and a client for each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.config import WebConfig
from alerts.store.database import writing
from alerts.store.outbox import OutboxRow, append
from alerts.store.people import add_user
from alerts.store.tables import alerts, conversations, hits, interceptions, messages, users, violations
from alerts.web.app import create_app
from alerts.web.context import Links, Web

NOW = 1_800_000_000.0
HOUR = 3600.0
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Line:
    """One chat message, and what was concluded about it."""

    text: str
    side: str = "agent"
    action: str = "allow"
    delivery: str = "pending"
    span: tuple[int, int] | None = None
    phrase: str = "abuse.zh.017"
    finding: str | None = None  # interception | violation
    by: str = "us"
    attempt: int = 1
    after: float = 0.0  # seconds after the line before


async def add_chat(
    engine: AsyncEngine,
    name: str,
    team: str,
    agent: str | None,
    lines: Sequence[Line],
    *,
    at: float = NOW - 60,
    **columns: Any,
) -> list[int]:
    """Write one chat and return the ids of its findings, in order."""
    ids: list[int] = []
    who = {"platform": "openim", "conversation_id": name, "agent_id": agent, "agent_name": agent, "team": team}
    values = {"kind": "chat", "started_at": at, "last_at": at, "memory": {}, "customer_id": "u-4"}
    async with writing(engine) as connection:
        await connection.execute(conversations.insert().values(**{**values, **who, **columns}))
        for number, line in enumerate(lines):
            at += line.after
            spans = [[*line.span, line.phrase]] if line.span else []
            verdict = orjson.dumps({"action": line.action, "latency_ms": 3.1})
            row = {
                "platform": "openim", "conversation_id": name, "message_id": f"{name}-{number}",
                "text_sha256": hashlib.sha256(line.text.encode()).digest(), "kind": "message", "side": line.side,
                "sender_id": agent, "sender_name": agent, "text": line.text, "arrived_at": at,
                "delivery": line.delivery, "action": line.action, "spans": spans, "policy_version": 1,
                "verdict": verdict,
            }  # fmt: skip
            message = (await connection.execute(messages.insert().values(**row).returning(messages.c.id))).scalar_one()
            if line.finding is None:
                continue
            category = line.phrase.split(".")[0]
            finding = {
                **who, "message": message, "category": category, "severity": "critical", "phrases": [line.phrase],
                "attempt": line.attempt, "policy_version": 1, "at": at,
            }  # fmt: skip
            table = interceptions if line.finding == "interception" else violations
            if table is interceptions:
                finding |= {"intercepted_by": line.by, "action": line.action}
            ids.append((await connection.execute(table.insert().values(**finding).returning(table.c.id))).scalar_one())
            hit = {
                "message": message, "position": 0, "phrase_id": line.phrase, "category": category,
                "severity": "critical", "how": "exact", "team": team, "agent_id": agent, "at": at,
            }  # fmt: skip
            await connection.execute(hits.insert().values(**hit))
    return ids


async def add_alert(engine: AsyncEngine, name: str, team: str, agent: str | None, **columns: Any) -> int:
    """Write one open alert and return its id."""
    evidence = {
        "text": f"你这个骗子 {name}", "spans": [[3, 5]], "phrases": ["abuse.zh.017"], "extra": {},
        "rule_name": {"zh": "违禁话术", "en": "Prohibited phrase"}, "category": "content",
    }  # fmt: skip
    row = {
        "platform": "openim", "conversation_id": name, "agent_id": agent, "agent_name": agent, "team": team,
        "kind": "chat", "rule_id": "phrase.prohibited", "severity": "critical", "audience": ["supervisor"],
        "state": "open", "version": 1, "opened_at": NOW - 30, "changed_at": NOW - 30, "last_at": NOW - 30,
        "evidence": evidence,
    }  # fmt: skip
    async with writing(engine) as connection:
        query = alerts.insert().values(**{**row, **columns}).returning(alerts.c.id)
        return int((await connection.execute(query)).scalar_one())


def alert_change(number: int, team: str = "refunds", agent: str | None = "a-1", state: str = "open") -> OutboxRow:
    """What is told of an alert, as the store tells it."""
    body = {
        "id": number, "version": 1, "state": state, "severity": "warning", "rule_id": "volume.raised", "kind": "call",
        "platform": "call", "conversation_id": f"k-{number}", "agent_id": agent, "agent_name": agent, "team": team,
        "opened_at": NOW, "changed_at": NOW, "closed_at": None, "owner": None, "note": None, "rule_name": {},
        "category": "manner", "evidence": {"metric": "volume.over_baseline_db", "value": 11.4, "limit": 10.0},
    }  # fmt: skip
    return OutboxRow("alert", f"alert:{number}", team, agent, body, NOW)


async def tell(engine: AsyncEngine, *rows: OutboxRow) -> None:
    """Commit changes to the outbox in one transaction."""
    async with writing(engine) as connection:
        await append(connection, rows)


def score_record(
    name: str, second: int, team: str | None, agent: str | None, **metrics: float | None
) -> dict[str, Any]:
    """One record of `qa.scores`."""
    sides = {"agent": {"volume.level_dbov": -20.0, **metrics}, "customer": {"volume.level_dbov": -25.0}}
    return {
        "conversation_id": name, "at_ms": second * 1000, "agent_id": agent, "team": team, "sides": sides,
        "lag_ms": 200, "lost_ms": 0,
    }  # fmt: skip


PEOPLE: dict[str, tuple[list[str], list[str], str | None]] = {
    "super-a": (["supervisor"], ["refunds"], None),
    "super-b": (["supervisor"], ["sales"], None),
    "qa-a": (["qa"], ["refunds"], None),
    "lead-all": (["qa_lead"], ["*"], None),
    "agent-1": (["agent"], [], "a-1"),
    "admin": (["admin"], [], None),
    "auditor": (["auditor"], [], None),
    "nobody": (["supervisor"], ["no such team"], None),
}


async def add_people(engine: AsyncEngine, *logins: str) -> None:
    """Add some of PEOPLE, who all have PASSWORD; it is hashed once, that takes its time."""
    first, *rest = logins or tuple(PEOPLE)
    roles, teams, agent_id = PEOPLE[first]
    await add_user(engine, first, first.title(), PASSWORD, roles, teams, agent_id)
    async with writing(engine) as connection:
        row = (await connection.execute(users.select().where(users.c.login == first))).mappings().one()
        for login in rest:
            roles, teams, agent_id = PEOPLE[login]
            more = {"login": login, "name": login.title(), "roles": roles, "teams": teams, "agent_id": agent_id}
            same = {name: row[name] for name in ("password", "created_at")}
            await connection.execute(users.insert().values(**more, **same))


@contextlib.asynccontextmanager
async def running(
    engine: AsyncEngine, links: Links | None = None, config: WebConfig | None = None, now: float | None = NOW
) -> AsyncIterator[FastAPI]:
    """The application with its tasks, its clock standing at `now`; None lets it go."""
    app = create_app(engine, config or WebConfig(), links)
    if now is not None:
        web_of(app).now = lambda: now
    async with app.router.lifespan_context(app):
        while web_of(app).hub.seq is None:  # noqa: ASYNC110  (an event for this test alone)
            await asyncio.sleep(0.01)
        yield app


def web_of(app: FastAPI) -> Web:
    web = app.state.web
    assert isinstance(web, Web)
    return web


@contextlib.asynccontextmanager
async def outsider(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is not logged in."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tonewatch.test") as client:
        yield client


@contextlib.asynccontextmanager
async def logged_in(app: FastAPI, login: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has logged in and sends its CSRF token."""
    async with outsider(app) as client:
        answer = await client.post("/api/login", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        yield client


@contextlib.asynccontextmanager
async def served(engine: AsyncEngine, links: Links | None = None) -> AsyncIterator[tuple[FastAPI, str]]:
    """The application behind a real server on a free port: (application, host:port)."""
    app = create_app(engine, WebConfig(), links)
    config = uvicorn.Config(
        app, port=0, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=2, lifespan="on"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # of older versions; pytest has its own
    task = asyncio.create_task(server.serve())
    while not server.started or web_of(app).hub.seq is None:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield app, f"{host}:{port}"
    finally:
        await ended(server, task)


async def ended(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """Stop a server, and cut what it would leave to the end of its process: here none ends."""
    server.should_exit = True
    await serving
    for connection in list(server.server_state.connections):
        connection.transport.abort()


REFUNDS = [
    Line("都第三次了,你们到底退不退?", side="customer"),
    Line("您好,我的电话是13800137712", after=10),
    Line("你是不是傻瓜啊,看不懂字吗", action="block", span=(4, 6), finding="interception", after=10),
    Line("傻。瓜", action="block", span=(0, 3), finding="interception", attempt=2, after=10),
    Line(
        "卡号6222021234567890128", action="mask", span=(2, 21), phrase="privacy.card", finding="interception", after=10
    ),
    Line("请私下转账", action="review", span=(1, 5), phrase="divert.zh.003", finding="interception", after=10),
    Line("那你就是个骗子", delivery="delivered", span=(5, 7), phrase="abuse.zh.002", finding="violation", attempt=3),
    Line("滚", delivery="intercepted", span=(0, 1), finding="interception", by="platform", action="block", after=10),
]
SALES = [
    Line("sales-secret 100% 保证退款", action="block", span=(18, 22), phrase="promise.zh.001", finding="interception"),
    Line("sales-secret 好的"),
]


async def two_teams(engine: AsyncEngine) -> dict[str, Any]:
    """The same things in two teams; everything of the second one says "sales" somewhere."""
    findings = await add_chat(engine, "c-9", "refunds", "a-1", REFUNDS)
    others = await add_chat(engine, "sales-c", "sales", "sales-a", SALES, at=NOW - 2 * HOUR, last_at=NOW - 60)
    alert = await add_alert(engine, "c-9", "refunds", "a-1")
    other = await add_alert(engine, "sales-c", "sales", "sales-a")
    await add_chat(engine, "nobodys", "unassigned", None, [Line("unassigned-secret 傻瓜", span=(18, 20))])
    return {"findings": findings, "others": others, "alert": alert, "other": other}
