"""What all platforms' hooks have in common: a request comes in, a message to judge comes out, an answer goes back."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import ValidationError

from alerts.config import HookConfig
from alerts.intake.schema import ChatMessage, explain
from detectors.values import PhraseAction, Side

REFUSAL = "This message was not delivered: it is against the rules of this service."
"""What a platform shows the sender, where its answer has a place for words."""


class BadHook(ValueError):
    """A request that gets no verdict: `status` is HTTP's, the message says what is wrong and never what was sent."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class HookRequest:
    """What a platform sent."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    now: float
    """Unix time, for signatures that are good for a while only."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request turned out to be."""

    message: ChatMessage | None
    """None: nothing in it is text, so it is let through. Without a message id one is made up for it."""
    body: Mapping[str, Any]
    """The request's own JSON, which some answers repeat."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What is to be said."""

    action: PhraseAction
    replacement: str | None = None
    """With mask: the text to deliver instead, as long as the text that was judged."""


class Replaced:
    """Hands a replacement out again to the texts that were judged as one, joined by line breaks."""

    def __init__(self, replacement: str) -> None:
        self._rest = replacement

    def next(self, text: str) -> str:
        """Return what stands for the next of these texts."""
        said, self._rest = self._rest[: len(text)], self._rest[len(text) + 1 :]
        return said


class Hook(Protocol):
    """A module of this package."""

    PLATFORM: str
    """What its messages are from; also the last part of its address."""

    def read(self, request: HookRequest, config: HookConfig) -> Asked:
        """Return what is asked. Raises BadHook."""

    def answer(self, asked: Asked, answered: Answered) -> dict[str, Any]:
        """Return the answer's JSON, which goes out with status 200."""


def json_object(body: bytes) -> dict[str, Any]:
    """Return a body that is a JSON object. Raises BadHook."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadHook(422, "the body is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise BadHook(422, "the body is not a JSON object")
    return value


def need_secret(config: HookConfig, variable: str) -> None:
    """Raise BadHook where nothing was agreed on: then nobody may ask."""
    if not config.secrets:
        raise BadHook(403, f"this hook is closed; write the platform's secret into {variable}")


def is_signed(given: object, wanted: list[str]) -> bool:
    """Return whether a signature in hexadecimal is one of those that our secrets make, in constant time."""
    said = given.lower().encode() if isinstance(given, str) else b""
    return any([hmac.compare_digest(said, each.encode()) for each in wanted])


def text_of(value: object) -> str:
    """Return a field that should be a string or a number as a string, "" where it is absent."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def message_of(
    config: HookConfig,
    platform: str,
    *,
    sender: str,
    receiver: str | None,
    conversation: str,
    message_id: str,
    text: str,
    sent_at_ms: object = None,
    name: str | None = None,
    team: str | None = None,
    role: Side | None = None,
    **more: Any,
) -> ChatMessage:
    """Return the chat message of what a platform says; `role` where it says who the sender is.

    Raises BadHook naming the field that is missing or wrong.
    """
    side = role or ("agent" if config.is_agent(sender) else "customer")
    customer = sender if side == "customer" else receiver
    body: dict[str, Any] = {
        "platform": platform,
        "conversation_id": conversation,
        "message_id": message_id or None,
        "sender": {"id": sender, "role": side, "name": name or None, "team": team},
        "customer": {"id": customer} if customer else None,
        "text": text,
        **more,
    }
    if isinstance(sent_at_ms, int) and 0 < sent_at_ms < 2e13:
        body["sent_at"] = sent_at_ms / 1000
    try:
        return ChatMessage.model_validate(body)
    except ValidationError as error:
        raise BadHook(422, explain(error)) from None


def pair(one: str, other: str) -> str:
    """Return one name for the conversation of two, from both sides the same. Raises BadHook without one of them."""
    if not one or not other:
        raise BadHook(422, "it is not said who writes to whom")
    return "_".join(sorted((one, other)))
