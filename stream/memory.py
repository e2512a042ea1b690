"""How a process uses its memory: no holes in the heap over months, no search for garbage in what stays."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def loading() -> Iterator[None]:
    """Load libraries without looking for garbage in between: there is none, and it takes a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def set_apart() -> None:
    """Have what is there now never searched for garbage again: it stays, and each search took 70 ms. Once only."""
    if not gc.get_freeze_count():
        gc.freeze()
