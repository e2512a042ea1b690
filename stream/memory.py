"""Keeps a process that runs for months from growing by holes in its heap."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3
"""glibc's malloc.h."""
LARGE_BYTES = 128 * 1024


def keep_large_buffers_apart() -> None:
    """Let glibc map what is large outside of the heap, and go on doing so; other C libraries are left as they are.

    By itself glibc raises that limit once such a piece was freed. asyncio then takes 256 KiB of heap for whatever it
    receives, cuts that down to the few hundred bytes that came, and each of these holds up what lies behind it: the
    web process grew by 1 MB a minute, with nothing in it (`benchmarks/soak.py`).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
