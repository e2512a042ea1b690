from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import alerts
from alerts.conditions import AllOf, AnyOf, Compare, HitCount, NoReply, NotThat
from alerts.rules import HIT_COOLDOWN_SECONDS, RuleError, parse_rules
from detectors.metrics import BY_NAME
from tests.builders_alerts import CALL, CHAT, rules_of

SHIPPED = (Path(alerts.__file__).parent / "rules.toml").read_text(encoding="utf-8")
HEAD = '[[rule]]\nid = "x"\nname = { zh = "规则", en = "rule" }\ncategory = "manner"\n'


def _problems(text: str) -> list[str]:
    with pytest.raises(RuleError) as refused:
        parse_rules(text, "rules.toml")
    return list(refused.value.problems)


def test_the_shipped_rules_read_and_are_judged_by_somebody() -> None:
    rules = parse_rules(SHIPPED, "rules.toml")
    assert {rule.id for rule in rules.audio} == {
        "rate.voice.fast",
        "rate.voice.slow",
        "volume.raised",
        "pitch.raised",
        "pitch.flat",
        "turns.interruptions",
        "turns.dead_air",
        "signal.degraded",
    }
    assert {rule.id for rule in rules.chat} == {"rate.words.fast", "phrase.prohibited", "phrase.repeated"}
    assert {rule.id for rule in rules.waits} == {"reply.first", "reply.later"}


def test_each_shipped_threshold_is_as_designed() -> None:
    rules = parse_rules(SHIPPED, "rules.toml").by_id
    words = rules["rate.words.fast"].leaves[0]
    assert isinstance(words, Compare) and words.limit == {"zh": 280, "en": 180}
    level = rules["volume.raised"].levels[0]
    assert level.condition == Compare("volume.over_baseline_db", "above", 10, "agent", 7)
    assert level.for_seconds == 1
    pitch = rules["pitch.raised"].levels[0]
    assert pitch.condition == Compare("intonation.f0_shift_semitones", "above", 4, "agent", 3)
    assert pitch.for_seconds == 3
    assert [(one.severity, one.condition) for one in rules["turns.dead_air"].levels] == [
        ("info", Compare("turns.dead_air_seconds", "at_least", 10, "any")),
        ("warning", Compare("turns.dead_air_seconds", "at_least", 30, "any")),
    ]
    assert rules["reply.first"].leaves == [NoReply(60, "first")]
    assert rules["reply.later"].leaves == [NoReply(120, "later")]
    assert rules["phrase.repeated"].levels[0].severity == "critical"
    assert rules["phrase.prohibited"].severity_of_hit


def test_every_form_of_condition_reads() -> None:
    rules = rules_of(
        """id = "all.forms"
all = [
  { any = [
    { metric = "volume.over_baseline_db", above = 6, until = 4 },
    { metric = "signal.lost_seconds", at_least = 1 },
  ] },
  { not = { hits = 2, categories = ["abuse"], severities = ["critical"], side = "customer", within_seconds = 30 } },
]
side = "any"
for_seconds = 2.5"""
    )
    [rule] = rules.audio
    assert rule.levels[0].condition == AllOf(
        (
            AnyOf(
                (
                    Compare("volume.over_baseline_db", "above", 6, "any", 4),
                    Compare("signal.lost_seconds", "at_least", 1, "any"),
                )
            ),
            NotThat(HitCount(2, "customer", ("critical",), ("abuse",), (), 30)),
        )
    )
    assert rules.longest_window_seconds == 30
    assert rules.in_speech == {"all.forms"}


def test_a_level_says_only_what_is_other() -> None:
    [rule] = parse_rules(
        HEAD
        + 'metric = "turns.dead_air_seconds"\nfor_seconds = 2\n'
        + 'levels = [ { severity = "info", at_least = 5 }, { severity = "critical", above = 9, for_seconds = 4 } ]\n',
        "rules.toml",
    ).rules
    assert [(one.severity, one.condition, one.for_seconds) for one in rule.levels] == [
        ("info", Compare("turns.dead_air_seconds", "at_least", 5, "agent"), 2),
        ("critical", Compare("turns.dead_air_seconds", "above", 9, "agent"), 4),
    ]


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_metric_of_the_catalogue_can_be_judged(name: str) -> None:
    rules = rules_of(f'id = "any.metric"\nmetric = "{name}"\nat_least = {BY_NAME[name].low}')
    judged = rules.audio if BY_NAME[name].from_ == "audio" else rules.chat
    assert [rule.id for rule in judged] == ["any.metric"]


def test_hits_stay_ten_minutes_unless_said_otherwise() -> None:
    rules = rules_of('id = "a"\nhits = 1', 'id = "b"\nhits = 1\ncooldown_seconds = 30').by_id
    assert (rules["a"].cooldown_seconds, rules["b"].cooldown_seconds) == (HIT_COOLDOWN_SECONDS, 30)


def test_waits_are_about_chats_unless_said_otherwise() -> None:
    rules = rules_of('id = "a"\nno_reply_seconds = 9', 'id = "b"\nno_reply_seconds = 9\nkinds = ["call"]').by_id
    assert rules["a"].applies_to(CHAT) and not rules["a"].applies_to(CALL)
    assert rules["b"].applies_to(CALL) and not rules["b"].applies_to(CHAT)


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        ('teams = ["refunds", "orders"]', True),
        ('teams = ["orders"]', False),
        ('queues = ["vip"]', False),
        ('languages = ["zh"]', True),
        ('languages = ["en"]', False),
        ('languages = ["zh-TW"]', True),  # regions are not told apart
        ('kinds = ["call"]', True),
        ('kinds = ["chat"]', False),
    ],
)
def test_a_scope_leaves_out_what_is_outside(scope: str, inside: bool) -> None:
    [rule] = rules_of(f'id = "a"\nmetric = "signal.lost_seconds"\nabove = 1\n{scope}').rules
    assert rule.applies_to(replace(CALL, language="zh-CN")) is inside


