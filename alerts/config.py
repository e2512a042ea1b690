"""The frozen values that the store and the pages are given; where they come from is not their business."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FailPolicy = Literal["open", "closed"]
"""What a platform is told when a verdict takes too long: deliver it, or do not."""


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the database is."""

    url: str
    """sqlite:///FILE or postgresql://USER@HOST/NAME."""
    password: str = ""


@dataclass(frozen=True, slots=True)
class HookConfig:
    """What was agreed on with a platform that asks over HTTP."""

    deadline_seconds: float = 1.0
    """From the request's arrival to its answer."""
    fail_policy: FailPolicy = "open"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What it signs with, any of them; without one a hook that is signed is closed."""
    app_id: str = ""
    agent_ids: str = ""
    """Regular expression for the whole of an agent's id; others are customers. "" takes every sender for an agent."""
    most_bytes: int = 4 * 1024 * 1024
    """A longer request is refused; a text of a million characters in four bytes each ends below it."""

    def is_agent(self, user_id: str) -> bool:
        """Return whether somebody who writes is an agent."""
        return not self.agent_ids or re.fullmatch(self.agent_ids, user_id) is not None


@dataclass(frozen=True, slots=True)
class WebConfig:
    """How the pages are served, and how platforms are answered."""

    origin: str = ""
    """Public address where a proxy stands before the process; "" takes the request's own Host."""
    session_seconds: float = 12 * 3600.0
    secure_cookies: bool = False
    """Send the session cookie over https only."""
    hooks: Mapping[str, HookConfig] = field(default_factory=dict)
    """By the name of the way in: moderate, or a platform that asks, or one that only tells what it did."""

    def hook(self, via: str) -> HookConfig:
        """Return what holds for a way in."""
        return self.hooks.get(via, HookConfig())
