from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.alert import UNASSIGNED, Change, Evidence
from alerts.store.alerts import alert_body, apply_changes, close_due, open_alerts
from alerts.store.database import reading, writing
from alerts.store.many import Step
from alerts.store.outbox import OutboxRow, append
from alerts.store.round_trip import Writer
from alerts.store.tables import alerts, outbox
from tests.builders_alerts import CALL, CHAT, START, change, database

NOW = START + 100


async def _apply(engine: AsyncEngine, *changes: Change, now: float = NOW) -> list[dict[str, Any]]:
    async with writing(engine) as connection:
        return await apply_changes(connection, changes, 7, now)


def _told_beside(*rows: OutboxRow) -> Writer[list[OutboxRow]]:
    """A writer that writes nothing of its own and has something to tell."""
    yield [Step(select(outbox), {})]
    return list(rows)


async def _rows(engine: AsyncEngine) -> list[Any]:
    async with reading(engine) as connection:
        return list((await connection.execute(select(alerts).order_by(alerts.c.id))).all())


async def _told(engine: AsyncEngine, kind: str = "alert") -> list[Any]:
    async with reading(engine) as connection:
        found = await connection.execute(select(outbox).where(outbox.c.kind == kind).order_by(outbox.c.seq))
        return list(found.all())


async def test_an_alert_is_opened_raised_and_ended_as_one_row(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change())
        graver = change("update", START + 5, severity="critical", rises=True, evidence=Evidence(value=22.0))
        await _apply(engine, graver)
        await _apply(engine, change("end", START + 9), now=NOW + 3)
        [row] = await _rows(engine)
        assert (row.severity, row.state, row.version) == ("critical", "ended", 3)
        assert (row.opened_at, row.last_at, row.closed_at, row.changed_at) == (START, START + 5, START + 9, NOW + 3)
        assert row.evidence["value"] == 22.0, "an end must not take away what the alert was about"
        told = await _told(engine)
        assert [(item.key, item.body["version"], item.body["state"]) for item in told] == [
            (f"alert:{row.id}", 1, "open"),
            (f"alert:{row.id}", 2, "open"),
            (f"alert:{row.id}", 3, "ended"),
        ]
        assert told[-1].body == alert_body(row)
        assert {item.team for item in told} == {"refunds"}


async def test_the_body_names_the_rule_and_not_twice(database_url: str) -> None:
    async with database(database_url) as engine:
        [body] = await _apply(engine, change())
        assert body["rule_name"] == {"zh": "音量升高", "en": "Raised level"}
        assert body["category"] == "manner"
        assert body["evidence"]["metric"] == "volume.over_baseline_db"
        assert not {"rule_name", "category"} & set(body["evidence"])


async def test_the_same_changes_again_change_nothing(database_url: str) -> None:
    async with database(database_url) as engine:
        short = (change(at=START), change("end", START + 4), change(at=START + 50, rule_id="pitch.raised"))
        await _apply(engine, *short)
        before, told = await _rows(engine), len(await _told(engine))
        assert await _apply(engine, *short, now=NOW + 1) == []
        assert await _rows(engine) == before
        assert len(await _told(engine)) == told


async def test_opened_and_ended_in_one_batch_is_one_ended_alert(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(), change("update", START + 2), change("end", START + 4))
        [row] = await _rows(engine)
        assert (row.state, row.opened_at, row.closed_at) == ("ended", START, START + 4)


async def test_an_alert_that_ended_is_opened_anew_by_the_next_time(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(), change("end", START + 4), change(at=START + 8))
        assert [row.state for row in await _rows(engine)] == ["ended", "open"]


async def test_severity_never_falls_and_the_grave_sentence_stays_shown(database_url: str) -> None:
    async with database(database_url) as engine:
        grave = change(severity="critical", cooldown_seconds=600, evidence=Evidence(text="grave"))
        await _apply(engine, grave)
        milder = replace(grave, severity="info", evidence=Evidence(text="mild"), at=START + 10)
        await _apply(engine, milder)
        [row] = await _rows(engine)
        assert (row.severity, row.evidence["text"]) == ("critical", "grave")
        assert row.ends_at == START + 10 + 600, "a later hit carries the alert on"


