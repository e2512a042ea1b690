from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.relay import Relay
from alerts.store.database import reading, writing
from alerts.store.tables import audit, conversations, outbox
from alerts.web.bodies import AlertBody
from alerts.web.context import Links
from stream.serve import listen
from tests.builders_alerts import database
from tests.builders_web import (
    HOUR,
    NOW,
    SALES,
    add_chat,
    add_people,
    logged_in,
    running,
    score_record,
    two_teams,
    web_of,
)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url) as opened:
        await add_people(opened)
        yield opened


READS = [
    "/api/floor",
    "/api/interceptions",
    "/api/interceptions?q=sales",
    "/api/interceptions?team=sales",
    "/api/interceptions?agent=sales-a",
    "/api/interceptions/numbers",
    "/api/interceptions/numbers?team=sales",
    "/api/conversations/openim/sales-c",
    "/api/conversations/openim/nobodys",
]


@pytest.mark.parametrize("login", ["super-a", "qa-a", "agent-1", "nobody", "auditor"])
async def test_nobody_sees_anything_of_another_team(engine: AsyncEngine, login: str) -> None:
    ids = await two_teams(engine)
    async with running(engine) as app, logged_in(app, login) as client:
        for path in READS:
            answer = await client.get(path)
            assert "secret" not in answer.text, path
            # The words of the question are ours; nothing but them may come back.
            assert "sales" not in answer.text, path
        assert (await client.get("/api/conversations/openim/sales-c")).status_code == 404
        assert (await client.get("/api/interceptions/numbers?team=sales")).json()["per_thousand"] is None
        for verb in ("seen", "own", "resolve", "dismiss"):
            answer = await client.post(f"/api/alerts/{ids['other']}/{verb}", json={"note": "x"})
            assert answer.status_code == (404 if login == "super-a" or login == "nobody" else 403)
        path = f"/api/interceptions/interception/{ids['others'][0]}/review"
        answer = await client.post(path, json={"decision": "upheld"})
        assert answer.status_code == (404 if login == "qa-a" else 403)
        exported = await client.get("/api/interceptions.csv")
        assert exported.status_code == (200 if login == "qa-a" else 403) and "secret" not in exported.text
        unmasked = await client.post("/api/conversations/openim/sales-c/unmask", json={"reason": "because"})
        assert unmasked.status_code == 403


@pytest.mark.parametrize("login", ["nobody", "auditor"])
async def test_without_a_team_of_ones_own_there_is_nothing(engine: AsyncEngine, login: str) -> None:
    await two_teams(engine)
    async with running(engine) as app, logged_in(app, login) as client:
        floor = (await client.get("/api/floor")).json()
        assert (floor["agents"], floor["alerts"], floor["teams"], floor["calls"]["live"]) == ([], [], [], 0)
        assert (await client.get("/api/interceptions")).json() == {"items": [], "total": 0, "next": None}
        numbers = (await client.get("/api/interceptions/numbers")).json()
        assert numbers["intercepted"] == numbers["delivered"] == 0 and numbers["by_team"] == []


async def test_who_may_sees_all_but_only_admins_what_is_unassigned(engine: AsyncEngine) -> None:
    await two_teams(engine)
    async with running(engine) as app, logged_in(app, "lead-all") as lead, logged_in(app, "admin") as admin:
        assert (await lead.get("/api/interceptions")).json()["total"] == 7
        assert (await lead.get("/api/conversations/openim/nobodys")).status_code == 404
        assert (await admin.get("/api/conversations/openim/nobodys")).status_code == 200


async def test_an_agent_sees_the_own_row_and_log_only(engine: AsyncEngine) -> None:
    await two_teams(engine)
    await add_chat(engine, "c-10", "refunds", "a-2", SALES)
    async with running(engine) as app, logged_in(app, "agent-1") as client:
        floor = (await client.get("/api/floor")).json()
        assert [row["agent_id"] for row in floor["agents"]] == ["a-1"]
        log = (await client.get("/api/interceptions")).json()
        assert {row["agent_id"] for row in log["items"]} == {"a-1"} and log["total"] == 6


