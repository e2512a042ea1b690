from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from stream.demo import demo
from tests.builders_pages import visitor
from tests.services import run_apart

START_SECONDS = 90.0
"""Four processes import Faust, SQLAlchemy and the pages: 10 s on an idle machine with two cores, 40 s on a busy one."""

FIRST_ALERT_SECONDS = 60.0
"""What is promised of a fresh start."""


def until(true: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.1)
    return found


def descendants(pid: int) -> dict[int, str]:
    """Process ids and command lines below a process."""
    found: dict[int, str] = {}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            found |= descendants(child)
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_taken_port_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ready = tmp_path / "ready.json"
    ready.write_text("of a demo that was killed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo(port=port, ready_file=ready) == 1
    assert f"port {port} is taken; write another one, or --port 0" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


async def watch(chromium: str, ready: dict[str, str]) -> None:
    """Log in as the demo says, and wait for a call with its strips and for the first alert."""
    end = time.monotonic() + FIRST_ALERT_SECONDS
    async with visitor(chromium) as visit:
        page = visit.page
        await page.goto(ready["web"] + "/floor")
        await page.fill("[name=login]", ready["user"])
        await page.fill("[name=password]", ready["password"])
        await page.keyboard.press("Enter")

        def left() -> float:
            return max(1.0, end - time.monotonic()) * 1000

        await expect(page.locator(".alert").first).to_be_visible(timeout=left())
        # Of an agent who is in a call now: a drawn strip, and a number beside it, of rate and of level each.
        row = page.locator(".agent-row:not(.stale):not(.head)")
        for column in (1, 2):
            measure = f".measure:nth-child({column} of .measure)"
            row = row.filter(has=page.locator(f"{measure} .strip canvas")).filter(
                has=page.locator(f"{measure} b", has_text=re.compile(r"\d"))
            )
        await expect(row.first).to_be_visible(timeout=left())
        await visit.look("demo-zh")


@contextmanager
def running_demo(folder: Path, scratch: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """A demo that is up, and what its ready file says."""
    ready_file = folder / "ready.json"
    command = [sys.executable, "-m", "stream.cli", "demo", "--port", "0", "--ready-file", str(ready_file)]
    with (folder / "said").open("w") as log:
        parent = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}, stderr=log)
        try:
            until(lambda: ready_file.exists() or parent.poll() is not None, START_SECONDS)
            assert parent.poll() is None, (folder / "said").read_text()
            assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
            yield parent, json.loads(ready_file.read_text())
        finally:
            # Its children end with it, however it goes.
            parent.kill()
            parent.wait()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_all_comes_up_restarts_what_dies_and_leaves_no_process(
    ending: signal.Signals, chromium: str, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with running_demo(tmp_path, scratch) as (parent, ready):
        assert set(ready) == {"web", "kafka", "database", "user", "password"}
        with urllib.request.urlopen(f"{ready['web']}/readyz", timeout=5) as answer:
            assert answer.status == 200
        parts = ("stream.embedded", "worker chat", "worker audio", "cli web", "cli simulate")
        # The last one was forked a moment ago and may still be called as its parent.
        until(lambda: all(any(part in line for line in descendants(parent.pid).values()) for part in parts), 5)
        running = descendants(parent.pid)
        if ending is signal.SIGINT:
            run_apart(watch(chromium, ready))
        killed = next(pid for pid, line in running.items() if "worker chat" in line)
        os.kill(killed, signal.SIGKILL)
        until(lambda: any("worker chat" in line for pid, line in descendants(parent.pid).items() if pid != killed), 5)
        running = descendants(parent.pid)
        parent.send_signal(ending)
        code = parent.wait(15)  # SIGTERM, 5 s, SIGKILL, and the broker
    until(lambda: not any(lives(pid) for pid in running), 5)
    if ending is signal.SIGINT:
        assert code == 0
        assert list(scratch.iterdir()) == [] and not (tmp_path / "ready.json").exists()
