"""What Tonewatch tells others in JSON, on Kafka and through the pages: one model for each thing told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, WithJsonSchema

from alerts.alert import AlertState
from detectors.metrics import BY_NAME, CATALOGUE
from detectors.values import PhraseAction, Severity, Side

Span = tuple[int, int]
"""[start, end) in code points of the text."""
Metrics = Annotated[
    dict[str, float | None],
    WithJsonSchema(
        {
            "type": "object",
            "description": "metric -> value, null where it is not known yet",
            "properties": {
                metric.name: {"type": ["number", "null"], "description": f"{metric.en}, {metric.unit}: {metric.source}"}
                for metric in CATALOGUE
                if metric.from_ == "audio"
            },
            "additionalProperties": {"type": ["number", "null"]},
        }
    ),
]
"""Metric of the catalogue -> value in its unit."""


class ReasonBody(BaseModel):
    """A phrase that was found, and where."""

    phrase_id: str
    category: str
    severity: Severity
    span: Span = Field(description="[start, end) in code points of the original text")
    how: str = Field(
        description="exact, folded, separated, repeated, leet, pinyin, across (messages), near (one stopped), platform"
    )


class VerdictBody(BaseModel):
    """What the platform should do with a message; the same bytes however often the message comes."""

    message_id: str = Field(description="the platform's, else topic:partition:offset of the record")
    conversation_id: str
    platform: str
    action: PhraseAction = Field(description="allow with reasons means flagged; review means hold for a person")
    replacement: str | None = Field(description="with mask: what to deliver instead")
    reasons: list[ReasonBody]
    policy_version: int
    decided_at: AwareDatetime
    latency_ms: float = Field(description="from the broker's time of the message to the decision")


class BaselineBody(BaseModel):
    """A speaker's own usual value of a metric."""

    value: float
    provisional: bool = Field(description="true while it stands on little speech of this call")


class ScoreBody(BaseModel):
    """All metrics of one call at one whole second of its own time."""

    conversation_id: str
    at_ms: int = Field(description="time in the call")
    agent_id: str | None = Field(description="null: not known yet")
    agent_name: str | None
    team: str
    language: str | None
    sides: dict[Side, Metrics]
    baselines: dict[Side, dict[str, BaselineBody]]
    lag_ms: float | None = Field(description="from the broker's time of the second's last audio to its score")
    lost_ms: int = Field(description="audio lost by gaps in seq since the call began")
    hold: bool
    degraded: bool = Field(description="a record of this call could not be used lately")


class EvidenceBody(BaseModel):
    """Why an alert was raised."""

    metric: str | None = Field(None, description=f"one of {', '.join(BY_NAME)}")
    value: float | None = None
    limit: float | None = None
    unit: str | None = None
    side: str | None = None
    at_seconds: float | None = Field(None, description="time in the call")
    message_id: str | None = None
    text: str | None = Field(None, description="masked")
    spans: list[Span] = []
    phrases: list[str] = []
    extra: dict[str, Any] = {}


class AlertFacts(BaseModel):
    """What everybody is told of an alert."""

    id: int
    version: int
    state: AlertState
    severity: Severity
    rule_id: str
    category: str
    kind: Literal["call", "chat"]
    platform: str
    conversation_id: str
    agent_id: str | None
    agent_name: str | None
    team: str
    opened_at: float
    changed_at: float
    closed_at: float | None
    owner: str | None = Field(description="login of who took it")
    note: str | None
    evidence: EvidenceBody


class AlertRecord(AlertFacts):
    """One version of an alert; the newest of an id is how it stands."""

    rule_name: dict[str, str] = Field(description="language -> name")


class ReminderBody(BaseModel):
    """The agent's own copy of an alert, for the desktop."""

    agent_id: str
    alert_id: int
    rule_id: str
    rule_name: dict[str, str] = Field(description="language -> name")
    category: str
    severity: Severity
    platform: str
    conversation_id: str
    at: float
    metric: str | None
    value: float | None
    limit: float | None
    unit: str | None
    message_id: str | None
