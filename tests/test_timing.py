from __future__ import annotations

import json

import pytest

from detectors.timing import Waits, hear


def test_the_oldest_unanswered_message_is_waited_from() -> None:
    waits, reply = hear(Waits(), "customer", 100.0, True)
    assert reply is None
    waits, _ = hear(waits, "customer", 130.0, True)
    assert waits.waiting_since == 100.0
    waits, reply = hear(waits, "agent", 145.0, True)
    assert reply == 45.0
    assert waits.waiting_since is None and waits.first_replied


def test_the_next_wait_begins_after_the_reply() -> None:
    waits, _ = hear(Waits(), "customer", 100.0, True)
    waits, _ = hear(waits, "agent", 110.0, True)
    waits, reply = hear(waits, "agent", 115.0, True)
    assert reply is None, "a second message of the agent answers nothing"
    waits, _ = hear(waits, "customer", 120.0, True)
    assert hear(waits, "agent", 150.0, True)[1] == 30.0


def test_what_was_stopped_answers_nobody() -> None:
    waits, _ = hear(Waits(), "customer", 100.0, True)
    after, reply = hear(waits, "agent", 110.0, False)
    assert (after, reply) == (waits, None)


def test_a_customers_message_that_never_came_starts_no_wait() -> None:
    assert hear(Waits(), "customer", 100.0, False) == (Waits(), None)


def test_a_bot_neither_waits_nor_answers() -> None:
    waits, _ = hear(Waits(), "customer", 100.0, True)
    assert hear(waits, "bot", 101.0, True) == (waits, None)
    assert hear(Waits(), "bot", 101.0, True) == (Waits(), None)


def test_an_agent_who_greets_has_not_replied_yet() -> None:
    waits, _ = hear(Waits(), "agent", 90.0, True)
    assert not waits.first_replied


@pytest.mark.parametrize(
    ("customer_sent", "agent_sent", "seconds"),
    [
        (1000.0, 1020.0, 20.0),
        (None, 1020.0, 60.0),
        (1000.0, None, 60.0),
        (1000.0, 990.0, 0.0),  # a clock that runs behind makes no negative time
    ],
)
def test_a_reply_is_measured_with_one_clock(
    customer_sent: float | None, agent_sent: float | None, seconds: float
) -> None:
    waits, _ = hear(Waits(), "customer", 100.0, True, customer_sent)
    assert hear(waits, "agent", 160.0, True, agent_sent)[1] == seconds


def test_what_was_asked_about_a_wait_is_forgotten_with_it() -> None:
    waits = Waits(waiting_since=100.0, raised=("reply.first:warning",))
    waits, _ = hear(waits, "agent", 200.0, True)
    assert waits.raised == ()


def test_waits_survive_the_row_they_are_kept_in() -> None:
    waits = Waits(100.0, True, ("reply.later:warning",), 99.5)
    assert Waits.from_json(json.loads(json.dumps(waits.to_json()))) == waits
    assert Waits.from_json({}) == Waits()
