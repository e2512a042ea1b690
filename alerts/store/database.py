"""Opens the database: engines, and transactions that write or only read."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import URL, Connection, CursorResult, Engine, Executable, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from alerts.config import DatabaseConfig

BUSY_TIMEOUT_SECONDS = 5.0
IDLE_TIMEOUT_SECONDS = 5.0
"""PostgreSQL ends a transaction that says nothing for so long. Without it a worker that sleeps, or whose host is cut
off, keeps the rows of its conversations locked against the one that took over, for as long as it sleeps."""
PERMANENT = (DataError, IntegrityError)
"""What no retry mends: the batch is then taken apart, and what fails alone is poison. Not ProgrammingError: that is a
schema that was not upgraded, and the messages are good."""
PERMANENT_STATES = ("22", "54")
"""The same by class of SQLSTATE, a value that is refused and one too large for an index: of asyncpg's errors SQLAlchemy
gives these no class of their own, and a retry of them would hold the partition for ever."""
_QUOTED = re.compile(r"(query argument \$\d+:).*", re.DOTALL)
T = TypeVar("T")


def _json(value: Any) -> str:
    """Return a value as the JSON that both databases keep."""
    return orjson.dumps(value).decode()


_COMMON: dict[str, Any] = {
    "json_serializer": _json,
    "json_deserializer": orjson.loads,
    "hide_parameters": True,  # what customers wrote is in them, and errors are logged
}
# A plan that was made for a table with ten rows is kept for a table with a million: where conditions come and go each
# statement is planned for what it asks. To judge is the same few statements for ever, each by its keys: a plan with
# the index is right for any number of rows, and to make it each time was a fifth of what PostgreSQL did for a batch.
_PLANNED_ANEW = {"plan_cache_mode": "force_custom_plan"}
_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
# The connection used last is the warm one; in turns, each would fill a cache of its own.
_LAST_ONE_FIRST: dict[str, Any] = {"pool_use_lifo": True}
_DIRECT: WeakKeyDictionary[Engine, Engine] = WeakKeyDictionary()
"""Beside each async engine of SQLite one that works in the calling thread."""


def _driver_url(config: DatabaseConfig) -> URL:
    """Return the URL with its async driver, and with the password that was kept apart."""
    url = make_url(config.url)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    if config.password:
        url = url.set(password=config.password)
    return url.set(drivername="postgresql+asyncpg")


def open_engine(config: DatabaseConfig, pool_size: int = 5, *, tries_again: bool = False) -> AsyncEngine:
    """Return an engine; it connects when first used. Raises ModuleNotFoundError naming the extra to install.

    Before each transaction PostgreSQL is asked whether it is still there: three round trips, spared where `tries_again`
    says that who asks, the same few things for ever, does so anyway.
    """
    url = _driver_url(config)
    if url.get_backend_name() == "sqlite":
        pool = {} if url.database in (None, "", ":memory:") else _LAST_ONE_FIRST  # in memory there is but one
        engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **pool, **_COMMON)
        direct = create_engine(url.set(drivername="sqlite"), connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **_COMMON)
        for each, begin in ((engine.sync_engine, _begin_sqlite), (direct, _begin_asking_often)):
            event.listen(each, "connect", _prepare_sqlite)
            event.listen(each, "begin", begin)
        event.listen(engine.sync_engine, "engine_disposed", lambda _engine: direct.dispose())
        _DIRECT[engine.sync_engine] = direct
        return engine
    try:
        import asyncpg  # noqa: F401  (only to say which extra is missing)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "PostgreSQL needs the driver asyncpg; install it with: pip install 'tonewatch[postgres]'"
        ) from None
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=not tries_again,
        **_LAST_ONE_FIRST,
        connect_args={
            "server_settings": {
                "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_SECONDS:g}s",
                **(_PLANNED_ONCE if tries_again else _PLANNED_ANEW),
            }
        },
        **_COMMON,
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Set what a connection keeps: readers never wait for the writer, a committed row survives a power cut."""
    # The driver must not begin transactions of its own: it would take the write lock too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin: a writer takes the lock at once, so that it never has to give way after it has read."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_asking_often(connection: Connection) -> None:
    """Begin as `_begin_sqlite`, in a thread that may wait: every millisecond it asks for the lock.

    SQLite itself waits 1, 2, 5, 10, 15, 20 and then 25 ms and more: a lock that is held for 2 ms cost a message 40.
    """
    given_up_at = time.monotonic() + BUSY_TIMEOUT_SECONDS
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    while True:
        try:
            _begin_sqlite(connection)
            break
        except OperationalError as error:
            is_busy = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > given_up_at:
                raise
        time.sleep(0.001)
    connection.exec_driver_sql(f"PRAGMA busy_timeout={round(BUSY_TIMEOUT_SECONDS * 1000)}")


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a transaction that writes, committed at the end of the block, rolled back on an exception."""
    async with engine.connect() as connection:
        connection = await connection.execution_options(writes=True)
        async with connection.begin():
            yield connection


class _DirectConnection:
    """An SQLite connection as the store's functions use one; nothing is ever awaited for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute a statement at once."""
        return self._connection.execute(statement, parameters)


async def in_transaction(engine: AsyncEngine, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
    """Do `work` in a transaction that writes, and return what it returns; for what is done many times a second.

    On SQLite the whole of it runs in one thread: the async driver would change threads four times a statement,
    which costs more than the statement. `work` awaits nothing but `connection.execute`.
    """
    if engine.dialect.name != "sqlite":
        async with writing(engine) as connection:
            return await work(connection)

    def run() -> T:
        with _DIRECT[engine.sync_engine].connect().execution_options(writes=True) as connection, connection.begin():
            # The store's functions know only these two names of a connection.
            coroutine = work(cast(AsyncConnection, _DirectConnection(connection)))
            try:
                coroutine.send(None)
            except StopIteration as done:
                return cast(T, done.value)
            coroutine.close()
            raise RuntimeError("work in a transaction awaited something else than the database")

    return await asyncio.to_thread(run)


def said(error: BaseException) -> str:
    """Return what an error of the database says, without the argument that asyncpg quotes: it may be a text."""
    return _QUOTED.sub(r"\1 (not shown)", str(error))


def refusal_of(error: Exception) -> BaseException | None:
    """Return what the database says where it will refuse the same again, None where a retry may help."""
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.orig if isinstance(error, PERMANENT) or state.startswith(PERMANENT_STATES) else None


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a transaction that only reads: one consistent view."""
    async with engine.connect() as connection, connection.begin():
        yield connection


def insert(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return the dialect's INSERT, which knows ON CONFLICT (both spell it alike)."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
