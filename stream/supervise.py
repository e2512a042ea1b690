"""Keeps child processes alive: restarts one at once when it dies, and lets none outlive the parent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DEATHS_BEFORE_BACKOFF = 5
BACKOFF_WINDOW_SECONDS = 10.0
"""So many deaths in this time and the next restart waits: a process that cannot start must not burn a core."""
BACKOFF_SECONDS = (1.0, 2.0, 5.0)
STOP_SECONDS = 5.0
"""From SIGTERM to SIGKILL."""
LAST_WORDS_LINES = 20
LOG_BYTES = 20 * 1024 * 1024
LONGEST_LINE_BYTES = 1024 * 1024

_BAD_NEWS = re.compile(r"\b(ERROR|CRITICAL)\b")

# Runs before the program in the same process, so that it costs 20 ms and no second process. Asking the kernel to kill
# us with our parent holds after kill -9 too, which no handler of the parent's does. It is done here and not in a
# `preexec_fn`, which may deadlock where the parent has threads. The parent may have died before we asked: then go.
# Elsewhere than on Linux there is no such request, and only a parent that is killed hard leaves its children.
_GUARD = """
import os, sys
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the supervisor is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """Set on top of our own environment."""


class Supervisor:
    """Runs children, each watched by a task of the running loop.

    Their output goes to `log_file`, every line after the child's name; `say` is told lines of level ERROR and above,
    and the last lines of a child that died. Children run in sessions of their own: Ctrl-C in the terminal reaches
    only us, and we end them in order. Make it and start children in the main thread: on Linux a child is bound to
    the life of the thread that started it.
    """

    def __init__(self, log_file: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self._handler = logging.handlers.RotatingFileHandler(
            log_file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8"
        )
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = False

    def start(self, child: Child) -> None:
        """Start a child and keep it alive until `stop`. Raises ValueError where the name is taken."""
        if child.name in self._watchers:
            raise ValueError(f"there is a child called {child.name!r} already; give this one another name")
        self._watchers[child.name] = asyncio.create_task(self._watch(child), name=f"watch {child.name}")

    def pid(self, name: str) -> int | None:
        """The process id of a child, None while it is not running."""
        process = self._running.get(name)
        return process.pid if process is not None else None

    async def stop(self) -> None:
        """End all children: SIGTERM, and after 5 s SIGKILL. The later one was started, the earlier it is told."""
        self._stopping = True
        for process in reversed(list(self._running.values())):
            _signal_group(process, signal.SIGTERM)
        watchers = list(self._watchers.values())
        if watchers:
            _, still = await asyncio.wait(watchers, timeout=STOP_SECONDS)
            if still:
                for name, process in self._running.items():
                    self._say(f"{name} did not end within {STOP_SECONDS:g} s and is killed")
                    _signal_group(process, signal.SIGKILL)
                # A watcher that only waits to restart has nothing left to do.
                for task in still:
                    if task.get_name().removeprefix("watch ") not in self._running:
                        task.cancel()
                await asyncio.wait(still)
        self._watchers.clear()
        self._handler.close()

    async def _watch(self, child: Child) -> None:
        deaths: deque[float] = deque(maxlen=DEATHS_BEFORE_BACKOFF)
        waits = 0
        loop = asyncio.get_running_loop()
        while not self._stopping:
            try:
                code, last_words = await self._run_once(child)
            except OSError as error:  # no memory or no descriptors left: as good as a death
                code, last_words = None, f"cannot be started: {error.strerror}"
            if self._stopping:
                return
            self._say(f"{child.name} {last_words}")
            if code == -signal.SIGKILL:
                continue  # from outside: what cannot start ends by itself, and who waits for us is to wait no longer
            if not deaths or loop.time() - deaths[-1] > BACKOFF_WINDOW_SECONDS:
                waits = 0
            deaths.append(loop.time())
            too_often = len(deaths) == DEATHS_BEFORE_BACKOFF and deaths[-1] - deaths[0] < BACKOFF_WINDOW_SECONDS
            if too_often or waits:
                seconds = BACKOFF_SECONDS[min(waits, len(BACKOFF_SECONDS) - 1)]
                waits += 1
                self._say(f"{child.name} dies again and again; the next start is in {seconds:g} s")
                await asyncio.sleep(seconds)

    async def _run_once(self, child: Child) -> tuple[int, str]:
        """Run a child until it ends; its exit code, and how it ended with its last lines."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *child.argv),
            env={**os.environ, **child.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=LONGEST_LINE_BYTES,
        )
        self._running[child.name] = process
        try:
            if self._stopping:  # asked to stop between the two lines above
                _signal_group(process, signal.SIGTERM)
            last = await self._listen(child.name, process)
            code = await process.wait()
        except asyncio.CancelledError:
            _signal_group(process, signal.SIGKILL)
            await process.wait()
            raise
        finally:
            del self._running[child.name]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return code, "\n    ".join([f"{how} and is started again" + ("; its last lines:" if last else ""), *last])

    async def _listen(self, name: str, process: asyncio.subprocess.Process) -> list[str]:
        """Write a child's output to the log until it closes it; its last lines."""
        last: deque[str] = deque(maxlen=LAST_WORDS_LINES)
        assert process.stdout is not None
        while True:
            try:
                data = await process.stdout.readline()
            except ValueError:
                data = b"(a line of more than 1 MiB left out)\n"
            if not data:
                return list(last)
            line = data.decode("utf-8", "replace").rstrip()
            last.append(line)
            self._handler.emit(logging.LogRecord(name, logging.INFO, "", 0, f"[{name}] {line}", None, None))
            if _BAD_NEWS.search(line):
                self._say(f"[{name}] {line}")


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a child and whatever it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
