from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.intake.schema import Delivery
from alerts.judge import Incoming
from alerts.moderate import moderate
from alerts.policy import compiled, read_files
from alerts.store.database import reading, writing
from alerts.store.tables import audit, conversations, interceptions, outbox, users
from alerts.web.bodies import AlertBody, LogRow
from alerts.web.context import Links
from tests.builders_alerts import database
from tests.builders_web import NOW, Line, add_alert, add_chat, add_people, logged_in, running, score_record, web_of

HOUR = 3600.0
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


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url) as opened:
        await add_people(opened)
        yield opened


async def _two_teams(engine: AsyncEngine) -> dict[str, Any]:
    """The same things in two teams; everything of the second one says "sales" somewhere."""
    findings = await add_chat(engine, "c-9", "refunds", "a-1", REFUNDS)
    others = await add_chat(engine, "sales-c", "sales", "sales-a", SALES, at=NOW - 2 * HOUR, last_at=NOW - 60)
    alert = await add_alert(engine, "c-9", "refunds", "a-1")
    other = await add_alert(engine, "sales-c", "sales", "sales-a")
    await add_chat(engine, "nobodys", "unassigned", None, [Line("unassigned-secret 傻瓜", span=(18, 20))])
    return {"findings": findings, "others": others, "alert": alert, "other": other}


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
    ids = await _two_teams(engine)
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
    await _two_teams(engine)
    async with running(engine) as app, logged_in(app, login) as client:
        floor = (await client.get("/api/floor")).json()
        assert (floor["agents"], floor["alerts"], floor["teams"], floor["calls"]["live"]) == ([], [], [], 0)
        assert (await client.get("/api/interceptions")).json() == {"items": [], "total": 0, "next": None}
        numbers = (await client.get("/api/interceptions/numbers")).json()
        assert numbers["intercepted"] == numbers["delivered"] == 0 and numbers["by_team"] == []


async def test_who_may_sees_all_but_only_admins_what_is_unassigned(engine: AsyncEngine) -> None:
    await _two_teams(engine)
    async with running(engine) as app, logged_in(app, "lead-all") as lead, logged_in(app, "admin") as admin:
        assert (await lead.get("/api/interceptions")).json()["total"] == 7
        assert (await lead.get("/api/conversations/openim/nobodys")).status_code == 404
        assert (await admin.get("/api/conversations/openim/nobodys")).status_code == 200


async def test_an_agent_sees_the_own_row_and_log_only(engine: AsyncEngine) -> None:
    await _two_teams(engine)
    await add_chat(engine, "c-10", "refunds", "a-2", SALES)
    async with running(engine) as app, logged_in(app, "agent-1") as client:
        floor = (await client.get("/api/floor")).json()
        assert [row["agent_id"] for row in floor["agents"]] == ["a-1"]
        log = (await client.get("/api/interceptions")).json()
        assert {row["agent_id"] for row in log["items"]} == {"a-1"} and log["total"] == 6


async def test_the_log_is_found_by_each_filter(engine: AsyncEngine) -> None:
    await _two_teams(engine)
    asked = {
        "": 7, "q=骗子": 1, "q=傻瓜": 1, "q=傻": 2, "q=SALES-SECRET": 1, "q=100%25": 1, "q=%25": 1, "q=_": 0,
        "team=refunds": 6, "agent=sales-a": 1, "category=abuse": 4, "phrase=abuse.zh.017": 3, "platform=openim": 7,
        "platform=easemob": 0, "outcome=blocked": 3, "outcome=replaced": 1, "outcome=held": 1, "outcome=delivered": 1,
        "outcome=platform": 1, "review=pending": 7, "review=upheld": 0, f"from={NOW - 61}": 6, f"to={NOW - HOUR}": 1,
        "team=refunds&category=abuse&outcome=blocked": 2, "q=&team=&outcome=held": 1,
    }  # fmt: skip
    async with running(engine) as app, logged_in(app, "admin") as client:
        for query, count in asked.items():
            page = (await client.get(f"/api/interceptions?{query}")).json()
            assert (page["total"], len(page["items"])) == (count, count), query
        row = (await client.get("/api/interceptions?q=你是不是")).json()["items"][0]
    assert row | {"id": 0, "at": 0} == {
        "kind": "interception", "id": 0, "at": 0, "platform": "openim", "conversation_id": "c-9",
        "message_id": "c-9-2", "agent_id": "a-1", "agent_name": "a-1", "team": "refunds",
        "text": "你是不是傻瓜啊,看不懂字吗", "spans": [[4, 6, "abuse.zh.017"]], "category": "abuse",
        "severity": "critical", "phrases": ["abuse.zh.017"], "outcome": "blocked", "intercepted_by": "us",
        "attempt": 1, "policy_version": 1, "review": "pending", "review_reason": None, "reviewed_by": None,
        "latency_ms": 3.1,
    }  # fmt: skip


