"""Everything at once on one machine: broker, workers, pages and a contact centre that talks, until it is stopped."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from stream.embedded import EmbeddedBroker
from stream.operate import add_person, upgrade_database
from stream.settings import PREFIX, Settings
from stream.supervise import Child, Supervisor

PARTITIONS = 4
SESSION_TIMEOUT_SECONDS = 3.0
"""The mock broker lets a joining member wait for the session timeout less 1 s: the shortest there may be."""
READY_SECONDS = 120.0
"""How long all processes together may take; on a slow machine Faust alone imports for several seconds."""
PASSWORD_BYTES = 9

Say = Callable[[str], None]


class DemoError(RuntimeError):
    """Why the demo cannot run, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a demo keeps its files."""

    scratch: Path
    """Gone with the demo; our processes' temporary folder too."""
    data: Path | None
    """Given by the user: database and log stay."""

    @property
    def database(self) -> str:
        """The database's URL."""
        return f"sqlite:///{(self.data or self.scratch) / 'tonewatch.sqlite3'}"

    @property
    def log(self) -> Path:
        """What all children say."""
        return (self.data or self.scratch) / "demo.log"


def demo(*, port: int = 8400, data: Path | None = None, ready_file: Path | None = None, seed: int = 1,
         agents: int = 10) -> int:  # fmt: skip
    """Run the demo until Ctrl-C or SIGTERM and return the exit code; must be called in the main thread.

    `port` is the pages', 0 picks a free one. `data` keeps the database, a temporary folder is deleted at the end.
    `ready_file` gets {"web", "kafka", "database", "user", "password"} as JSON once all is up.
    """
    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    if ready_file is not None:
        # One of a demo that was killed hard must not be taken for ours.
        ready_file.unlink(missing_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="tonewatch-demo-"))
    try:
        if data is not None:
            data.mkdir(parents=True, exist_ok=True)
        place = Place(scratch, data.resolve() if data is not None else None)
        return asyncio.run(_run(place, port, ready_file, seed, agents, say))
    except (DemoError, OSError, ValueError, RuntimeError) as error:
        say(f"the demo cannot run: {error}")
        return 1
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)


async def _run(place: Place, port: int, ready_file: Path | None, seed: int, agents: int, say: Say) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = _free_port(port)
    settings = Settings(
        kafka_embedded=True,
        partitions=PARTITIONS,
        session_timeout_seconds=SESSION_TIMEOUT_SECONDS,
        database=place.database,
        web_port=port,
    )
    broker = EmbeddedBroker.for_settings(settings)
    supervisor = Supervisor(place.log, say)
    up = asyncio.create_task(_start(place, settings, broker, supervisor, ready_file, seed, agents, say))
    try:
        while not stop.is_set():
            await asyncio.sleep(0.1)
            if up.done():
                up.result()
            if broker.bootstrap and _has_ended(broker.pid):
                raise DemoError("the broker in memory has ended, and everything in it is gone; start the demo again")
        say("stopping …")
        return 0
    finally:
        up.cancel()
        await asyncio.wait([up])
        await supervisor.stop()
        await asyncio.to_thread(broker.stop)


async def _start(
    place: Place, settings: Settings, broker: EmbeddedBroker, supervisor: Supervisor, ready_file: Path | None,
    seed: int, agents: int, say: Say,
) -> None:  # fmt: skip
    """Bring up one after the other; return once the contact centre talks."""
    say("Tonewatch demo: broker in memory, workers, pages and a made-up contact centre …")
    # In this thread: the broker's process must not outlive it, and starting it takes a blink.
    kafka = broker.start()
    await upgrade_database(settings)
    user, password = await _login(settings)
    health = {kind: _free_port(0) for kind in ("chat", "audio")}
    environment = {
        "KAFKA": kafka,
        "KAFKA_EMBEDDED": "true",
        "PARTITIONS": str(settings.partitions),
        "SESSION_TIMEOUT_SECONDS": str(settings.session_timeout_seconds),
        "DATABASE": settings.database,
    }
    base = {PREFIX + name: value for name, value in environment.items()} | {"TMPDIR": str(place.scratch)}

    def child(name: str, *words: str, **more: str) -> None:
        env = base | {PREFIX + key.upper(): value for key, value in more.items()}
        supervisor.start(Child(name, [sys.executable, "-m", "stream.cli", *words], env))

    for kind, health_port in health.items():
        child(f"worker-{kind}", "worker", kind, worker_id=f"demo-{kind}", health_port=str(health_port))
    child("web", "web", web_host=settings.web_host, web_port=str(settings.web_port))
    web = f"http://{settings.web_host}:{settings.web_port}"
    began = time.monotonic()
    for name, address in (*((f"worker-{k}", f"http://127.0.0.1:{p}") for k, p in health.items()), ("web", web)):
        await _until_ready(name, f"{address}/readyz", began, place)
    child("contact-centre", "simulate", "--seed", str(seed), "--agents", str(agents))
    say(f"\n  {web}\n  login {user}, password {password} (for this demo only)\n")
    left = f"; the database and the log stay in {place.data}." if place.data else " and leaves nothing."
    say("The first alerts appear within a minute. Ctrl-C stops everything" + left)
    if ready_file is not None:
        ready = {"web": web, "kafka": kafka, "database": settings.database, "user": user, "password": password}
        # Whole or not there: whoever waits for the file reads it at once. It holds a password: for its owner only.
        beside = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(ready, file)
        beside.replace(ready_file)


async def _login(settings: Settings) -> tuple[str, str]:
    """Make a login of this demo's own, with the rights to see and do everything; (user, password)."""
    # Of its own: with --data an earlier demo's users are in the database, and their passwords are not known any more.
    user = f"demo-{secrets.token_hex(2)}"
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    await add_person(settings, user, "Demo", password, ["admin", "supervisor"], ["*"], None)
    return user, password


def _has_ended(pid: int) -> bool:
    """Whether a child of ours has ended; it is not waited for, that is its starter's business."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


async def _until_ready(name: str, address: str, began: float, place: Place) -> None:
    why = "it does not answer yet"
    while time.monotonic() - began < READY_SECONDS:
        try:
            await asyncio.to_thread(_get, address)
            return
        except urllib.error.HTTPError as error:
            why = error.read(500).decode("utf-8", "replace").strip()
        except OSError:
            pass
        await asyncio.sleep(0.1)
    raise DemoError(
        f"{name} was not ready within {READY_SECONDS:g} s: {why}. Its last words:\n{_tail(place.log, name)}"
    )


def _get(address: str) -> None:
    # Without a proxy: this is our own machine, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=2):
        pass


def _tail(log: Path, name: str) -> str:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith(f"[{name}]")]
    return "\n".join(lines[-10:]) or "(none)"


def _free_port(port: int) -> int:
    """The port itself where it is free, any free one for 0. Raises DemoError where it is taken.

    Chosen here and not by the child: one that is restarted must come back at the same address.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise DemoError(f"port {port} is taken; write another one, or --port 0 for any free one") from None
        return int(probe.getsockname()[1])
