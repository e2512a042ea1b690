"""What the services of the tests have in common: ports, guards, and a word to whoever lacks one."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

ROOT = Path(__file__).parents[1]
RAN: dict[str, str] = {}
"""Name -> version of every service that was really started, for the last lines of the run."""

T = TypeVar("T")


def missing(what: str, command: str) -> NoReturn:
    # A skipped service looks like a passed test; nobody would see that the guarantees were not tried.
    pytest.fail(f"{what}\nrun: {command}", pytrace=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def guard(pid: int, signal_name: str = "KILL") -> None:
    """End `pid` when this test run is gone, however it went: a server left behind holds 300 MB."""
    watch = (
        f"exec 2>/dev/null; while kill -0 {os.getpid()} && kill -0 {pid}; do sleep 1; done; kill -{signal_name} {pid}"
    )
    GUARDS.append(subprocess.Popen(["sh", "-c", watch], stdin=subprocess.DEVNULL, start_new_session=True))


GUARDS: list[subprocess.Popen[bytes]] = []


def end_guards() -> None:
    for each in GUARDS:
        each.terminate()
        each.wait()


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread with a loop of its own; the test's loop is not touched."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