async def test_what_a_person_closed_is_not_opened_by_an_update_unless_it_is_worse(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(severity="info"))
        async with writing(engine) as connection:
            await connection.execute(alerts.update().values(state="dismissed", closed_at=START + 3))
        assert await _apply(engine, change("update", START + 5, severity="info")) == []
        await _apply(engine, change("update", START + 20, severity="warning", rises=True))
        assert [(row.state, row.severity) for row in await _rows(engine)] == [
            ("dismissed", "info"),
            ("open", "warning"),
        ]


async def test_a_worker_believed_dead_neither_reopens_nor_ends(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(), change("update", START + 30))
        assert await _apply(engine, change("end", START + 10)) == []
        await _apply(engine, change("end", START + 40))
        assert await _apply(engine, change(at=START + 20)) == []
        assert [row.state for row in await _rows(engine)] == ["ended"]


async def test_two_that_open_at_once_make_one_alert(database_url: str) -> None:
    async with database(database_url) as engine:
        await asyncio.gather(*(_apply(engine, change(at=START + n)) for n in range(6)))
        [row] = await _rows(engine)
        versions = [item.body["version"] for item in await _told(engine)]
        assert versions == list(range(1, row.version + 1)), "each change once, in order"


async def test_two_that_write_many_alerts_in_other_orders_both_finish(database_url: str) -> None:
    async with database(database_url) as engine:
        many = [change(rule_id=f"r.{n}") for n in range(40)]
        for again in range(3):
            later = [replace(item, at=START + 1 + again) for item in many]
            await asyncio.gather(_apply(engine, *later), _apply(engine, *reversed(later)))
        assert len(await _rows(engine)) == 40


async def test_an_update_waits_for_a_person_who_is_closing_the_alert(postgres_url: str) -> None:
    async with database(postgres_url) as engine:
        await _apply(engine, change())
        async with writing(engine) as connection:
            await connection.execute(alerts.update().values(state="resolved", closed_at=START + 3))
            late = asyncio.create_task(_apply(engine, change("update", START + 5)))
            await asyncio.sleep(0.3)
            assert not late.done()
        assert await late == []
        assert [row.state for row in await _rows(engine)] == ["resolved"]


async def test_who_has_told_something_already_never_waits_for_the_sweep(postgres_url: str) -> None:
    async with database(postgres_url) as engine:
        await _apply(engine, change(cooldown_seconds=60))

        async def close() -> int:
            async with writing(engine) as connection:
                return len(await close_due(connection, START + 61))

        async with writing(engine) as connection:
            await append(connection, [OutboxRow("violation", "violation:1", "refunds", None, {}, START)])
            closing = asyncio.create_task(close())
            await asyncio.sleep(0.3)
            # PostgreSQL would end one of the two after a second, as each waits for the other.
            assert len(await apply_changes(connection, [change("end", START + 1)], 7, NOW)) == 1
        assert await closing == 0


async def test_what_was_learned_and_what_else_is_told_go_in_one_breath(database_url: str) -> None:
    async with database(database_url) as engine:
        unknown = replace(CALL, agent_id=None, agent_name=None, team=UNASSIGNED)
        await _apply(engine, change(conversation=unknown))
        more = OutboxRow("violation", "violation:1", "refunds", "a-1", {}, START)
        async with writing(engine) as connection:
            changed = await apply_changes(
                connection, [change(rule_id="pitch.raised")], 7, NOW, learned=[CALL], beside=_told_beside(more)
            )
        assert sorted((body["rule_id"], body["team"]) for body in changed) == [
            ("pitch.raised", "refunds"),
            ("volume.raised", "refunds"),
        ]
        assert [item.key for item in await _told(engine, "violation")] == ["violation:1"]


