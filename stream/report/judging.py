"""Lets the rules judge a recording second by second, with the audio worker's own engine, and keeps the alerts."""

from __future__ import annotations

from dataclasses import replace

from alerts.alert import Change, Conversation
from alerts.call_engine import RuleStates, judge_end, judge_score, over_limits
from alerts.conditions import Compare, limit_in
from alerts.rules import RuleSet
from detectors.values import Score, Side
from stream.report.values import AlertSpan, Limit


class Judging:
    """The rules over one call."""

    def __init__(self, rules: RuleSet, conversation: Conversation) -> None:
        self._rules = rules
        self._conversation = conversation
        self._states = RuleStates()
        self._open: dict[str, AlertSpan] = {}
        self._closed: list[AlertSpan] = []

    def judge(self, score: Score) -> frozenset[tuple[Side, str]]:
        """Judge one second; return (side, metric) of what is past its limit, whose baseline must stand still."""
        at = score.at_seconds  # the rules' clock: a recording has no other
        self._states, changes = judge_score(self._rules, self._states, self._conversation, score, at)
        for change in changes:
            self._take(change, at)
        for rule_id, alert in self._open.items():
            # A change is told only when a value has moved enough; the report wants the furthest.
            if (state := self._states.by_rule.get(rule_id)) is not None and state.worst != alert.worst:
                self._open[rule_id] = replace(alert, worst=state.worst)
        return over_limits(self._rules, self._states, self._conversation, score)

    def end(self, seconds: float) -> tuple[AlertSpan, ...]:
        """Return every alert of the call, in the order they were raised; those that stand open have no end."""
        for change in judge_end(self._rules, self._states, self._conversation, seconds):
            self._take(change, None)
        return tuple(sorted(self._closed, key=lambda alert: alert.begins))

    def _take(self, change: Change, at: float | None) -> None:
        if change.dry_run:
            return
        if change.kind == "end":
            if (alert := self._open.pop(change.rule_id, None)) is not None:
                self._closed.append(replace(alert, ends=at))
            return
        evidence, at_seconds = change.evidence, at or 0.0
        before = self._open.get(change.rule_id)
        rises = before.rises if before else ()
        if not before or change.rises:
            rises = (*rises, (change.severity, at_seconds))
        self._open[change.rule_id] = AlertSpan(
            rule_id=change.rule_id,
            rule_name=change.rule_name,
            severity=change.severity,
            rises=rises,
            begins=before.begins if before else at_seconds,
            ends=None,
            side=evidence.side,
            metric=evidence.metric,
            worst=evidence.extra.get("worst", evidence.value),
            limit=evidence.limit,
            unit=evidence.unit,
            is_lower=bool(evidence.extra.get("lower")),
        )


def limits_of(rules: RuleSet, conversation: Conversation, side: Side) -> tuple[Limit, ...]:
    """Every limit that the rules set one side of the call, with the name of its rule."""
    found = []
    for rule in rules.audio:
        if not rule.applies_to(conversation) or rule.dry_run:
            continue
        for leaf in rule.leaves:
            limit = limit_in(leaf.limit, conversation.language) if isinstance(leaf, Compare) else None
            if isinstance(leaf, Compare) and limit is not None and leaf.side in (side, "any"):
                found.append(Limit(leaf.metric, limit, leaf.is_upper, rule.name))
    return tuple(found)