async def test_an_alert_is_seen_owned_and_resolved(engine: AsyncEngine) -> None:
    ids = await two_teams(engine)
    path = f"/api/alerts/{ids['alert']}"
    async with running(engine) as app, logged_in(app, "super-a") as client, logged_in(app, "qa-a") as other:
        assert (await other.post(f"{path}/own")).status_code == 403
        seen = AlertBody.model_validate((await client.post(f"{path}/seen")).json())
        assert (seen.state, seen.version, seen.owner) == ("seen", 2, None)
        owned = AlertBody.model_validate((await client.post(f"{path}/own", json={"version": 2})).json())
        assert (owned.state, owned.version, owned.owner, owned.owner_name) == ("owned", 3, "super-a", "Super-A")
        assert owned.rule_name.en == "Prohibited phrase" and owned.category == "content"
        late = await client.post(f"{path}/own", json={"version": 2})
        assert late.status_code == 409 and "version 3" in late.json()["detail"]
        for verb in ("resolve", "dismiss"):
            assert (await client.post(f"{path}/{verb}", json={"note": " "})).status_code == 422
        done = AlertBody.model_validate((await client.post(f"{path}/resolve", json={"note": "已沟通"})).json())
        assert (done.state, done.closed_at, done.note, done.owner) == ("resolved", NOW, "已沟通", "super-a")
        for verb in ("seen", "own", "resolve", "dismiss"):
            assert (await client.post(f"{path}/{verb}", json={"note": "x"})).status_code == 409
        assert [alert["state"] for alert in (await client.get("/api/floor")).json()["alerts"]] == ["resolved"]
    async with reading(engine) as connection:
        told = (await connection.execute(select(outbox.c.key, outbox.c.body).order_by(outbox.c.seq))).all()
        traces = (await connection.execute(select(audit.c.what).where(audit.c.object == f"alert:{ids['alert']}"))).all()
    assert [row.body["version"] for row in told] == [2, 3, 4]
    assert {row.key for row in told} == {f"alert:{ids['alert']}"}
    assert sorted(row.what for row in traces) == ["alert.own", "alert.resolve", "alert.seen"]


async def test_a_conversation_shows_every_message_in_its_place(engine: AsyncEngine) -> None:
    await two_teams(engine)
    async with running(engine) as app, logged_in(app, "super-a") as client:
        view = (await client.get("/api/conversations/openim/c-9")).json()
    outcomes = [(message["outcome"], message["intercepted_by"], message["attempt"]) for message in view["messages"]]
    assert outcomes == [
        ("delivered", None, 0), ("delivered", None, 0), ("intercepted", "us", 1), ("intercepted", "us", 2),
        ("replaced", "us", 1), ("held", "us", 1), ("violation", None, 3), ("intercepted", "platform", 1),
    ]  # fmt: skip
    texts = [message["text"] for message in view["messages"]]
    assert texts[1] == "您好,我的电话是138****7712"
    assert texts[4] == "卡号***************0128"
    start, end, phrase = view["messages"][2]["spans"][0]
    assert (texts[2][start:end], phrase) == ("傻瓜", "abuse.zh.017")
    assert view["messages"][2]["hits"] == [
        {"phrase_id": "abuse.zh.017", "category": "abuse", "severity": "critical", "how": "exact"}
    ]
    assert [alert["conversation_id"] for alert in view["alerts"]] == ["c-9"]
    assert view["conversation"]["customer_id"] == "u-4" and view["scores"] == []


async def test_unmasking_needs_the_role_and_a_reason_and_leaves_a_trace(engine: AsyncEngine) -> None:
    await two_teams(engine)
    async with writing(engine) as connection:
        c = conversations.c
        named = update(conversations).where(c.conversation_id == "c-9").values(customer_id="13912345678")
        await connection.execute(named)
    path = "/api/conversations/openim/c-9"
    async with running(engine) as app, logged_in(app, "lead-all") as lead, logged_in(app, "qa-a") as other:
        assert (await lead.get(path)).json()["conversation"]["customer_id"] == "139****5678"
        assert (await other.post(f"{path}/unmask", json={"reason": "客户投诉"})).status_code == 403
        assert (await lead.post(f"{path}/unmask", json={"reason": " "})).status_code == 422
        view = (await lead.post(f"{path}/unmask", json={"reason": "客户投诉"})).json()
        assert view["messages"][1]["text"].endswith("13800137712")
        assert view["conversation"]["customer_id"] == "13912345678"
    async with running(engine) as app, logged_in(app, "auditor") as auditor, logged_in(app, "lead-all") as lead:
        entries = (await auditor.get("/api/audit")).json()["items"]
        assert (await lead.get("/api/audit")).status_code == 403
    traces = [(e["who"], e["object"], e["detail"]) for e in entries if e["what"] == "unmask"]
    assert traces == [("lead-all", "conversation:openim/c-9", {"reason": "客户投诉"})]


