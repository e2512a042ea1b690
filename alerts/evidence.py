"""Puts a judgement into a change of an alert, with the evidence a person is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from alerts.alert import Change, ChangeKind, Conversation, Evidence
from alerts.conditions import Compare, Condition, Facts, leaves, limit_in, passed, readings
from alerts.rules import Rule
from detectors.metrics import BY_NAME
from detectors.values import Severity

MAX_TEXT = 2000
"""Code points of a message that an alert carries: it is sent to every screen that may see it."""


def measured(condition: Condition, facts: Facts) -> Evidence | None:
    """Return the value beside the limit it is past, None where the condition compares nothing that is known.

    Of several comparisons the first that is past its limit; of several sides the one furthest past.
    """
    best: tuple[bool, Compare, Evidence] | None = None
    for leaf in leaves(condition):
        if not isinstance(leaf, Compare):
            continue
        for side, value in readings(leaf, facts):
            limit = limit_in(leaf.limit, facts.language)
            is_past = bool(passed(leaf, value, facts.language))
            further = best is not None and best[1] is leaf and is_worse(leaf, value, best[2].value)
            if best is None or (is_past and not best[0]) or further:
                # An alert goes on past its limit until its `until`: the value alone does not tell which end it is.
                extra = {} if leaf.is_upper else {"lower": True}
                unit = BY_NAME[leaf.metric].unit
                best = is_past, leaf, Evidence(leaf.metric, value, limit, unit, side, extra=extra)
    return best[2] if best else None


def is_worse(compare: Compare, value: float, than: float | None) -> bool:
    """Whether a value is further past the limit than another."""
    return than is None or (value > than if compare.is_upper else value < than)


def excerpt(
    text: str, spans: Sequence[tuple[int, int]], most: int = MAX_TEXT
) -> tuple[str, tuple[tuple[int, int], ...], Mapping[str, Any]]:
    """Return a message short enough to be sent about, its spans, and what says that it was cut."""
    if len(text) <= most:
        return text, tuple(spans), {}
    first = min((start for start, _ in spans), default=0)
    begin = max(0, min(first - most // 4, len(text) - most))
    end = begin + most
    kept = tuple((start - begin, min(stop, end) - begin) for start, stop in spans if begin <= start < end)
    return text[begin:end], kept, {"cut_from": begin, "cut_of": len(text)}


def change_of(
    kind: ChangeKind,
    rule: Rule,
    severity: Severity,
    conversation: Conversation,
    at: float,
    evidence: Evidence | None = None,
    **more: Any,
) -> Change:
    """Return the change that a rule wants; `more` are further fields of Change."""
    return Change(
        kind=kind,
        conversation=conversation,
        rule_id=rule.id,
        severity=severity,
        audience=rule.audience,
        at=at,
        evidence=evidence or Evidence(),
        rule_name=rule.name,
        category=rule.category,
        dry_run=rule.dry_run,
        **more,
    )


def orphan_end(rule_id: str, severity: Severity, conversation: Conversation, at: float) -> Change:
    """Return the end of an alert whose rule is no longer in the policy."""
    return Change("end", conversation, rule_id, severity, (), at, Evidence())


def with_worst(evidence: Evidence, worst: float | None) -> Evidence:
    """Return the evidence with the furthest value since the alert was opened beside the one of now."""
    return evidence if worst is None else replace(evidence, extra={**evidence.extra, "worst": worst})
