"""Attempts of one agent in one conversation: what is stopped, what varies it, and what is told of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.chain import FOLLOWED_SECONDS, MOST_TRIES, NO_CHAIN
from alerts.judge import Incoming, judge
from alerts.memory import ConversationMemory
from alerts.moderate import Verdict, moderate
from alerts.policy import compiled, read_files
from alerts.store.database import reading
from alerts.store.tables import alerts, conversations, interceptions, messages, violations
from detectors.phrases.engine import MAX_CODE_POINTS
from detectors.phrases.variants import MAX_STOPPED
from tests.builders_alerts import START, database

POLICY = compiled(1, read_files())
INSULT, VARIANT, FINE = "你就是个骗子", "你就是个片子", "您好，请问有什么可以帮您"


def incoming(name: str, text: str, after: float = 0.0, **more: Any) -> Incoming:
    first = Incoming("message", "openim", "c-1", name, "agent", "a-1", "Lin", "refunds", text, "pending", START)
    return replace(first, arrived_at=START + after, **more)


async def kept(engine: AsyncEngine, table: Any) -> list[Any]:
    async with reading(engine) as connection:
        return list((await connection.execute(select(table).order_by(table.c.id))).all())


async def say(engine: AsyncEngine, *batch: Incoming) -> list[Verdict]:
    return await moderate(engine, POLICY, batch, lambda: START + 1000)


def hows(verdict: Verdict) -> list[tuple[str, list[int]]]:
    return [(reason["how"], reason["span"]) for reason in orjson.loads(verdict.value)["reasons"]]


async def test_tried_three_times_the_third_got_through(database_url: str) -> None:
    said = [
        incoming("m-1", INSULT),
        incoming("m-2", "傻。瓜", 5),
        incoming("m-3", VARIANT, 9),
        incoming("m-4", FINE, 20),
    ]
    async with database(database_url) as engine:
        verdicts = [verdict for one in said for verdict in await say(engine, one)]
        assert [verdict.action for verdict in verdicts] == ["block", "block", "allow", "allow"]
        assert hows(verdicts[2]) == [("near", [4, 6])] and hows(verdicts[3]) == []
        assert [row.attempt for row in await kept(engine, interceptions)] == [1, 2]
        (violation,) = await kept(engine, violations)
        assert (violation.attempt, violation.phrases) == (
            3,
            orjson.loads(verdicts[2].value)["reasons"][0]["phrase_id"].split(" "),
        )
        (alert,) = [row for row in await kept(engine, alerts) if row.rule_id == "phrase.repeated"]
        assert (alert.severity, alert.evidence["value"], alert.evidence["message_id"]) == ("critical", 3, "m-3")
        tries = alert.evidence["extra"]["attempts"]
        assert [(one["attempt"], one["message_id"], one["outcome"]) for one in tries] == [
            (1, "m-1", "blocked"), (2, "m-2", "blocked"), (3, "m-3", "delivered"),
        ]  # fmt: skip
        assert [one["text"] for one in tries] == [INSULT, "傻。瓜", VARIANT]


async def test_a_batch_of_known_and_new_texts_keeps_each_once(database_url: str) -> None:
    first, second, third = incoming("m-1", INSULT), incoming("m-2", INSULT, 5), incoming("m-3", FINE, 9)
    async with database(database_url) as engine:
        (told,) = await say(engine, first)
        verdicts = await say(engine, second, first, third)
        assert [verdict.is_repeat for verdict in verdicts] == [False, True, False]
        assert verdicts[1].value == told.value
        assert [row.attempt for row in await kept(engine, interceptions)] == [1, 2]
        assert [row.message_id for row in await kept(engine, messages)] == ["m-1", "m-2", "m-3"]


@pytest.mark.parametrize("together", [True, False])
async def test_a_repeat_neither_counts_nor_lengthens(database_url: str, together: bool) -> None:
    said = [incoming("m-1", INSULT), incoming("m-2", VARIANT, 5)]
    again = [replace(one, arrived_at=one.arrived_at + 300) for one in said]
    async with database(database_url) as engine:
        first = [verdict for one in said for verdict in await say(engine, one)]
        for batch in [[*said, *again]] if together else [[one] for one in (*again, *said, *again)]:
            for one, verdict in zip(batch, await say(engine, *batch), strict=True):
                assert verdict.is_repeat
                assert verdict.value == first[["m-1", "m-2"].index(one.message_id)].value
        assert [row.attempt for row in await kept(engine, interceptions)] == [1]
        assert [row.attempt for row in await kept(engine, violations)] == [2]
        # 300 s later it came again, but was not stopped again: the 600 s are those of the first time.
        (late,) = await say(engine, incoming("m-3", VARIANT, FOLLOWED_SECONDS))
        assert hows(late) == [] and len(await kept(engine, violations)) == 1


async def test_in_one_batch_as_one_by_one(database_url: str) -> None:
    said = [incoming("m-1", INSULT), incoming("m-2", VARIANT, 5), incoming("m-2", VARIANT, 6), incoming("m-3", FINE, 7)]
    async with database(database_url) as engine:
        verdicts = await say(engine, *said)
        assert [len(hows(verdict)) for verdict in verdicts] == [1, 1, 1, 0]
        async with reading(engine) as connection:
            memory = (await connection.execute(select(conversations.c.memory))).scalar_one()
    assert memory["attempts"] == {"a-1": 2}
    assert [one["message_id"] for one in memory["chains"]["a-1"]["tries"]] == ["m-1", "m-2"]


@pytest.mark.parametrize(("after", "joins"), [(0.0, True), (FOLLOWED_SECONDS - 0.1, True), (FOLLOWED_SECONDS, False)])
def test_the_window_is_ten_minutes_from_the_last_interception(after: float, joins: bool) -> None:
    memory = ConversationMemory()
    judge(POLICY, memory, incoming("m-1", INSULT), START)
    judge(POLICY, memory, incoming("m-2", INSULT, 400), START)
    judge(POLICY, memory, incoming("m-3", VARIANT, 401), START)  # what got through does not lengthen it
    judgement = judge(POLICY, memory, incoming("m-4", VARIANT, 400 + after), START)
    assert judgement.attempt == (4 if joins else 0)


@pytest.mark.parametrize(
    "other",
    [{"sender_id": "a-2"}, {"sender_id": None}, {"side": "customer", "sender_id": "u-1"}, {"side": "customer"}],
)
def test_another_speaker_is_not_followed(other: dict[str, Any]) -> None:
    memory = ConversationMemory()
    judge(POLICY, memory, incoming("m-1", INSULT), START)
    judgement = judge(POLICY, memory, incoming("m-2", VARIANT, 5, **other), START)
    assert (judgement.hits, judgement.attempt, judgement.violates) == ((), 0, False)


async def test_another_conversation_is_not_followed(database_url: str) -> None:
    async with database(database_url) as engine:
        await say(engine, incoming("m-1", INSULT))
        (verdict,) = await say(engine, incoming("m-2", VARIANT, 5, conversation_id="c-2"))
        assert hows(verdict) == []


def test_what_was_delivered_after_the_fact_is_no_interception() -> None:
    memory = ConversationMemory()
    assert judge(POLICY, memory, incoming("m-1", INSULT, delivery="delivered"), START).attempt == 1
    assert judge(POLICY, memory, incoming("m-2", VARIANT, 5), START).attempt == 0


async def test_what_the_platform_stopped_is_followed_too(database_url: str) -> None:
    text = "今天天气不错"
    async with database(database_url) as engine:
        await say(engine, incoming("m-1", text))
        await say(engine, incoming("m-1", text, 1, delivery="intercepted", matched=("天气",)))
        (again,) = await say(engine, incoming("m-2", "天气真好", 5))
        assert hows(again) == [("near", [0, 2])], "our lexicon does not know it, so the same word is an attempt"
        (alike,) = await say(engine, incoming("m-3", "添汽真好", 6))
        assert hows(alike) == [("near", [0, 2])]
        assert [row.attempt for row in await kept(engine, interceptions)] == [1]
        assert [row.attempt for row in await kept(engine, violations)] == [2, 3]


async def test_what_is_known_later_of_an_attempt_is_in_the_chain(database_url: str) -> None:
    async with database(database_url) as engine:
        await say(engine, incoming("m-1", INSULT))
        await say(engine, incoming("m-2", VARIANT, 5))
        await say(engine, incoming("m-3", INSULT, 6))
        # The platform delivered what we had blocked, and stopped what we had let through.
        await say(engine, incoming("m-1", INSULT, 7, delivery="delivered"))
        await say(engine, incoming("m-2", VARIANT, 8, delivery="intercepted", matched=("片子",)))
        await say(engine, incoming("m-4", INSULT, 9))
        (alert,) = [row for row in await kept(engine, alerts) if row.rule_id == "phrase.repeated"]
        tries = alert.evidence["extra"]["attempts"]
        assert [(one["attempt"], one["message_id"], one["outcome"]) for one in tries] == [
            (1, "m-1", "delivered"), (2, "m-2", "platform"), (3, "m-3", "blocked"), (4, "m-4", "blocked"),
        ]  # fmt: skip
        late = [(row.attempt, row.intercepted_by) for row in await kept(engine, interceptions)]
        assert late == [(1, "us"), (3, "us"), (2, "platform"), (4, "us")]
        assert sorted(row.attempt for row in await kept(engine, violations)) == [1, 2]


def test_a_chain_stays_small_and_survives_json() -> None:
    memory = ConversationMemory()
    phrases = [phrase for phrase in POLICY.phrases.lexicon.phrases if phrase.action == "block"][: 4 * MAX_STOPPED]
    for number, phrase in enumerate(phrases):
        text = f"{phrase.phrase} 13800137712 " + "好" * 500
        judge(POLICY, memory, incoming(f"m-{number}", text, number), START)
    again = ConversationMemory.from_json(orjson.loads(orjson.dumps(memory.to_json())))
    assert again == memory
    chain = again.chain_of("a-1")
    assert len(chain.stopped) == MAX_STOPPED and len(chain.tries) == MOST_TRIES
    assert all("13800137712" not in one.text for one in chain.tries), "what is kept for alerts is masked"
    assert len(orjson.dumps(chain.to_json())) < 10_000
    assert ConversationMemory.from_json({"attempts": {"a-1": 2}}).chain_of("a-1") == NO_CHAIN, "a row from before"


def test_a_text_too_long_to_be_read_is_an_attempt_without_a_phrase() -> None:
    memory = ConversationMemory()
    judgement = judge(POLICY, memory, incoming("m-1", "好" * (MAX_CODE_POINTS + 1)), START)
    assert (judgement.action, judgement.attempt) == ("review", 1)
    assert judge(POLICY, memory, incoming("m-2", "好的", 5), START).attempt == 0
