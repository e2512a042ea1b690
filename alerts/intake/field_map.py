"""What all platforms' field maps have in common: an event comes in, a message of `chat.messages` comes out; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from alerts.config import HookConfig
from alerts.intake.schema import ChatMessage


@dataclass(frozen=True, slots=True)
class Reported:
    """What an event turned out to be."""

    message: ChatMessage | None
    """What it tells of a message; None: nothing that the log could keep."""
    because: str = ""
    """Without a message: why, for the platform's engineer to read."""


class FieldMap(Protocol):
    """A module of this package: what one platform tells of its own interceptions."""

    PLATFORM: str
    """What its messages are from; also the last part of its address."""

    def read(self, event: Mapping[str, Any], config: HookConfig) -> Reported:
        """Return what an event tells. Raises BadHook for one that lacks what its documentation promises."""


def part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside of an event, an empty one where it is absent or something else."""
    inner = event.get(name)
    return inner if isinstance(inner, dict) else {}


def listed(event: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list inside of an event, an empty one where it is absent or something else."""
    inner = event.get(name)
    return inner if isinstance(inner, list) else []


def moment(value: object) -> str | None:
    """Return a time in RFC 3339 as it is, None for what is none: for its time alone no message may be lost."""
    if not isinstance(value, str):
        return None
    try:
        return value if datetime.fromisoformat(value).tzinfo is not None else None
    except ValueError:
        return None


def stopped(delivery: str) -> dict[str, Any]:
    """Return the fields that say what the platform did with a message."""
    by = {"intercepted_by": "platform"} if delivery in ("intercepted", "replaced") else {}
    return {"delivery": delivery, **by}


def without_none(**fields: Any) -> dict[str, Any]:
    """Return the fields that are known."""
    return {name: value for name, value in fields.items() if value is not None}
