"""Gives memory that is free back to the system, which glibc keeps for as long as a process runs."""

from __future__ import annotations

import asyncio
import ctypes

EVERY_SECONDS = 60.0


async def give_back() -> None:
    """Trim the heaps once a minute, for ever; where the C library is not glibc there is nothing to do.

    Every thread that reads the database has a heap of its own, which grows with whatever was read at once and is never
    trimmed by itself: the process crept up for half an hour with no more in it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        if trim is not None:
            await asyncio.to_thread(trim, 0)
