"""What an alert is: its states, the evidence it carries, and the changes a rule engine asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from detectors.values import Severity, Side

AlertState = Literal["open", "seen", "owned", "resolved", "dismissed", "ended"]
ChangeKind = Literal["open", "update", "end"]

OPEN_STATES: tuple[AlertState, ...] = ("open", "seen", "owned")
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
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
