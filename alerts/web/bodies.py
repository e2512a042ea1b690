"""What REST answers and takes: the models behind openapi.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from alerts.bodies import AlertFacts
from alerts.store.tables import LARGEST_SERIAL

WITHOUT_NUL = r"^[^\x00]*$"
"""PostgreSQL stores no NUL: whoever sends one is told so, instead of an error of the database."""
Word = Annotated[str, StringConstraints(pattern=WITHOUT_NUL)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=WITHOUT_NUL)]
RowId = Annotated[int, Field(ge=1, le=LARGEST_SERIAL)]
PolicyVersion = Annotated[int, Field(ge=1, le=2**31 - 1)]
MarkedSpan = tuple[int, int, str]
"""[start, end) in code points of the text, and the phrase's id."""


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route says of its refusals in openapi.json; what was sent wrongly is 422 everywhere."""
    return {status: {"model": Problem} for status in (*statuses, 422)}


def takes(model: type[BaseModel], *required: str) -> dict[str, Any]:
    """Return what a route that reads its body itself says of it in openapi.json; `required` beyond the model's own."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def whole(node: Any) -> Any:
        """Put each part into the places that refer to it: a reference would begin at the document's root."""
        if isinstance(node, list):
            return [whole(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return whole(parts[node["$ref"].rsplit("/", 1)[1]])
        return {name: whole(each) for name, each in node.items()}

    schema["required"] = [*schema.get("required", []), *required]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": whole(schema)}}}}


class Credentials(BaseModel):
    """What somebody logs in with."""

    login: str = Field(min_length=1, max_length=200, pattern=WITHOUT_NUL)
    password: str = Field(min_length=1, max_length=1000)


class Me(BaseModel):
    """Who uses the page."""

    login: str
    name: str
    roles: list[str]
    teams: list[str]
    agent_id: str | None
    csrf: str = Field(description="to be sent as X-CSRF-Token with every unsafe request")
    may: dict[str, bool]


class RuleName(BaseModel):
    """What a rule is called."""

    zh: str
    en: str


class AlertBody(AlertFacts):
    """One alert as it stands."""

    rule_name: RuleName
    owner_name: str | None


class AlertChange(BaseModel):
    """What somebody does about an alert."""

    note: Note | None = None
    version: int | None = Field(None, description="the version that was looked at; 409 if it has changed since")


class Calls(BaseModel):
    """Calls in sight."""

    live: int
    scored: int


class AgentRow(BaseModel):
    """One line of the agent wall."""

    agent_id: str | None = Field(description="null: the agent of this conversation is not known yet")
    name: str | None
    team: str
    state: Literal["call", "hold", "chat", "idle"]
    since: float
    platform: str | None
    conversation_id: str | None
    chats: int
    language: str | None
    hits: int
    degraded: bool
    lost_share: float
    lag_ms: float | None
    latest: dict[str, float | None]
    baseline: dict[str, float]
    strips: dict[str, list[tuple[float, float | None]]]


class Floor(BaseModel):
    """The live floor's first paint; the WebSocket goes on from `seq`."""

    server_time: float
    seq: int
    lag_seconds: float
    teams: list[str]
    calls: Calls
    limits: dict[str, float]
    agents: list[AgentRow]
    alerts: list[AlertBody]


class ConversationBody(BaseModel):
    """Whose conversation it is."""

    platform: str
    conversation_id: str
    kind: Literal["call", "chat"]
    agent_id: str | None
    agent_name: str | None
    team: str
    queue: str | None
    channel: str | None
    customer_id: str | None = Field(description="masked")
    language: str | None
    direction: str | None
    started_at: float
    last_at: float
    ended_at: float | None


class HitBody(BaseModel):
    """A phrase that was found in a message."""

    phrase_id: str
    category: str
    severity: str
    how: str


class MessageBody(BaseModel):
    """One message in its place, with what became of it."""

    id: int
    message_id: str
    kind: Literal["message", "turn"]
    side: Literal["agent", "customer", "bot"]
    sender_name: str | None
    text: str = Field(description="masked, as long as the original: spans point right")
    delivered_text: str | None
    at: float
    start_seconds: float | None
    delivery: str
    action: Literal["allow", "mask", "block", "review"]
    spans: list[MarkedSpan]
    outcome: Literal["delivered", "intercepted", "replaced", "held", "violation", "pending"]
    intercepted_by: Literal["us", "platform"] | None
    attempt: int
    policy_version: int
    hits: list[HitBody]


class Moment(BaseModel):
    """Scores of both sides at one second of a call."""

    at_seconds: float
    sides: dict[str, dict[str, float | None]]


class ConversationView(BaseModel):
    """A conversation with everything that was concluded about it."""

    conversation: ConversationBody
    messages: list[MessageBody]
    alerts: list[AlertBody]
    scores: list[Moment]


class Unmask(BaseModel):
    """Why somebody wants to read what is masked."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500, pattern=WITHOUT_NUL)]


class AuditEntry(BaseModel):
    """One act, and who did it."""

    id: int
    at: float
    who: str
    what: str
    object: str
    detail: dict[str, Any]
    address: str | None


class AuditPage(BaseModel):
    """The newest acts; `next` goes into `before`."""

    items: list[AuditEntry]
    next: int | None


class Readiness(BaseModel):
    """Whether this process can do its work, and if not, why."""

    ready: bool
    problems: list[str]
    holds: list[str] = []
    """Topics that workers hold because most of what came cannot be used, with what to do; pages work all the same."""
