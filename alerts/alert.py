"""What an alert is: its states, the evidence it carries, and the changes a rule engine asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from detectors.values import Severity, Side

AlertState = Literal["open", "seen", "owned", "resolved", "dismissed", "ended"]
ChangeKind = Literal["open", "update", "end"]

OPEN_STATES: tuple[AlertState, ...] = ("open", "seen", "owned")
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
CALL_PLATFORM = "call"
"""The platform of every call: its audio, events and turns meet in one conversation."""
UNASSIGNED = "unassigned"
"""The team of what nobody's team is known for: seen by admins and whoever is granted it."""


def is_graver(severity: Severity, than: Severity) -> bool:
    """Whether `severity` stands above `than`."""
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Whom and what a judgement is about: one call or one chat, as far as it is known by now."""

    platform: str
    conversation_id: str
    kind: Literal["call", "chat"]
    agent_id: str | None = None
    agent_name: str | None = None
    team: str = UNASSIGNED
    queue: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why: the measured value beside its limit, or the sentence with the hit; what a person is shown."""

    metric: str | None = None
    value: float | None = None
    limit: float | None = None
    unit: str | None = None
    side: Side | None = None
    at_seconds: float | None = None
    """Time in the call, None for a chat."""
    message_id: str | None = None
    text: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    """[start, end) in code points of `text`."""
    phrases: tuple[str, ...] = ()
    """Phrase ids."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule wants done about its alert on one conversation; the store makes it so, once."""

    kind: ChangeKind
    conversation: Conversation
    rule_id: str
    severity: Severity
    audience: tuple[str, ...]
    """supervisor, agent or both."""
    at: float
    """Unix time of the record that led to it."""
    evidence: Evidence
    cooldown_seconds: float = 0.0
    """An alert on hits stays until this long after the last; 0 means the rule ends it itself."""
    rule_name: Mapping[str, str] = field(default_factory=dict)
    """Language -> name, kept with the alert: a later policy may call the rule something else."""
    category: str = ""
    rises: bool = False
    """An update that asks for more than before: where a person has closed the alert it opens a new one."""
    dry_run: bool = False
    """Judged, to be counted, but nobody is asked: the store leaves it out."""
    opened_at: float | None = None
    """Of several changes folded into one: the time of the first, where that is another."""


def fold(changes: Sequence[Change]) -> list[Change]:
    """Return the fewest changes that do what `changes` do, in order, all of one rule on one conversation.

    Whoever keeps only the newest change of an alert would lose the one that opened it.
    """
    folded: list[Change] = []
    for change in changes:
        last = folded[-1] if folded else None
        if last is None or "end" in (last.kind, change.kind):
            if last is None or last.kind != "end" or change.kind != "end":
                folded.append(change)
            continue
        graver, milder = (last, change) if is_graver(last.severity, change.severity) else (change, last)
        folded[-1] = replace(
            change,
            kind="open" if "open" in (last.kind, change.kind) else "update",
            severity=graver.severity,
            evidence=graver.evidence,
            at=max(last.at, change.at),
            opened_at=min(last.at if last.opened_at is None else last.opened_at, change.at),
            rises=last.rises or change.rises,
            audience=tuple(dict.fromkeys((*graver.audience, *milder.audience))),
        )
    return folded
