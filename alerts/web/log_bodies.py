"""What REST answers and takes about the interception log: the models behind openapi.json."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from alerts.web.bodies import MarkedSpan, Note


class LogRow(BaseModel):
    """One line of the interception log."""

    kind: Literal["interception", "violation"]
    id: int
    at: float
    platform: str
    conversation_id: str
    message_id: str
    agent_id: str | None
    agent_name: str | None
    team: str
    text: str = Field(description="masked, as long as the original: spans point right")
    spans: list[MarkedSpan]
    category: str
    severity: str
    phrases: list[str]
    outcome: Literal["blocked", "replaced", "held", "delivered", "platform"]
    intercepted_by: Literal["us", "platform"] | None
    attempt: int
    policy_version: int | None
    review: Literal["pending", "upheld", "mistaken", "exempt"]
    review_reason: str | None
    reviewed_by: str | None
    latency_ms: float | None


class LogPage(BaseModel):
    """A page of the interception log."""

    items: list[LogRow]
    total: int
    next: str | None = Field(description="goes into `before` for the next page")


class HourCount(BaseModel):
    """One hour."""

    at: float
    count: int


class AgentCount(BaseModel):
    """One agent."""

    agent_id: str | None
    agent_name: str | None
    count: int


class TeamCount(BaseModel):
    """One team."""

    team: str
    count: int


class PhraseCount(BaseModel):
    """One phrase, and how often QA found it mistaken."""

    phrase_id: str
    count: int
    mistaken: int


class CategoryCount(BaseModel):
    """One category."""

    category: str
    count: int


class LogNumbers(BaseModel):
    """The interception log in numbers."""

    intercepted: int
    delivered: int
    replaced: int
    pending: int
    per_thousand: float | None
    per_thousand_before: float | None
    reviewed: int
    mistaken: int
    oldest_pending_at: float | None
    by_hour: list[HourCount]
    by_agent: list[AgentCount]
    by_team: list[TeamCount]
    by_phrase: list[PhraseCount]
    by_category: list[CategoryCount]


class ReviewChange(BaseModel):
    """What QA decides."""

    decision: Literal["upheld", "mistaken", "exempt", "pending"]
    reason: Note | None = None
