from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.supervise import BACKOFF_WINDOW_SECONDS, DEATHS_BEFORE_BACKOFF, Child, Supervisor

SLEEPER = [sys.executable, "-S", "-c", "import time\nwhile True: time.sleep(60)"]
DEAF = [
    sys.executable,
    "-S",
    "-c",
    "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)",
]


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so within {seconds} s"
        await asyncio.sleep(0.02)


def lives(pid: int) -> bool:
    """A zombie counts as gone: whoever adopted it has only not yet asked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_killed_child_is_back_within_a_second_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start(Child("one", SLEEPER))
    supervisor.start(Child("two", SLEEPER))
    await until(lambda: supervisor.pid("one") and supervisor.pid("two"))
    first, second = supervisor.pid("one"), supervisor.pid("two")
    assert first is not None
    began = time.monotonic()
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pid("one") not in (None, first))
    # 1.0 s: a process of ours takes 50 ms to start; only a wait between death and restart could cost more.
    assert time.monotonic() - began < 1.0
    assert supervisor.pid("two") == second
    assert any("one was killed by SIGKILL" in line for line in said)
    await supervisor.stop()


async def test_stop_leaves_none_even_one_that_ignores_sigterm(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start(Child("polite", SLEEPER))
    supervisor.start(Child("deaf", DEAF))
    await until(lambda: (tmp_path / "log").exists() and "[deaf] deaf" in (tmp_path / "log").read_text())
    pids = [supervisor.pid(name) for name in ("polite", "deaf")]
    began = time.monotonic()
    await supervisor.stop()
    assert 4.5 < time.monotonic() - began < 7.0  # SIGTERM, 5 s, SIGKILL
    assert not [pid for pid in pids if pid is None or lives(pid)]
    assert [line for line in said if "killed" in line] == ["deaf did not end within 5 s and is killed"]


async def test_one_that_dies_at_once_is_started_less_and_less_often_and_its_words_are_heard(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start(Child("hasty", [sys.executable, "-S", "-c", "raise SystemExit('no database at all')"]))
    await until(lambda: any("the next start is in 2 s" in line for line in said), 10.0)
    deaths = [line for line in said if "exit code 1" in line]
    assert len(deaths) == 6  # five at once, one after the first wait
    assert "no database at all" in deaths[0]
    began = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - began < 6.0


async def test_one_that_is_killed_from_outside_is_started_at_once_however_often(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start(Child("victim", SLEEPER))
    began = time.monotonic()
    pids: list[int | None] = [None]

    def is_new() -> bool:
        return supervisor.pid("victim") not in (None, pids[-1])

    for _ in range(DEATHS_BEFORE_BACKOFF + 2):
        await until(is_new)
        pid = supervisor.pid("victim")
        assert pid is not None
        pids.append(pid)
        os.kill(pid, signal.SIGKILL)
    await until(is_new)
    assert time.monotonic() - began < BACKOFF_WINDOW_SECONDS, "too slow to show anything"
    assert not [line for line in said if "the next start is in" in line]
    await supervisor.stop()


async def test_environment_and_errors_of_a_child_are_passed_on_and_the_rest_is_kept_quiet(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "print('all is', os.environ['STATE_OF_DISK'], flush=True)\n"
        "print('ERROR disk full', flush=True)\n"
        "time.sleep(60)"
    )
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start(Child("talker", [sys.executable, "-S", "-c", code], {"STATE_OF_DISK": "full"}))
    await until(lambda: said)
    await supervisor.stop()
    assert said == ["[talker] ERROR disk full"]
    assert (tmp_path / "log").read_text().splitlines()[:2] == ["[talker] all is full", "[talker] ERROR disk full"]


async def test_a_name_is_taken_once(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "log", print)
    supervisor.start(Child("one", SLEEPER))
    with pytest.raises(ValueError, match="called 'one' already"):
        supervisor.start(Child("one", SLEEPER))
    await until(lambda: supervisor.pid("one"))
    await supervisor.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel ends children with their parent")
def test_a_parent_killed_hard_leaves_no_child(tmp_path: Path) -> None:
    code = f"""
import asyncio
from pathlib import Path
from stream.supervise import BACKOFF_WINDOW_SECONDS, DEATHS_BEFORE_BACKOFF, Child, Supervisor
async def main():
    supervisor = Supervisor(Path({str(tmp_path / "log")!r}), print)
    for name in ("one", "two"):
        supervisor.start(Child(name, {SLEEPER!r}))
    while not (supervisor.pid("one") and supervisor.pid("two")):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    print(supervisor.pid("one"), supervisor.pid("two"), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
        pids = [int(word) for word in line.split()]
        assert len(pids) == 2 and all(lives(pid) for pid in pids)
        parent.kill()
    asyncio.run(until(lambda: not any(lives(pid) for pid in pids), 2.0))
