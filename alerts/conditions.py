"""The conditions a rule is made of, and whether one holds: yes, no, or not yet known."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from detectors.values import Severity, Side

RuleSide = Literal["agent", "customer", "bot", "any"]
Comparator = Literal["above", "at_least", "below", "at_most"]
Limit = float | Mapping[str, float]
"""A number in the metric's unit, or one a language (zh, en, ...; `other` for all the rest)."""

_COMPARES: dict[Comparator, Callable[[float, float], bool]] = {
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


@dataclass(frozen=True, slots=True)
class Compare:
    """A metric against a limit; not known where the value is not, or where the language has no limit."""

    metric: str
    comparator: Comparator
    limit: Limit
    side: RuleSide
    until: Limit | None = None
    """Where a raised alert lets go again; None lets go at the limit itself."""

    @property
    def is_upper(self) -> bool:
        """Whether too much is what it looks for."""
        return self.comparator in ("above", "at_least")


@dataclass(frozen=True, slots=True)
class HitCount:
    """At least so many hits of these kinds: in the message at hand, or within the last seconds."""

    at_least: int
    side: RuleSide
    severities: tuple[Severity, ...] = ()
    """Empty means every one; so for the next two."""
    categories: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    within_seconds: float | None = None
    delivered: bool | None = None
    """Only hits in what reached the other side, or only in what did not; None counts both."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """A customer has waited so long for a reply; needs no message to arrive, so a sweep judges it."""

    seconds: float
    which: Literal["first", "later", "any"]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NotThat:
    """The part does not hold."""

    part: Condition


Condition = Compare | HitCount | NoReply | AllOf | AnyOf | NotThat


@dataclass(frozen=True, slots=True)
class PastHit:
    """A hit as far as a later condition may ask for it."""

    at: float
    """Unix time of its message."""
    side: Side
    severity: Severity
    category: str
    phrase_id: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a condition may look at, at one moment."""

    at: float
    """Unix time."""
    language: str | None
    sides: Mapping[Side, Mapping[str, float | None]]
    """Metric name -> value, by side."""
    hits: Sequence[PastHit] = ()
    """Of the message at hand."""
    past: Sequence[PastHit] = ()
    """Of earlier messages."""


def limit_in(limit: Limit, language: str | None) -> float | None:
    """Return the limit for a language (`zh-CN` is `zh`), None where there is none for it."""
    if isinstance(limit, Mapping):
        return limit.get(primary_language(language), limit.get("other"))
    return limit


def primary_language(tag: str | None) -> str:
    """Return the language of a tag without its region: `zh` of `zh-CN`, nothing of None."""
    return (tag or "").replace("_", "-").partition("-")[0].lower()


def leaves(condition: Condition) -> Iterator[Compare | HitCount | NoReply]:
    """Yield what a condition is built of, in the order it is written."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from leaves(part)
    elif isinstance(condition, NotThat):
        yield from leaves(condition.part)
    else:
        yield condition


def readings(compare: Compare, facts: Facts) -> Iterator[tuple[Side, float]]:
    """Yield the known values that a comparison looks at, with their sides."""
    for side, metrics in facts.sides.items():
        value = metrics.get(compare.metric) if compare.side in (side, "any") else None
        if value is not None:
            yield side, value


def passed(compare: Compare, value: float, language: str | None, raised: bool = False) -> bool | None:
    """Whether one value is past its limit; past its `until` where the alert is `raised` already."""
    limit = limit_in(compare.limit, language)
    if raised and compare.until is not None:
        limit = limit_in(compare.until, language)
    return None if limit is None else _COMPARES[compare.comparator](value, limit)


def counted(count: HitCount, facts: Facts) -> list[PastHit]:
    """Return the hits that a condition counts."""
    hits = list(facts.hits)
    if count.within_seconds is not None:
        hits += [hit for hit in facts.past if facts.at - count.within_seconds < hit.at]
    return [hit for hit in hits if matches(count, hit)]


def matches(count: HitCount, hit: PastHit) -> bool:
    """Whether a hit is of the kind that a condition counts."""
    return (
        count.side in (hit.side, "any")
        and (not count.severities or hit.severity in count.severities)
        and (not count.categories or hit.category in count.categories)
        and (not count.phrases or hit.phrase_id in count.phrases)
        and count.delivered in (None, hit.delivered)
    )


def holds(condition: Condition, facts: Facts, raised: bool = False) -> bool | None:
    """Whether a condition holds, None while what it hangs on is not known.

    With `raised` it is asked whether a raised alert goes on: comparisons then let go at their `until` only.
    """
    match condition:
        case Compare():
            return _some(passed(condition, value, facts.language, raised) for _, value in readings(condition, facts))
        case HitCount():
            return len(counted(condition, facts)) >= condition.at_least
        case NoReply():
            return None
        case AllOf():
            some_not = _some(_negated(holds(part, facts, raised)) for part in condition.parts)
            return _negated(some_not)
        case AnyOf():
            return _some(holds(part, facts, raised) for part in condition.parts)
        case NotThat():
            # The part's own `until` would make its negation let go early, so it is always asked at its limit.
            return _negated(holds(condition.part, facts))


def _negated(truth: bool | None) -> bool | None:
    """Return Kleene's not: what is not known stays so."""
    return None if truth is None else not truth


def _some(truths: Iterator[bool | None]) -> bool | None:
    """Return Kleene's or; of nothing at all, not known."""
    known = list(truths)
    if True in known:
        return True
    return None if None in known or not known else False
