"""Judges a call second by second: what is scored, and what is already asked, becomes changes of alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alerts.alert import Change, ChangeKind, Conversation, Evidence, is_graver
from alerts.conditions import Compare, Facts, PastHit, holds, leaves, limit_in, passed, readings
from alerts.evidence import change_of, is_worse, measured, orphan_end, with_worst
from alerts.message_engine import past_hits, recent_hits
from alerts.rules import Level, Rule, RuleSet
from detectors.values import Hit, Score, Severity, Side

UPDATE_SECONDS = 5.0
"""A value that moves is told again at most this often."""
UPDATE_STEP = 0.1
"""... and only when it moved by this share of its limit."""
WORDS_SECONDS = 10.0
"""A turn's rate in words stands beside the sound's for this long: the window of the acoustic rate."""
ROUNDING = 1e-6
"""Ten tenths of speech are a second, also in binary."""


@dataclass(frozen=True, slots=True)
class RuleState:
    """How one rule stands in one call."""

    held_seconds: tuple[float, ...] = ()
    """For each level, how long its condition has held: seconds of speech, or of the call."""
    severity: Severity | None = None
    """Of the open alert, None while there is none."""
    calm_seconds: float = 0.0
    """How long the condition of an open alert has been seen not to hold."""
    told_value: float | None = None
    told_at_seconds: float = 0.0
    worst: float | None = None
    """The value furthest past its limit since the alert was opened."""


@dataclass(frozen=True, slots=True)
class RuleStates:
    """How the audio rules stand in one call; held in memory, and begun anew from the open alerts."""

    at_seconds: float = -1.0
    """The call's time that was judged last: a second is judged once."""
    by_rule: Mapping[str, RuleState] = field(default_factory=dict)
    """Rules at rest are left out."""
    hits: tuple[PastHit, ...] = ()
    words: Mapping[Side, tuple[float, float]] = field(default_factory=dict)
    """Side -> (rate in words of its last turn, Unix time of it)."""


AT_REST = RuleState()


def states_from_open(rules: RuleSet, open_alerts: Iterable[Mapping[str, Any]]) -> RuleStates:
    """Return the states of a call that is taken over, from the rows of its open alerts.

    Alerts of the chat path's rules are left alone. One whose rule is gone is kept, so that it gets its end.
    """
    states = {}
    for alert in open_alerts:
        rule = rules.by_id.get(alert["rule_id"])
        if alert["ends_at"] is None and (rule is None or rule.is_audio):
            evidence = alert["evidence"]
            value, told_at = evidence.get("value"), evidence.get("at_seconds") or 0.0
            worst = evidence.get("extra", {}).get("worst", value)
            state = RuleState(severity=alert["severity"], told_value=value, told_at_seconds=told_at, worst=worst)
            states[alert["rule_id"]] = state
    return RuleStates(by_rule=states)


def hear_turn(
    rules: RuleSet,
    states: RuleStates,
    side: Side,
    hits: Iterable[Hit],
    words_spm: float | None,
    at: float,
) -> RuleStates:
    """Take a turn of the call's transcript into what the audio rules may look at. `at` is Unix time."""
    said = (*states.hits, *past_hits(hits, side, True, at))
    words = dict(states.words) if words_spm is None else {**states.words, side: (words_spm, at)}
    return replace(states, hits=recent_hits(rules, said, at), words=words)


def judge_score(
    rules: RuleSet,
    states: RuleStates,
    conversation: Conversation,
    score: Score,
    at: float,
    *,
    rebuilding: bool = False,
) -> tuple[RuleStates, list[Change]]:
    """Judge one second of a call. `at` is the Unix time of the record that it came with.

    A second that was judged already changes nothing. What is not known (None) neither raises nor ends an
    alert. While windows are rebuilt from old audio (`rebuilding`) only the time a condition holds is
    counted: nothing is raised or ended before the first new second.
    """
    if score.at_seconds <= states.at_seconds:
        return states, []
    facts = _facts_of_score(states, conversation, score, at)
    by_rule: dict[str, RuleState] = {}
    changes: list[Change] = []
    for rule in rules.audio:
        state = states.by_rule.get(rule.id, AT_REST)
        if not rule.applies_to(conversation):
            changes += _end(rule, rule.id, state, conversation, at)
            continue
        gained = _speech_seconds(rule, score) if rule.id in rules.in_speech else 1.0
        state, change = _judge_rule(rule, state, facts, conversation, score.at_seconds, gained, rebuilding)
        if change is not None:
            changes.append(change)
        if state != AT_REST:
            by_rule[rule.id] = state
    judged = {rule.id for rule in rules.audio}
    for rule_id, state in states.by_rule.items():
        if rule_id not in judged:
            changes += _end(rules.by_id.get(rule_id), rule_id, state, conversation, at)
    return replace(states, at_seconds=score.at_seconds, by_rule=by_rule), changes