def test_a_rule_that_is_off_is_judged_by_nobody() -> None:
    rules = rules_of('id = "a"\nhits = 1\nenabled = false')
    assert rules.by_id and not (rules.audio or rules.chat or rules.waits)


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ('severity = "loud"\nhits = 1', 5, ["`severity` is 'loud'", "'critical'", "of_hit"]),
        ("hits = 1", 1, ["`severity` is missing", "of_hit"]),
        ('severity = "info"\n\n# hits = 2\nhits = 0', 8, ["`hits` is 0", "from 1"]),
        ('severity = "info"', 1, ["no condition", "no_reply_seconds"]),
        ('severity = "info"\nhits = 1\nmetric = "signal.lag_ms"\nabove = 1', 1, ["`metric` and `hits`"]),
        ('severity = "info"\nhits = 1\nabove = 1', 7, ["`above` belongs to `metric`", "leave it out"]),
        ('severity = "info"\nhit = 1', 6, ["`hit` is no key of a rule", "hits"]),
        ('severity = "info"\nall = [ { hitz = 1 } ]', 6, ["`hitz` is no key of a condition"]),
        ('severity = "info"\nall = [ ]', 6, ["`all` is empty"]),
        (
            'severity = "info"\nmetric = "volume.over_baseline"\nabove = 1',
            6,
            ["'volume.over_baseline', which is not measured", "write volume.over_baseline_db"],
        ),
        (
            'severity = "info"\nmetric = "volume.over_baseline_db"\nabove = 200',
            7,
            ["`above` is 200 but volume.over_baseline_db ends at 60", "write a number from -60 to 60"],
        ),
        (
            'severity = "info"\nmetric = "speech_rate.spm"\nbelow = { zh = 200, en = -1 }',
            7,
            ["`below` is -1 but speech_rate.spm begins at 0"],
        ),
        ('severity = "info"\nmetric = "speech_rate.spm"\nabove = "fast"', 7, ["`above` is 'fast'", "a number"]),
        ('severity = "info"\nmetric = "speech_rate.spm"\nabove = { zh-CN = 300 }', 7, ["zh-CN", "write zh"]),
        ('severity = "info"\nmetric = "speech_rate.spm"', 6, ["0 times", "above, at_least, below, at_most"]),
        (
            'severity = "info"\nmetric = "speech_rate.spm"\nabove = 300\nuntil = 310',
            8,
            ["`until` is 310", "raised above 300", "at most 300"],
        ),
        ('severity = "info"\nmetric = "speech_rate.spm"\nbelow = 90\nuntil = 80', 8, ["at least 90"]),
        ('severity = "info"\nno_reply_seconds = 60\nfor_seconds = 3', 7, ["`for_seconds` says nothing"]),
        (
            'severity = "info"\nall = [ { no_reply_seconds = 60 }, { hits = 1 } ]',
            6,
            ["cannot be joined", "a rule of its own"],
        ),
        ('severity = "info"\nhits = 1\nfor_seconds = 3', 7, ["judged by the message", "leave it out"]),
        (
            'severity = "info"\nall = [ { metric = "signal.lag_ms", above = 1 }, { hits = 1 } ]',
            6,
            ["needs a time", "within_seconds"],
        ),
        (
            'severity = "info"\nall = [\n{ metric = "signal.lag_ms", above = 1 },\n'
            '{ metric = "phrases.attempts", above = 1 } ]',
            7,
            ["phrases.attempts is known with a message", "write two rules"],
        ),
        (
            'metric = "turns.dead_air_seconds"\n[[rule.levels]]\nseverity = "warning"\nat_least = 10\n'
            '[[rule.levels]]\nseverity = "info"\nat_least = 30',
            10,
            ["info does not stand above warning"],
        ),
        (
            'metric = "turns.dead_air_seconds"\n[[rule.levels]]\nseverity = "info"\nat_least = 10\n'
            '[[rule.levels]]\nseverity = "warning"\nat_least = 99999',
            11,
            ["`at_least` is 99999", "ends at 86400"],
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_write(body: str, line: int, words: list[str]) -> None:
    [problem] = _problems(HEAD + body)
    assert problem.startswith(f"rules.toml:{line}: rule x: ")
    for word in words:
        assert word in problem


def test_every_mistake_of_a_file_is_told_at_once_and_its_rule_named() -> None:
    good = HEAD.replace('"x"', '"good"') + 'severity = "info"\nhits = 1\n\n'
    bad = HEAD + 'severity = "info"\nhits = 0\nside = "boss"\n\n'
    problems = _problems(good + bad + good)
    assert [problem.split(": `")[0] for problem in problems] == [
        "rules.toml:13: rule x",
        "rules.toml:14: rule x",
        "rules.toml:17: rule good",
    ]
    assert "an earlier rule has" in problems[-1]


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    [problem] = _problems("[[rule]]\nid = x\n")
    assert problem.startswith("rules.toml: not TOML") and "line 2" in problem


@pytest.mark.parametrize("text", ["rule = 3", "rules = []", "[rule]\nid = 'x'"])
def test_a_file_of_another_form_is_refused(text: str) -> None:
    assert "[[rule]]" in _problems(text)[0]


def test_no_rule_says_more_about_a_voice_than_its_sound() -> None:
    for word in ("emotion", "mood", "anger", "情绪"):
        assert word not in SHIPPED.lower()
