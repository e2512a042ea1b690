from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from alerts.alert import Change
from alerts.engine import (
    RuleStates,
    hear_turn,
    judge_end,
    judge_score,
    limits_for,
    over_limits,
    states_from_open,
)
from alerts.rules import RuleSet
from detectors.values import Score
from tests.builders_alerts import CALL, SHIPPED, START, hit, rules_of, score

LEVEL = rules_of('id = "level"\nmetric = "volume.over_baseline_db"\nabove = 10\nuntil = 7\nfor_seconds = 1')
DEAD_AIR = rules_of('id = "lost"\nmetric = "signal.lost_seconds"\nabove = 0.5\nfor_seconds = 3')


def _run(rules: RuleSet, scores: Iterable[Score], states: RuleStates | None = None) -> list[tuple[float, str, str]]:
    """(second, kind, severity) of every change."""
    states = states or RuleStates()
    told: list[tuple[float, str, str]] = []
    for one in scores:
        states, changes = judge_score(rules, states, CALL, one, START + one.at_seconds)
        told += [(one.at_seconds, item.kind, item.severity) for item in changes]
    return told


def _level(values: Mapping[float, float | None], active: float | None = 1.0) -> list[Score]:
    return [score(at, {"volume.over_baseline_db": value}, active) for at, value in values.items()]


def _lost(*values: float | None, active: float | None = 0.0) -> list[Score]:
    return [score(at, {"signal.lost_seconds": value}, active) for at, value in enumerate(values, 1)]


# A call, second by second


def test_a_condition_must_hold_for_seconds_of_speech() -> None:
    values = dict.fromkeys((1.0, 2.0, 3.0, 4.0), 12.0)
    assert _run(LEVEL, _level(values, active=1.0)) == [(1.0, "open", "warning")]
    assert _run(LEVEL, _level(values, active=0.4)) == [(3.0, "open", "warning")]
    assert _run(LEVEL, _level(values, active=0.0)) == []
    assert _run(LEVEL, _level(values, active=None)) == []


def test_ten_tenths_of_speech_are_a_second() -> None:
    values = {float(at): 12.0 for at in range(1, 11)}
    assert _run(LEVEL, _level(values, active=0.1)) == [(10.0, "open", "warning")]


def test_other_conditions_must_hold_for_seconds_of_the_call() -> None:
    assert _run(DEAD_AIR, _lost(1.0, 1.0, 1.0, 1.0)) == [(3.0, "open", "warning")]


def test_a_condition_that_lets_go_begins_from_nothing() -> None:
    assert _run(DEAD_AIR, _lost(1.0, 1.0, 0.0, 1.0, 1.0)) == []
    assert _run(DEAD_AIR, _lost(1.0, 1.0, 0.0, 1.0, 1.0, 1.0)) == [(6.0, "open", "warning")]


def test_what_is_not_known_neither_counts_nor_lets_go() -> None:
    assert _run(DEAD_AIR, _lost(1.0, 1.0, None, None, 1.0)) == [(5.0, "open", "warning")]
    assert _run(DEAD_AIR, _lost(None, None, None, None)) == []


def test_what_is_not_known_does_not_end_an_alert() -> None:
    values: dict[float, float | None] = {1.0: 12.0, 2.0: None, 3.0: None, 4.0: 5.0}
    assert _run(LEVEL, _level(values)) == [(1.0, "open", "warning"), (4.0, "end", "warning")]


def test_an_alert_lets_go_at_until_and_not_at_the_limit() -> None:
    values: dict[float, float | None] = {1.0: 12.0, 2.0: 9.0, 3.0: 7.5, 4.0: 10.5, 5.0: 7.0, 6.0: 9.0}
    assert _run(LEVEL, _level(values)) == [(1.0, "open", "warning"), (5.0, "end", "warning")]