def judge_end(rules: RuleSet, states: RuleStates, conversation: Conversation, at: float) -> list[Change]:
    """Return the ends of all alerts that stand open in a call that is over."""
    return [
        change
        for rule_id, state in states.by_rule.items()
        for change in _end(rules.by_id.get(rule_id), rule_id, state, conversation, at)
    ]


def over_limits(
    rules: RuleSet, states: RuleStates, conversation: Conversation, score: Score
) -> frozenset[tuple[Side, str]]:
    """Return (side, metric) of what is past its limit in this second: its baseline must not follow it.

    Once an alert is raised its metric counts as past until it has let go.
    """
    facts = _facts_of_score(states, conversation, score, 0.0)
    return frozenset(
        (side, leaf.metric)
        for rule in rules.audio
        if rule.applies_to(conversation)
        for leaf in rule.leaves
        if isinstance(leaf, Compare)
        for side, value in readings(leaf, facts)
        if passed(leaf, value, facts.language, states.by_rule.get(rule.id, AT_REST).severity is not None)
    )


def limits_for(rules: RuleSet, conversation: Conversation) -> dict[str, float]:
    """Return metric -> the limit that raises an alert about the agent: the dashed line of its strip.

    Of several the one that is reached first; a metric that is limited on both ends shows its upper limit.
    """
    limits: dict[str, tuple[bool, float]] = {}
    for rule in rules.audio:
        if not rule.applies_to(conversation):
            continue
        for leaf in rule.leaves:
            limit = limit_in(leaf.limit, conversation.language) if isinstance(leaf, Compare) else None
            if not isinstance(leaf, Compare) or limit is None or leaf.side not in ("agent", "any"):
                continue
            known = limits.get(leaf.metric)
            nearer = known is None or (limit < known[1] if leaf.is_upper else limit > known[1])
            if known is None or leaf.is_upper > known[0] or (leaf.is_upper == known[0] and nearer):
                limits[leaf.metric] = (leaf.is_upper, limit)
    return {metric: limit for metric, (_, limit) in limits.items()}


def _facts_of_score(states: RuleStates, conversation: Conversation, score: Score, at: float) -> Facts:
    """Return what the rules may look at in one second of a call."""
    sides: Mapping[Side, Mapping[str, float | None]] = score.sides
    fresh = {side: rate for side, (rate, said_at) in states.words.items() if at - said_at <= WORDS_SECONDS}
    if fresh:
        sides = {
            side: {**metrics, "speech_rate.from_words_spm": fresh.get(side)} for side, metrics in score.sides.items()
        }
    return Facts(at=at, language=conversation.language, sides=sides, past=states.hits)


def _speech_seconds(rule: Rule, score: Score) -> float:
    """Return the seconds of speech in the last second, of the side the rule is about."""
    shares = [
        metrics.get("speech.active") or 0.0 for side, metrics in score.sides.items() if rule.side in (side, "any")
    ]
    return max(shares, default=0.0)