async def test_dry_run_rules_ask_nobody(database_url: str) -> None:
    async with database(database_url) as engine:
        assert await _apply(engine, change(dry_run=True)) == []
        assert await _rows(engine) == [] and await _told(engine) == []


async def test_one_alert_for_each_platform_conversation_and_rule(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(), change(conversation=CHAT), change(rule_id="other"), change(at=START + 1))
        assert len(await _rows(engine)) == 3


async def test_an_agent_gets_two_reminders_a_minute_and_no_more(database_url: str) -> None:
    async with database(database_url) as engine:
        told = [change(rule_id=f"r.{n}", audience=("supervisor", "agent")) for n in range(5)]
        await _apply(engine, *told[:3], change(rule_id="quiet"))
        await _apply(engine, told[3], now=NOW + 30)
        assert len(await _told(engine, "reminder")) == 2
        await _apply(engine, told[4], now=NOW + 61)
        reminders = await _told(engine, "reminder")
        assert len(reminders) == 3
        assert {item.key for item in reminders} == {"a-1"}
        assert reminders[0].body["rule_id"] == "r.0"
        assert (reminders[0].body["value"], reminders[0].body["limit"]) == (11.0, 10.0)


async def test_an_update_reminds_nobody_again(database_url: str) -> None:
    async with database(database_url) as engine:
        both = change(audience=("supervisor", "agent"))
        await _apply(engine, both)
        await _apply(engine, replace(both, kind="update", at=START + 5))
        assert len(await _told(engine, "reminder")) == 1


async def test_alerts_of_nobodys_team_go_to_the_agents_once_it_is_known(database_url: str) -> None:
    async with database(database_url) as engine:
        unknown = replace(CALL, agent_id=None, agent_name=None, team=UNASSIGNED)
        other = replace(unknown, conversation_id="k-2")
        await _apply(engine, change(conversation=unknown), change(conversation=other))
        async with writing(engine) as connection:
            [body] = await apply_changes(connection, (), 1, NOW + 1, learned=(CALL,))
        assert (body["team"], body["agent_id"], body["version"]) == ("refunds", "a-1", 2)
        assert [row.team for row in await _rows(engine)] == ["refunds", UNASSIGNED]
        assert (await _told(engine))[-1].team == "refunds"
        async with writing(engine) as connection:
            assert await apply_changes(connection, (), 1, NOW + 2, learned=(CALL,)) == []


async def test_open_alerts_are_given_to_who_takes_over(database_url: str) -> None:
    async with database(database_url) as engine:
        await _apply(engine, change(), change(rule_id="gone"), change("end", START + 1, rule_id="gone"))
        async with reading(engine) as connection:
            [row] = await open_alerts(connection, "call", ["k-1", "k-9"])
            assert await open_alerts(connection, "openim", ["k-1"]) == []
        assert (row["rule_id"], row["severity"], row["evidence"]["value"]) == ("volume.raised", "warning", 11.0)


async def test_an_alert_on_hits_ends_when_its_cooldown_is_over_and_a_later_hit_opens_another(database_url: str) -> None:
    async with database(database_url) as engine:
        on_hits = change(rule_id="phrase.prohibited", conversation=CHAT, cooldown_seconds=60)
        await _apply(engine, on_hits)
        async with writing(engine) as connection:
            assert await close_due(connection, START + 59) == []
            [body] = await close_due(connection, START + 60)
        assert (body["state"], body["closed_at"]) == ("ended", START + 60)
        await _apply(engine, replace(on_hits, at=START + 61))
        assert [row.state for row in await _rows(engine)] == ["ended", "open"]


@pytest.mark.parametrize("count", [1200])
async def test_more_alerts_than_a_statement_may_have_parameters(database_url: str, count: int) -> None:
    async with database(database_url) as engine:
        many = [change(conversation=replace(CALL, conversation_id=f"k-{n}")) for n in range(count)]
        assert len(await _apply(engine, *many)) == count
        assert len(await _rows(engine)) == count
