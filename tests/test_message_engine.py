"""Rules on messages: hits, counts in a window, words too fast, replies and waits; what becomes of their changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alerts.alert import fold
from alerts.engine import (
    MessageFacts,
    judge_due,
    judge_message,
    judge_reply,
    next_due,
    remember,
)
from alerts.rules import RuleSet, parse_rules
from detectors.timing import Waits, hear
from tests.builders_alerts import CALL, CHAT, SHIPPED, START, change, hit, rules_of


def _facts(*hits: Any, **more: Any) -> MessageFacts:
    values: dict[str, Any] = {
        "side": "agent",
        "message_id": "m-1",
        "text": "骗子,骗子",
        "hits": hits,
        "action": "block" if hits else "allow",
        "delivered": not hits,
        "attempts": 0,
    }
    return MessageFacts(**(values | more))


def test_a_prohibited_phrase_is_as_grave_as_its_gravest_hit() -> None:
    mild, grave = hit("policy.zh.1", "info", (0, 2)), hit("abuse.zh.1", "critical", (3, 5))
    [asked] = judge_message(SHIPPED, CHAT, _facts(mild, grave), START)
    assert (asked.kind, asked.rule_id, asked.severity) == ("open", "phrase.prohibited", "critical")
    assert asked.cooldown_seconds == 600
    assert asked.evidence.message_id == "m-1"
    assert (asked.evidence.text, asked.evidence.spans) == ("骗子,骗子", ((0, 2), (3, 5)))
    assert asked.evidence.phrases == ("policy.zh.1", "abuse.zh.1")
    assert judge_message(SHIPPED, CHAT, _facts(mild), START)[0].severity == "info"
    assert judge_message(SHIPPED, CHAT, _facts(), START) == []


def test_what_the_customer_says_is_not_held_against_the_agent() -> None:
    assert judge_message(SHIPPED, CHAT, _facts(hit(), side="customer"), START) == []


def test_the_second_attempt_is_critical_and_a_clean_message_is_none() -> None:
    def asked(**more: Any) -> list[str]:
        return [item.rule_id for item in judge_message(SHIPPED, CHAT, _facts(hit(), **more), START)]

    assert asked(attempts=1) == ["phrase.prohibited"]
    assert asked(attempts=2) == ["phrase.prohibited", "phrase.repeated"]
    assert judge_message(SHIPPED, CHAT, _facts(attempts=0), START) == []


def test_the_gravest_level_that_holds_is_asked() -> None:
    [rule] = parse_rules(
        '[[rule]]\nid = "r"\nname = { zh = "a", en = "a" }\ncategory = "content"\nmetric = "phrases.attempts"\n'
        'levels = [ { severity = "info", at_least = 1 }, { severity = "critical", at_least = 3 } ]',
        "rules.toml",
    ).rules
    asked = [judge_message(RuleSet([rule]), CHAT, _facts(hit(), attempts=n), START) for n in (1, 2, 3, 4)]
    assert [changes[0].severity for changes in asked] == ["info", "info", "critical", "critical"]


def test_words_too_fast_are_judged_by_language_and_not_in_short_turns() -> None:
    def asked(rate: float, seconds: float, language: str = "zh") -> list[str]:
        facts = _facts(words_spm=rate, turn_seconds=seconds)
        return [item.rule_id for item in judge_message(SHIPPED, replace(CALL, language=language), facts, START)]

    assert asked(281.0, 3.0) == ["rate.words.fast"]
    assert asked(280.0, 3.0) == []
    assert asked(400.0, 1.0) == []
    assert asked(200.0, 5.0, "en") == ["rate.words.fast"]


@pytest.mark.parametrize(
    ("body", "matching"),
    [
        ('categories = ["abuse"]', True),
        ('categories = ["threat"]', False),
        ('severities = ["critical", "warning"]', True),
        ('severities = ["info"]', False),
        ('phrases = ["abuse.zh.001"]', True),
        ("delivered = false", True),
        ("delivered = true", False),
        ('side = "customer"', False),
    ],
)
def test_hits_are_chosen_by_kind(body: str, matching: bool) -> None:
    rules = rules_of(f'id = "a"\nhits = 1\n{body}')
    assert bool(judge_message(rules, CHAT, _facts(hit()), START)) is matching


def test_hits_are_counted_in_a_window_and_only_a_new_one_asks() -> None:
    rules = rules_of('id = "often"\nhits = 3\nwithin_seconds = 60')
    past: tuple[Any, ...] = ()
    asked = []
    for at, hits in ((0, 1), (10, 1), (65, 1), (66, 1), (67, 0), (69, 1), (140, 2)):
        facts = _facts(*[hit()] * hits, past=past)
        asked += [(at, item.rule_id) for item in judge_message(rules, CHAT, facts, START + at)]
        past = remember(rules, facts, START + at)
    assert asked == [(66, "often"), (69, "often")]
    assert len(past) == 2, "nothing is kept longer than a rule may ask for"


def test_a_long_message_is_cut_around_its_first_hit() -> None:
    text = "好" * 50_000 + "骗子" + "好" * 49_998
    [asked] = judge_message(SHIPPED, CHAT, _facts(hit(span=(50_000, 50_002)), text=text), START)
    assert asked.evidence.text is not None and len(asked.evidence.text) == 2000
    [(start, end)] = asked.evidence.spans
    assert asked.evidence.text[start:end] == "骗子"
    assert asked.evidence.extra["cut_of"] == len(text)


def test_a_reply_time_can_be_judged_when_the_reply_comes() -> None:
    rules = rules_of('id = "was.late"\nmetric = "timing.first_reply_seconds"\nabove = 60')
    late = _facts(reply_seconds=70.0, first_reply=True)
    assert [item.evidence.value for item in judge_message(rules, CHAT, late, START)] == [70.0]
    assert judge_message(rules, CHAT, replace(late, first_reply=False), START) == []


# Waits, by the clock


def test_waits_are_due_by_the_first_and_the_later_limit() -> None:
    waits, _ = hear(Waits(), "customer", START, True)
    assert next_due(SHIPPED, CHAT, waits) == START + 60
    waits, _ = hear(waits, "agent", START + 10, True)
    assert next_due(SHIPPED, CHAT, waits) is None
    waits, _ = hear(waits, "customer", START + 20, True)
    assert next_due(SHIPPED, CHAT, waits) == START + 140
    assert next_due(SHIPPED, CALL, waits) is None


def test_a_wait_is_asked_once_for_each_level() -> None:
    rules = parse_rules(
        '[[rule]]\nid = "late"\nname = { zh = "a", en = "a" }\ncategory = "timeliness"\nlevels = ['
        ' { severity = "info", no_reply_seconds = 30 }, { severity = "critical", no_reply_seconds = 90 } ]',
        "rules.toml",
    )
    waits, _ = hear(Waits(), "customer", START, True)
    waits, changes = judge_due(rules, CHAT, waits, START + 31)
    assert [(item.severity, item.at, item.evidence.value) for item in changes] == [("info", START + 30, 31.0)]
    assert judge_due(rules, CHAT, waits, START + 32) == (waits, [])
    assert next_due(rules, CHAT, waits) == START + 90
    waits, changes = judge_due(rules, CHAT, waits, START + 90)
    assert [item.severity for item in changes] == ["critical"]
    assert next_due(rules, CHAT, waits) is None
    assert [(item.kind, item.rule_id) for item in judge_reply(rules, CHAT, START + 95)] == [("end", "late")]


# Changes, folded


def test_the_change_that_opened_an_alert_is_never_lost() -> None:
    grave = change("update", START + 3, severity="critical", rises=True)
    [one] = fold([change(), grave, change("update", START + 5)])
    assert (one.kind, one.severity, one.at, one.opened_at) == ("open", "critical", START + 5, START)
    kinds = [item.kind for item in fold([change(), change("end"), change("end"), change(), grave])]
    assert kinds == ["open", "end", "open"]
    assert [item.kind for item in fold([change("update"), grave])] == ["update"]
    assert fold([]) == []