async def test_pages_of_the_log_join_without_gap_or_repeat(engine: AsyncEngine) -> None:
    # Many at the very same time, of both kinds: only then is the order among equals tried.
    kinds = ["interception", "violation", "interception"] * 7
    lines = [Line(f"傻瓜 {n}", action="block", span=(0, 2), finding=kind) for n, kind in enumerate(kinds)]
    await add_chat(engine, "c-1", "refunds", "a-1", lines)
    async with running(engine) as app, logged_in(app, "super-a") as client:
        seen: list[str] = []
        before: str | None = None
        pages = 0
        while pages < 10:
            params = {"limit": "4"} | ({"before": before} if before else {})
            page = (await client.get("/api/interceptions", params=params)).json()
            seen += [row["text"] for row in page["items"]]
            pages, before = pages + 1, page["next"]
            if before is None:
                break
        assert pages == 6 and len(seen) == 21 and len(set(seen)) == 21
        refused = await client.get("/api/interceptions?before=yesterday")
        assert refused.status_code == 422 and "next" in refused.json()["detail"]


async def test_the_numbers_are_those_of_the_log(engine: AsyncEngine) -> None:
    await _two_teams(engine)
    async with writing(engine) as connection:
        await connection.execute(
            update(interceptions).where(interceptions.c.attempt == 2).values(review="mistaken", reviewed_by="qa-a")
        )
    async with running(engine) as app, logged_in(app, "admin") as client:
        numbers = (await client.get("/api/interceptions/numbers")).json()
        refunds = (await client.get(f"/api/interceptions/numbers?team=refunds&from={NOW - 60}")).json()
        hours = (await client.get(f"/api/interceptions/numbers?from={NOW - HOUR}&to={NOW}")).json()
    # 3 blocked + 1 held + 1 by the platform; 10 messages of agents, one of them nobody's.
    assert (numbers["intercepted"], numbers["replaced"], numbers["delivered"]) == (5, 1, 1)
    assert (numbers["pending"], numbers["reviewed"], numbers["mistaken"]) == (6, 1, 1)
    assert numbers["per_thousand"] == 500.0 and numbers["per_thousand_before"] is None
    assert numbers["oldest_pending_at"] == NOW - 2 * HOUR
    assert numbers["by_team"] == [{"team": "refunds", "count": 6}, {"team": "sales", "count": 1}]
    assert numbers["by_agent"][0] == {"agent_id": "a-1", "agent_name": "a-1", "count": 6}
    assert numbers["by_phrase"][0] == {"phrase_id": "abuse.zh.017", "count": 3, "mistaken": 1}
    assert numbers["by_category"][0] == {"category": "abuse", "count": 4}
    assert refunds["intercepted"] == 4 and refunds["per_thousand"] == round(1000 * 4 / 7, 2)
    # The hour before held the one of sales among two messages.
    assert hours["per_thousand_before"] == 500.0


async def test_hours_begin_at_full_hours(engine: AsyncEngine) -> None:
    # Just before and after the hour, and in the second half of one: a cast that rounds would move two of these.
    for name, at in (("c-1", 3599.9), ("c-2", 3600.0), ("c-3", 3600.0 + 1801.0)):
        line = Line("傻瓜", action="block", span=(0, 2), finding="interception")
        await add_chat(engine, name, "refunds", "a-1", [line], at=NOW - 10 * HOUR + at)
    async with running(engine) as app, logged_in(app, "admin") as client:
        numbers = (await client.get("/api/interceptions/numbers")).json()
    start = (NOW - 10 * HOUR) // HOUR * HOUR
    assert numbers["by_hour"] == [{"at": start, "count": 1}, {"at": start + HOUR, "count": 2}]


async def test_a_review_is_kept_told_and_audited(engine: AsyncEngine) -> None:
    ids = await _two_teams(engine)
    path = f"/api/interceptions/interception/{ids['findings'][0]}/review"
    async with running(engine) as app, logged_in(app, "qa-a") as client, logged_in(app, "super-a") as other:
        assert (await other.post(path, json={"decision": "upheld"})).status_code == 403
        for decision in ("mistaken", "exempt"):
            for body in ({"decision": decision}, {"decision": decision, "reason": "  "}):
                refused = await client.post(path, json=body)
                assert refused.status_code == 422 and "reason" in refused.json()["detail"]
        answer = await client.post(path, json={"decision": "mistaken", "reason": "引用客户 13800137712"})
        row = answer.json()
        assert (row["review"], row["reviewed_by"]) == ("mistaken", "qa-a")
        assert row["review_reason"] == "引用客户 138****7712"
        assert (await client.get("/api/interceptions?review=mistaken")).json()["items"] == [row]
        back = (await client.post(path, json={"decision": "pending"})).json()
        assert (back["review"], back["reviewed_by"], back["review_reason"]) == ("pending", None, None)
    async with reading(engine) as connection:
        told = (await connection.execute(select(outbox).order_by(outbox.c.seq))).all()
        traces = (await connection.execute(select(audit).where(audit.c.what == "review").order_by(audit.c.id))).all()
    key = f"interception:{ids['findings'][0]}"
    assert [(row.kind, row.key, row.team, row.body["review"]) for row in told] == [
        ("interception", key, "refunds", "mistaken"),
        ("interception", key, "refunds", "pending"),
    ]
    assert [(row.who, row.object, row.detail["after"]) for row in traces] == [
        ("qa-a", key, "mistaken"),
        ("qa-a", key, "pending"),
    ]