async def _scores() -> AsyncIterator[dict[str, Any]]:
    """A minute and a half of a call, between them what is no record."""
    for second in range(1, 91):
        over = 11.4 if second > 60 else None
        yield score_record(
            "k-1", second, "refunds", "a-1", **{"volume.over_baseline_db": over, "speech_rate.spm": 240.0}
        )
        yield {"at_ms": "no record"}
    yield score_record("k-2", 5, None, None)


async def test_the_floor_shows_who_is_at_work_and_how_they_sound(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relay, "behind_seconds", lambda self: 0.0)  # of a machine that is busy it may be more
    await two_teams(engine)
    calls = {"k-1": ("refunds", "a-1"), "k-2": ("unassigned", None)}
    async with writing(engine) as connection:
        for name, (team, agent) in calls.items():
            row: dict[str, Any] = {
                "platform": "call", "conversation_id": name, "kind": "call", "agent_id": agent, "team": team,
                "agent_name": agent, "started_at": NOW - 90, "last_at": NOW - 1, "memory": {}, "language": "zh",
            }  # fmt: skip
            await connection.execute(conversations.insert().values(**row))
    await add_chat(engine, "old", "refunds", "a-2", SALES[1:], at=NOW - 2 * HOUR)
    links = Links(tail_scores=_scores, limits=lambda language: {"speech_rate.spm": 280.0} if language == "zh" else {})
    async with running(engine, links) as app, logged_in(app, "super-a") as client, logged_in(app, "admin") as admin:
        assert web_of(app).strips.get("k-2") is not None
        floor = (await client.get("/api/floor")).json()
        everything = (await admin.get("/api/floor")).json()
        call = (await client.get("/api/conversations/call/k-1")).json()
    rows = {row["agent_id"]: row for row in floor["agents"]}
    assert set(rows) == {"a-1", "a-2"}
    assert floor["calls"] == {"live": 1, "scored": 1} and floor["limits"] == {"speech_rate.spm": 280.0}
    assert floor["teams"] == ["refunds"] and floor["lag_seconds"] == pytest.approx(0.2)
    on_call = rows["a-1"]
    assert (on_call["state"], on_call["conversation_id"], on_call["chats"]) == ("call", "k-1", 1)
    assert on_call["hits"] == 6  # messages of the chat that goes on
    strip = on_call["strips"]["volume.over_baseline_db"]
    assert [second for second, _ in strip] == list(range(31, 91))
    assert strip[0] == [31, None] and strip[-1] == [90, 11.4]
    assert on_call["latest"]["speech_rate.spm"] == 240.0 and not on_call["degraded"]
    idle = rows["a-2"]
    assert (idle["state"], idle["since"], idle["conversation_id"]) == ("idle", NOW - 2 * HOUR, None)
    assert {(row["agent_id"], row["conversation_id"]) for row in everything["agents"]} >= {(None, "k-2")}
    assert call["scores"][-1]["sides"]["agent"]["volume.over_baseline_db"] == 11.4


async def test_health_says_what_is_wrong(engine: AsyncEngine) -> None:
    async def broken() -> None:
        raise ConnectionError("no broker")

    async with running(engine, Links(sweep=broken)) as app:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://t") as client:
            assert (await client.get("/livez")).status_code == 200
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["problems"] == ["task sweep: ConnectionError: no broker"]
            numbers = (await client.get("/metrics")).text
    assert "tonewatch_web_clients 0.0" in numbers and 'tonewatch_web_task_failures_total{task="relay"} 0.0' in numbers


def test_an_answer_is_not_held_back_until_the_client_acknowledges() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
