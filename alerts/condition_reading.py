"""Reads one condition of a rule file: its kind, its limits and whether they can ever be reached."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from alerts.conditions import AllOf, AnyOf, Compare, Condition, HitCount, Limit, NoReply, NotThat, RuleSide, limit_in
from alerts.rule_shapes import BELONGS_TO, COMPARATORS, KINDS_OF_CONDITION, ConditionShape, Path, Report
from detectors.metrics import BY_NAME


def read_condition(given: Mapping[str, Any], side: RuleSide, path: Path, report: Report) -> Condition:
    """Return the condition that these keys make; an empty one where they make none, having reported why."""
    kinds = [kind for kind in KINDS_OF_CONDITION if kind in given]
    if len(kinds) != 1:
        found = f"has {' and '.join(f'`{kind}`' for kind in kinds)}" if kinds else "has no condition"
        report(path, f"it {found}; write exactly one of {', '.join(KINDS_OF_CONDITION)}")
        return AllOf(())
    kind = kinds[0]
    for key in given:
        if key in BELONGS_TO and BELONGS_TO[key] != kind:
            report(
                (*path, key), f"`{key}` belongs to `{BELONGS_TO[key]}` and says nothing beside `{kind}`; leave it out"
            )
    if kind == "metric":
        return _compare(given, side, path, report)
    if kind == "hits":
        return HitCount(
            at_least=given["hits"],
            side=side,
            severities=tuple(given.get("severities", ())),
            categories=tuple(given.get("categories", ())),
            phrases=tuple(given.get("phrases", ())),
            within_seconds=given.get("within_seconds"),
            delivered=given.get("delivered"),
        )
    if kind == "no_reply_seconds":
        return NoReply(given["no_reply_seconds"], given.get("reply", "any"))
    if kind == "not":
        return NotThat(_part(given["not"], side, (*path, "not"), report))
    if not given[kind]:
        report((*path, kind), f"`{kind}` is empty; write at least one condition in it")
    parts = tuple(_part(part, side, (*path, kind), report) for part in given[kind])
    return AllOf(parts) if kind == "all" else AnyOf(parts)


def _part(shape: ConditionShape, side: RuleSide, path: Path, report: Report) -> Condition:
    """Return a condition within another one; without a side of its own it has that one's."""
    return read_condition(shape.given(), shape.side or side, path, report)


def _compare(given: Mapping[str, Any], side: RuleSide, path: Path, report: Report) -> Condition:
    """Return a comparison, having reported an unknown metric or a limit out of its range."""
    name = given["metric"]
    if name not in BY_NAME:
        near = get_close_matches(name, BY_NAME, n=1, cutoff=0.4)
        report(
            (*path, "metric"),
            f"`metric` is {name!r}, which is not measured; write {near[0] if near else ', '.join(BY_NAME)}",
        )
        return AllOf(())
    written = [comparator for comparator in COMPARATORS if comparator in given]
    if len(written) != 1:
        report(
            (*path, "metric"),
            f"a limit for {name} is written {len(written)} times; write one of {', '.join(COMPARATORS)}",
        )
        return AllOf(())
    comparator = written[0]
    compare = Compare(name, comparator, given[comparator], side, given.get("until"))
    _check_limit(compare, comparator, compare.limit, path, report)
    if compare.until is not None:
        _check_limit(compare, "until", compare.until, path, report)
        _check_until(compare, path, report)
    return compare


def _check_limit(compare: Compare, key: str, limit: Limit, path: Path, report: Report) -> None:
    """Report a limit that the metric can never reach."""
    metric = BY_NAME[compare.metric]
    for number in limit.values() if isinstance(limit, Mapping) else (limit,):
        if not metric.low <= number <= metric.high:
            end = f"ends at {metric.high:g}" if number > metric.high else f"begins at {metric.low:g}"
            report(
                (*path, key),
                f"`{key}` is {number:g} but {metric.name} {end}; write a number from {metric.low:g} to {metric.high:g}",
            )


def _check_until(compare: Compare, path: Path, report: Report) -> None:
    """Report an `until` on the wrong side of the limit: the alert would let go before it is raised."""
    until = compare.until
    languages = (
        [*compare.limit] if isinstance(compare.limit, Mapping) else [*until] if isinstance(until, Mapping) else [""]
    )
    for language in languages:
        limit, release = limit_in(compare.limit, language), limit_in(until, language) if until is not None else None
        if limit is None or release is None or (release <= limit if compare.is_upper else release >= limit):
            continue
        report(
            (*path, "until"),
            f"`until` is {release:g} but the alert is raised {compare.comparator} {limit:g}; "
            f"write {'at most' if compare.is_upper else 'at least'} {limit:g}",
        )
