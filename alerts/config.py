"""The frozen values that the store and the pages are given; where they come from is not their business."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the database is."""

    url: str
    """sqlite:///FILE or postgresql://USER@HOST/NAME."""
    password: str = ""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """How the pages are served."""

    origin: str = ""
    """Public address where a proxy stands before the process; "" takes the request's own Host."""
    session_seconds: float = 12 * 3600.0
    secure_cookies: bool = False
    """Send the session cookie over https only."""