def test_an_alert_stays_for_its_cooldown() -> None:
    rules = rules_of('id = "lost"\nmetric = "signal.lost_seconds"\nabove = 0.5\ncooldown_seconds = 3')
    told = _run(rules, _lost(1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    assert told == [(1.0, "open", "warning"), (7.0, "end", "warning")], "3 s after it last held, at 4 s"


def test_one_alert_while_it_lasts_and_a_new_one_the_next_time() -> None:
    values: dict[float, float | None] = {1.0: 12.0, 2.0: 12.0, 3.0: 12.0, 4.0: 2.0, 5.0: 12.0}
    assert _run(LEVEL, _level(values)) == [
        (1.0, "open", "warning"),
        (4.0, "end", "warning"),
        (5.0, "open", "warning"),
    ]


def _dead_air(start: float, silence: float, end: float) -> list[Score]:
    running = [max(0.0, min(at - start, silence)) if at <= start + silence else 0.0 for at in range(1, int(end) + 1)]
    return [
        score(float(at), {"turns.dead_air_seconds": value}, 0.0, customer={"turns.dead_air_seconds": value})
        for at, value in enumerate(running, 1)
    ]


def test_dead_air_is_one_alert_that_rises() -> None:
    told = _run(SHIPPED, _dead_air(5.0, 35.0, 60.0))
    rises = [item for item in told if item[1] != "update" or item[0] == 35.0]
    assert rises == [(15.0, "open", "info"), (35.0, "update", "warning"), (41.0, "end", "warning")]
    assert _run(SHIPPED, _dead_air(5.0, 8.0, 30.0)) == []


def test_a_moving_value_is_told_at_most_every_five_seconds() -> None:
    rules = rules_of('id = "air"\nmetric = "turns.dead_air_seconds"\nat_least = 10\nside = "any"')
    told = [at for at, _, _ in _run(rules, _dead_air(0.0, 40.0, 30.0))]
    assert told == [10.0, 15.0, 20.0, 25.0, 30.0]


def test_a_value_that_stands_is_not_told_again() -> None:
    steady = {float(at): 12.0 + (at % 2) * 0.5 for at in range(1, 40)}  # half a step of 10 % of the limit
    assert _run(LEVEL, _level(steady)) == [(1.0, "open", "warning")]


def test_the_evidence_says_value_limit_unit_side_time_and_the_worst() -> None:
    states = RuleStates()
    changes: list[Change] = []
    for one in _level({1.0: 11.0, 2.0: 19.0, 7.0: 13.0}):
        states, new = judge_score(LEVEL, states, CALL, one, START + one.at_seconds)
        changes += new
    opened, update = changes
    assert (opened.evidence.metric, opened.evidence.value, opened.evidence.limit) == ("volume.over_baseline_db", 11, 10)
    assert (opened.evidence.unit, opened.evidence.side, opened.evidence.at_seconds) == ("dB", "agent", 1.0)
    assert (update.evidence.value, update.evidence.extra["worst"]) == (13.0, 19.0)
    assert (opened.at, opened.rule_name["zh"], opened.category) == (START + 1, "规则", "manner")


def test_a_second_is_judged_once() -> None:
    repeated = _lost(1.0, 1.0) + _lost(1.0, 1.0)
    assert _run(DEAD_AIR, repeated) == []


def test_a_low_limit_looks_for_too_little_and_keeps_the_lowest() -> None:
    rules = rules_of('id = "flat"\nmetric = "intonation.spread_semitones"\nbelow = 1.8\nuntil = 2.2')
    states, changes = RuleStates(), []
    for at, value in enumerate((3.0, 1.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.3), 1):
        one = score(float(at), {"intonation.spread_semitones": value})
        states, new = judge_score(rules, states, CALL, one, START + at)
        changes += [(at, item.kind, item.evidence.extra.get("worst")) for item in new]
    assert changes == [(2, "open", 1.5), (7, "update", 1.0), (8, "end", 1.0)]


def test_a_limit_is_of_the_language_and_none_is_no_judgement() -> None:
    rules = rules_of('id = "fast"\nmetric = "speech_rate.spm"\nabove = { zh = 330, en = 360 }')
    one = score(1.0, {"speech_rate.spm": 340.0})
    for language, count in (("zh", 1), ("zh-CN", 1), ("en-GB", 0), ("fi", 0), (None, 0)):
        _, changes = judge_score(rules, RuleStates(), replace(CALL, language=language), one, START)
        assert len(changes) == count, language


def test_the_customers_side_is_the_customers() -> None:
    rules = rules_of(
        'id = "theirs"\nside = "customer"\nmetric = "volume.over_baseline_db"\nabove = 10\nfor_seconds = 1'
    )
    loud = {"volume.over_baseline_db": 15.0}
    assert _run(rules, [score(1.0, loud, 1.0, customer={"volume.over_baseline_db": 0.0, "speech.active": 1.0})]) == []
    assert _run(rules, [score(1.0, {}, 1.0, customer={**loud, "speech.active": 0.0})]) == [], (
        "nobody but the agent spoke"
    )
    assert _run(rules, [score(1.0, {}, 0.0, customer={**loud, "speech.active": 1.0})]) == [(1.0, "open", "warning")]


def test_all_any_and_not_treat_the_unknown_as_unknown() -> None:
    both = rules_of(
        'id = "both"\nall = [ { metric = "volume.over_baseline_db", above = 5 },'
        ' { not = { metric = "signal.lost_seconds", above = 1 } } ]'
    )
    either = rules_of(
        'id = "either"\nany = [ { metric = "volume.over_baseline_db", above = 5 },'
        ' { metric = "signal.lost_seconds", above = 1 } ]'
    )

    def opens(rules: RuleSet, over: float | None, lost: float | None) -> bool:
        return bool(_run(rules, [score(1.0, {"volume.over_baseline_db": over, "signal.lost_seconds": lost})]))

    table = {(9, 0): (1, 1), (9, 2): (0, 1), (0, 0): (0, 0), (9, None): (0, 1), (None, 2): (0, 1), (None, None): (0, 0)}
    for (over, lost), expected in table.items():
        assert (opens(both, over, lost), opens(either, over, lost)) == expected, (over, lost)


def test_who_takes_over_goes_on_with_the_open_alert() -> None:
    row = {
        "rule_id": "level",
        "severity": "warning",
        "ends_at": None,
        "evidence": {"value": 12.0, "extra": {"worst": 14.0}},
    }
    states = states_from_open(LEVEL, [row])
    values: dict[float, float | None] = {101.0: 12.0, 102.0: 12.0, 103.0: 3.0}
    assert _run(LEVEL, _level(values), states) == [(103.0, "end", "warning")]


def test_who_takes_over_leaves_the_chat_paths_alerts_alone() -> None:
    rules = rules_of('id = "phrase"\nhits = 1', 'id = "late"\nno_reply_seconds = 5\nkinds = ["call"]')
    rows: list[dict[str, Any]] = [
        {"rule_id": "phrase", "severity": "critical", "ends_at": START, "evidence": {}},
        {"rule_id": "late", "severity": "critical", "ends_at": None, "evidence": {}},
        {"rule_id": "gone", "severity": "critical", "ends_at": START, "evidence": {}},
    ]
    assert states_from_open(rules, rows) == RuleStates()


def test_an_alert_whose_rule_is_gone_or_off_is_ended() -> None:
    states, _ = judge_score(LEVEL, RuleStates(), CALL, _level({1.0: 12.0})[0], START)
    for rules in (DEAD_AIR, rules_of('id = "level"\nmetric = "volume.over_baseline_db"\nabove = 10\nenabled = false')):
        after, changes = judge_score(rules, states, CALL, _level({2.0: 12.0})[0], START)
        assert [(item.kind, item.rule_id) for item in changes] == [("end", "level")]
        assert not after.by_rule


def test_a_call_that_leaves_the_scope_takes_its_alert_along() -> None:
    rules = rules_of('id = "level"\nmetric = "volume.over_baseline_db"\nabove = 10\nteams = ["refunds"]')
    states, _ = judge_score(rules, RuleStates(), CALL, _level({1.0: 12.0})[0], START)
    moved = replace(CALL, team="orders")
    _, changes = judge_score(rules, states, moved, _level({2.0: 12.0})[0], START)
    assert [item.kind for item in changes] == ["end"]


def test_the_end_of_a_call_ends_what_stands_open() -> None:
    states, _ = judge_score(LEVEL, RuleStates(), CALL, _level({1.0: 12.0})[0], START)
    assert [(item.kind, item.rule_id, item.at) for item in judge_end(LEVEL, states, CALL, START + 9)] == [
        ("end", "level", START + 9)
    ]
    assert judge_end(LEVEL, RuleStates(), CALL, START) == []


def test_while_windows_are_rebuilt_only_time_is_counted() -> None:
    states = RuleStates()
    for one in _lost(1.0, 1.0, 1.0, 1.0, 1.0):
        states, changes = judge_score(DEAD_AIR, states, CALL, one, START, rebuilding=True)
        assert changes == []
    _, changes = judge_score(DEAD_AIR, states, CALL, score(6.0, {"signal.lost_seconds": 1.0}), START)
    assert [item.kind for item in changes] == ["open"], "the 3 s are full from before"


def test_dry_runs_are_marked() -> None:
    rules = rules_of('id = "a"\nmetric = "signal.lost_seconds"\nabove = 0.5\ndry_run = true')
    _, changes = judge_score(rules, RuleStates(), CALL, _lost(1.0)[0], START)
    assert [item.dry_run for item in changes] == [True]


def test_hits_and_words_of_a_turn_count_beside_the_sound() -> None:
    rules = rules_of(
        'id = "slow"\nall = [ { metric = "speech_rate.spm", below = 120 },'
        ' { not = { hits = 1, phrases = ["ask.slower"], side = "customer", within_seconds = 60 } } ]',
        'id = "words"\nall = [ { metric = "speech_rate.from_words_spm", above = 280 },'
        ' { metric = "volume.over_baseline_db", above = 5 } ]',
    )
    slow = score(1.0, {"speech_rate.spm": 100.0, "volume.over_baseline_db": 6.0})
    _, changes = judge_score(rules, RuleStates(), CALL, slow, START + 1)
    assert [item.rule_id for item in changes] == ["slow"]
    asked = hear_turn(rules, RuleStates(), "customer", [hit("ask.slower")], None, START)
    asked = hear_turn(rules, asked, "agent", [], 300.0, START)
    _, changes = judge_score(rules, asked, CALL, slow, START + 1)
    assert [item.rule_id for item in changes] == ["words"]
    _, changes = judge_score(rules, asked, CALL, slow, START + 61)
    assert [item.rule_id for item in changes] == ["slow"], "both are too long ago by then"


def test_limits_are_those_that_are_reached_first() -> None:
    limits = limits_for(SHIPPED, CALL)
    assert limits["speech_rate.spm"] == 330, "the upper one of two"
    assert limits["volume.over_baseline_db"] == 10
    assert limits["turns.dead_air_seconds"] == 10
    assert limits["intonation.spread_semitones"] == 1.8
    assert limits_for(SHIPPED, replace(CALL, language="en"))["speech_rate.spm"] == 360
    assert "speech_rate.spm" not in limits_for(SHIPPED, replace(CALL, language=None))


def test_a_metric_is_over_its_limit_until_its_alert_lets_go() -> None:
    states = RuleStates()
    over = []
    for one in _level({1.0: 9.0, 2.0: 12.0, 3.0: 9.0, 4.0: 6.0, 5.0: 9.0}):
        states, _ = judge_score(LEVEL, states, CALL, one, START)
        over.append(("agent", "volume.over_baseline_db") in over_limits(LEVEL, states, CALL, one))
    assert over == [False, True, True, False, False]
