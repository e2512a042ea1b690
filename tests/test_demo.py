from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.demo import demo

START_SECONDS = 90.0
"""Four processes import Faust, SQLAlchemy and the pages: 10 s on an idle machine with two cores, 40 s on a busy one."""


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


@pytest.mark.timeout(240)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_all_comes_up_restarts_what_dies_and_leaves_no_process(ending: signal.Signals, tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "stream.cli", "demo", "--port", "0", "--ready-file", str(ready_file)]
    log = (tmp_path / "said").open("w")
    with log, subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}, stderr=log) as parent:
        until(lambda: ready_file.exists() or parent.poll() is not None, START_SECONDS)
        assert parent.poll() is None, (tmp_path / "said").read_text()
        ready = json.loads(ready_file.read_text())
        assert set(ready) == {"web", "kafka", "database", "user", "password"}
        assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
        with urllib.request.urlopen(f"{ready['web']}/readyz", timeout=5) as answer:
            assert answer.status == 200
        running = descendants(parent.pid)
        for part in ("stream.embedded", "worker chat", "worker audio", "cli web", "cli simulate"):
            assert any(part in line for line in running.values()), part
        killed = next(pid for pid, line in running.items() if "worker chat" in line)
        os.kill(killed, signal.SIGKILL)
        until(lambda: any("worker chat" in line for pid, line in descendants(parent.pid).items() if pid != killed), 5)
        running = descendants(parent.pid)
        parent.send_signal(ending)
        code = parent.wait(15)  # SIGTERM, 5 s, SIGKILL, and the broker
    until(lambda: not any(lives(pid) for pid in running), 5)
    if ending is signal.SIGINT:
        assert code == 0
        assert list(scratch.iterdir()) == [] and not ready_file.exists()