def _judge_rule(
    rule: Rule,
    state: RuleState,
    facts: Facts,
    conversation: Conversation,
    at_seconds: float,
    gained: float,
    rebuilding: bool,
) -> tuple[RuleState, Change | None]:
    """Judge one rule in one second of a call; `gained` is what the second counts towards `for_seconds`."""
    truths = [holds(level.condition, facts) for level in rule.levels]
    if state is AT_REST and True not in truths:
        return state, None  # nearly always
    before = state.held_seconds if len(state.held_seconds) == len(truths) else (0.0,) * len(truths)
    held = tuple(
        seconds if truth is None else seconds + gained if truth else 0.0
        for seconds, truth in zip(before, truths, strict=True)
    )
    held_or_none = held if any(held) else ()
    if held_or_none != state.held_seconds:  # copying every state every second is a fifth of the cost
        state = replace(state, held_seconds=held_or_none)
    if rebuilding or at_seconds < state.told_at_seconds:  # a second from before its alert comes again after a crash
        return state, None
    reached = [
        level.severity
        for level, truth, seconds in zip(rule.levels, truths, held, strict=True)
        if truth and seconds >= level.for_seconds - ROUNDING
    ]
    if state.severity is None:
        if not reached:
            return state, None
        return _tell("open", rule, replace(state, severity=reached[-1]), facts, conversation, at_seconds)
    if reached and is_graver(reached[-1], state.severity):
        return _tell("update", rule, replace(state, severity=reached[-1]), facts, conversation, at_seconds, rises=True)
    goes_on = [holds(level.condition, facts, raised=True) for level in rule.levels]
    if True in goes_on:
        return _follow(rule, replace(state, calm_seconds=0.0), facts, conversation, at_seconds)
    if None in goes_on and not state.calm_seconds:
        return state, None
    state = replace(state, calm_seconds=state.calm_seconds + 1.0)
    if state.calm_seconds < rule.cooldown_seconds:
        return state, None
    _, change = _tell("end", rule, state, facts, conversation, at_seconds)
    return RuleState(held_seconds=state.held_seconds), change


def _follow(
    rule: Rule, state: RuleState, facts: Facts, conversation: Conversation, at_seconds: float
) -> tuple[RuleState, Change | None]:
    """Keep an open alert's value; tell it again when it has moved enough, and not too often."""
    level, evidence = _evidence(rule, state, facts)
    if evidence is None or evidence.value is None:
        return state, None
    state = replace(state, worst=_worst(level, state.worst, evidence))
    step = UPDATE_STEP * abs(evidence.limit or 0.0)
    moved = state.told_value is None or abs(evidence.value - state.told_value) > max(step - ROUNDING, 0.0)
    if not moved or at_seconds - state.told_at_seconds < UPDATE_SECONDS:
        return state, None
    return _tell("update", rule, state, facts, conversation, at_seconds)


def _evidence(rule: Rule, state: RuleState, facts: Facts) -> tuple[Level, Evidence | None]:
    """Return the level that the alert stands at, and the value it hangs on."""
    level = next((level for level in rule.levels if level.severity == state.severity), rule.levels[0])
    return level, measured(level.condition, facts)


def _worst(level: Level, worst: float | None, evidence: Evidence) -> float | None:
    """Return the furthest value of the evidence's metric until now."""
    for leaf in leaves(level.condition):
        if isinstance(leaf, Compare) and leaf.metric == evidence.metric and evidence.value is not None:
            return evidence.value if is_worse(leaf, evidence.value, worst) else worst
    return worst


def _tell(
    kind: ChangeKind,
    rule: Rule,
    state: RuleState,
    facts: Facts,
    conversation: Conversation,
    at_seconds: float,
    rises: bool = False,
) -> tuple[RuleState, Change]:
    """Return the change, and the state that remembers what was told."""
    level, evidence = _evidence(rule, state, facts)
    evidence = evidence or Evidence(side=None if rule.side == "any" else rule.side)
    state = replace(
        state,
        worst=_worst(level, state.worst, evidence),
        told_value=evidence.value,
        told_at_seconds=at_seconds,
        calm_seconds=0.0,
    )
    evidence = with_worst(replace(evidence, at_seconds=at_seconds), state.worst)
    severity = state.severity or level.severity
    return state, change_of(kind, rule, severity, conversation, facts.at, evidence, rises=rises)


def _end(rule: Rule | None, rule_id: str, state: RuleState, conversation: Conversation, at: float) -> list[Change]:
    """Return the end of a rule's alert, if it has one."""
    if state.severity is None:
        return []
    if rule is None:
        return [orphan_end(rule_id, state.severity, conversation, at)]
    return [change_of("end", rule, state.severity, conversation, at)]
