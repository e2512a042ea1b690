"""What may come in as JSON: a chat message, a turn of a transcript, an event of a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from detectors.values import Side

MAX_TEXT_CODE_POINTS = 1_000_000
"""A longer text is no message; up to here it is kept whole, and read as far as the engine reads."""

Delivery = Literal["pending", "unverified", "delivered", "intercepted", "replaced"]


def _without_nul(name: str) -> str:
    """Refuse a NUL: PostgreSQL keeps none, and an id that was changed would be another one."""
    if "\0" in name:
        raise ValueError("has a NUL character (U+0000); leave it out")
    return name


def _nul_shown(text: str) -> str:
    """Replace each NUL by U+FFFD: a text is kept for what else it says, and as long, so that spans point right."""
    return text.replace("\0", "\ufffd")


def _label(value: object) -> str | None:
    """Return a name or number as a text that a page can show; what else stands there is no reason to lose a message."""
    return _nul_shown(str(value))[:256] if isinstance(value, str | int | float) else None


Name = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_without_nul)]
"""An id: kept as it is, or refused."""
Title = Annotated[str, StringConstraints(max_length=256), AfterValidator(_nul_shown)]
"""What somebody is called, for people to read."""
Words = Annotated[str, StringConstraints(max_length=MAX_TEXT_CODE_POINTS), AfterValidator(_nul_shown)]

Label = Annotated[str | None, BeforeValidator(_label)]
"""What a platform calls something of its own; platforms number or name them as they like."""


class _Incoming(BaseModel):
    """Unknown fields are ignored: additions only ever add. Numbers are not taken for strings."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Sender(_Incoming):
    """Who wrote it."""

    id: Name
    role: Side = "agent"
    name: Title | None = None
    team: Name | None = None


class Party(_Incoming):
    """Somebody known by an id, and perhaps a name."""

    id: Name
    name: Title | None = None


class Matched(_Incoming):
    """What a platform's own filter says it found."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    phrase: Words | None = None
    rule_id: Label = None
    rule_version: Label = None
    library: Label = None
    """Which list of words it is from."""
    category: Label = None
    """What it is about, in the platform's own words; it stands for the phrase where that is not told."""

    @property
    def said(self) -> str:
        """Return what it found, as closely as that was told; "?" where nothing was."""
        return self.phrase or self.category or self.library or self.rule_id or "?"


class ChatMessage(_Incoming):
    """A message as written, on `chat.messages`; see `docs/asyncapi.yaml`."""

    conversation_id: Name
    message_id: Name | None = None
    """None where the platform gives no id: the record's topic:partition:offset stands for it."""
    platform: Name = "default"
    channel: Name | None = None
    language: Name | None = None
    queue: Name | None = None
    sent_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    sender: Sender
    customer: Party | None = None
    text: Words
    delivery: Delivery = "pending"
    intercepted_by: Literal["platform"] | None = None
    delivered_text: Words | None = None
    matched: tuple[Matched | Words, ...] = Field(default=(), strict=False)


class Turn(_Incoming):
    """One turn of a call in words, on `transcript.turns`."""

    conversation_id: Name
    turn_id: Name | None = None
    side: Side
    start_ms: Annotated[FiniteFloat, Field(ge=0)]
    end_ms: Annotated[FiniteFloat, Field(ge=0)]
    text: Words
    language: Name | None = None
    agent: Party | None = None


class CallEvent(_Incoming):
    """What happened to a call, on `call.events`; fields that are absent leave what is known."""

    type: Literal["call.started", "call.updated", "call.ended"]
    conversation_id: Name
    agent: Party | None = None
    team: Name | None = None
    queue: Name | None = None
    customer: Party | None = None
    direction: Literal["inbound", "outbound"] | None = None
    language: Name | None = None
    hold: bool | None = None
    offset_ms: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """The call's own time of a hold or unhold."""


def explain(error: ValidationError) -> str:
    """Return what is wrong and where, in one line, without the offending text (it may be a customer's)."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "record"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {first['msg']}{more}"


_NAME = TypeAdapter(Name)


def checked_name(name: str) -> str:
    """Return an id that stands outside of a body, such as a record's key. Raises ValidationError."""
    return _NAME.validate_python(name)
