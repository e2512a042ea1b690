"""What `tonewatch doctor` answers to one question."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer, each in one line."""

    name: str
    ok: bool
    """False only where something has to be done; what could not be looked at is ok and says so."""
    found: str
    remedy: str = ""
    """What to do; empty where `ok`."""


def in_one_line(error: BaseException) -> str:
    """What an exception says, without line breaks; its name where it says nothing."""
    if isinstance(error, OSError) and error.errno:
        # asyncio puts an address where the reason belongs; a name that is not found has a negative number.
        return (os.strerror(error.errno) if error.errno > 0 else str(error.strerror)).lower()
    return " ".join(str(error).split())[:200] or type(error).__name__