async def test_nobody_reviews_the_own_messages(engine: AsyncEngine) -> None:
    ids = await _two_teams(engine)
    async with writing(engine) as connection:
        both = {"roles": ["qa", "agent"], "agent_id": "a-1"}
        await connection.execute(update(users).where(users.c.login == "qa-a").values(**both))
    async with running(engine) as app, logged_in(app, "qa-a") as client:
        path = f"/api/interceptions/interception/{ids['findings'][0]}/review"
        assert (await client.post(path, json={"decision": "upheld"})).status_code == 422


async def test_an_alert_is_seen_owned_and_resolved(engine: AsyncEngine) -> None:
    ids = await _two_teams(engine)
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
    await _two_teams(engine)
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
    await _two_teams(engine)
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


async def test_the_export_is_the_list_masked_and_audited(engine: AsyncEngine) -> None:
    await _two_teams(engine)
    await add_chat(engine, "c-1", "refunds", "a-1", [Line("=HYPERLINK(傻瓜)", action="block", finding="interception")])
    async with running(engine) as app, logged_in(app, "qa-a") as client:
        answer = await client.get("/api/interceptions.csv?team=refunds")
        total = (await client.get("/api/interceptions?team=refunds")).json()["total"]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith("\ufeff".encode())
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) == total == 7
    texts = {row["text"] for row in rows}
    assert "卡号***************0128" in texts
    assert "'=HYPERLINK(傻瓜)" in texts  # a spreadsheet would run it otherwise
    async with reading(engine) as connection:
        trace = (await connection.execute(select(audit).where(audit.c.what == "export"))).one()
    assert (trace.who, trace.detail) == ("qa-a", {"team": "refunds", "rows": 7})


async def _scores() -> AsyncIterator[dict[str, Any]]:
    """A minute and a half of a call, between them what is no record."""
    for second in range(1, 91):
        over = 11.4 if second > 60 else None
        yield score_record(
            "k-1", second, "refunds", "a-1", **{"volume.over_baseline_db": over, "speech_rate.spm": 240.0}
        )
        yield {"at_ms": "no record"}
    yield score_record("k-2", 5, None, None)


async def test_the_floor_shows_who_is_at_work_and_how_they_sound(engine: AsyncEngine) -> None:
    await _two_teams(engine)
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
    assert floor["teams"] == ["refunds"] and floor["lag_seconds"] == pytest.approx(0.2, abs=0.1)
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
    assert "tonewatch_web_clients 0.0" in numbers and 'tonewatch_web_task_failures{task="relay"} 0.0' in numbers


async def test_what_moderation_tells_is_what_the_log_shows(engine: AsyncEngine) -> None:
    # Two places make a row of the log, one when it is new and one from the database; a page merges both.
    policy = compiled(1, read_files())
    said: list[tuple[str, str, Delivery, tuple[str, ...]]] = [
        ("m-1", "你就是个骗子,傻瓜", "pending", ()),
        ("m-2", "你就是个骗子", "delivered", ()),
        ("m-3", "傻。瓜,打我电话13800137712", "pending", ()),
        ("m-4", "平台自己拦下的一句", "intercepted", ("一句",)),
    ]
    batch = [
        Incoming(
            "message", "openim", "c-1", name, "agent", "a-1", "Lin", "refunds", words, delivery, NOW + n,
            matched=matched,
        )
        for n, (name, words, delivery, matched) in enumerate(said)
    ]  # fmt: skip
    await moderate(engine, policy, batch, lambda: NOW + 9)
    async with running(engine) as app, logged_in(app, "super-a") as client:
        shown = (await client.get("/api/interceptions")).json()["items"]
        view = (await client.get("/api/conversations/openim/c-1")).json()
    async with reading(engine) as connection:
        told = [
            row.body for row in await connection.execute(select(outbox)) if row.kind in ("interception", "violation")
        ]
    assert sorted(told, key=_which) == sorted(shown, key=_which)
    assert [row["outcome"] for row in sorted(shown, key=lambda row: row["at"])] == [
        "blocked", "delivered", "blocked", "platform",
    ]  # fmt: skip
    assert [message["outcome"] for message in view["messages"]] == [
        "intercepted", "violation", "intercepted", "intercepted",
    ]  # fmt: skip
    assert [message["attempt"] for message in view["messages"]] == [1, 2, 3, 4]
    assert set(told[0]) == set(LogRow.model_fields)
    assert any("138****7712" in row["text"] for row in shown)


def _which(row: dict[str, Any]) -> tuple[str, int]:
    return row["kind"], row["id"]
