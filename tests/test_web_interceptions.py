from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.intake.schema import Delivery
from alerts.judge import Incoming
from alerts.moderate import moderate
from alerts.policy import compiled, read_files
from alerts.store.database import reading, writing
from alerts.store.tables import audit, interceptions, outbox, users
from alerts.web.log_bodies import LogRow
from tests.builders_alerts import database
from tests.builders_web import (
    HOUR,
    NOW,
    Line,
    add_chat,
    add_people,
    logged_in,
    running,
    two_teams,
)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url) as opened:
        await add_people(opened)
        yield opened


async def test_the_log_is_found_by_each_filter(engine: AsyncEngine) -> None:
    await two_teams(engine)
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
            numbers = (await client.get(f"/api/interceptions/numbers?{query}")).json()
            assert numbers["intercepted"] + numbers["delivered"] + numbers["replaced"] == count, query
        row = (await client.get("/api/interceptions?q=你是不是")).json()["items"][0]
    assert row | {"id": 0, "at": 0} == {
        "kind": "interception", "id": 0, "at": 0, "platform": "openim", "conversation_id": "c-9",
        "message_id": "c-9-2", "agent_id": "a-1", "agent_name": "a-1", "team": "refunds",
        "text": "你是不是傻瓜啊,看不懂字吗", "spans": [[4, 6, "abuse.zh.017"]], "category": "abuse",
        "severity": "critical", "phrases": ["abuse.zh.017"], "outcome": "blocked", "intercepted_by": "us",
        "attempt": 1, "policy_version": 1, "review": "pending", "review_reason": None, "reviewed_by": None,
        "latency_ms": 3.1,
    }  # fmt: skip


async def test_what_no_database_takes_is_refused_in_words(engine: AsyncEngine) -> None:
    queries = [f"{name}=%00" for name in ("team", "agent", "category", "phrase", "platform", "q")]
    queries += ["from=nan", "to=inf", "limit=0", "limit=501"]
    async with running(engine) as app, logged_in(app, "admin") as client:
        for query in queries:
            answer = await client.get(f"/api/interceptions?{query}")
            assert answer.status_code == 422, query
            assert answer.json()["detail"].startswith(f"query.{query.split('=')[0]}: "), query
        for path in ("/api/conversations/openim/a%00b", "/api/conversations/a%00b/c-9", f"/api/audit?before={2**63}"):
            assert (await client.get(path)).status_code == 422, path


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
        for nonsense in ("nan~violation~1", "1.0~rumour~1", "1.0~violation~-1", f"1.0~violation~{2**63}", "1~\0~1"):
            answer = await client.get("/api/interceptions", params={"before": nonsense})
            assert answer.status_code == 422 and "next" in answer.json()["detail"], nonsense
        refused = await client.get("/api/interceptions?before=yesterday")
        assert refused.status_code == 422 and "next" in refused.json()["detail"]


async def test_the_numbers_are_those_of_the_log(engine: AsyncEngine) -> None:
    await two_teams(engine)
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
    ids = await two_teams(engine)
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
    ids = await two_teams(engine)
    async with writing(engine) as connection:
        both = {"roles": ["qa", "agent"], "agent_id": "a-1"}
        await connection.execute(update(users).where(users.c.login == "qa-a").values(**both))
    async with running(engine) as app, logged_in(app, "qa-a") as client:
        path = f"/api/interceptions/interception/{ids['findings'][0]}/review"
        assert (await client.post(path, json={"decision": "upheld"})).status_code == 422


async def test_the_export_is_the_list_masked_and_audited(engine: AsyncEngine) -> None:
    await two_teams(engine)
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


async def test_a_search_does_not_tell_what_the_mask_hides(engine: AsyncEngine) -> None:
    lines = [
        Line("傻瓜打我电话13800137712", action="block", span=(0, 2), finding="interception"),
        Line("订单 8001 傻瓜", action="block", span=(8, 10), finding="interception"),
        Line("傻瓜写到zhang.san@qq.com", action="block", span=(0, 2), finding="interception"),
        Line("zhang 是傻瓜", action="block", span=(7, 9), finding="interception"),
    ]
    await add_chat(engine, "c-1", "refunds", "a-1", lines)
    asked = {"傻瓜": 4, "138": 1, "7712": 1, "8001": 1, "13800137712": 0, "zhang": 1, "zhang.san": 0, "qq.com": 1}
    async with running(engine) as app, logged_in(app, "lead-all") as client:
        for words, count in asked.items():
            page = (await client.get("/api/interceptions", params={"q": words})).json()
            assert (page["total"], len(page["items"])) == (count, count), words
            numbers = (await client.get("/api/interceptions/numbers", params={"q": words})).json()
            assert numbers["intercepted"] == count, words
            export = await client.get("/api/interceptions.csv", params={"q": words})
            assert export.text.count("傻瓜") == count, words
