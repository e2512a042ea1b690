"""Opens the database: engines, and transactions that write or only read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from alerts.config import DatabaseConfig

BUSY_TIMEOUT_SECONDS = 5.0


def _driver_url(config: DatabaseConfig) -> URL:
    """Return the URL with its async driver, and with the password that was kept apart."""
    url = make_url(config.url)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    if config.password:
        url = url.set(password=config.password)
    return url.set(drivername="postgresql+asyncpg")


def open_engine(config: DatabaseConfig, pool_size: int = 5) -> AsyncEngine:
    """Return an engine; it connects when first used. Raises ModuleNotFoundError naming the extra to install."""
    url = _driver_url(config)
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    try:
        import asyncpg  # noqa: F401  (only to say which extra is missing)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "PostgreSQL needs the driver asyncpg; install it with: pip install 'tonewatch[postgres]'"
        ) from None
    return create_async_engine(url, pool_size=pool_size, max_overflow=5, pool_pre_ping=True)


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


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a transaction that writes, committed at the end of the block, rolled back on an exception."""
    async with engine.connect() as connection:
        connection = await connection.execution_options(writes=True)
        async with connection.begin():
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a transaction that only reads: one consistent view."""
    async with engine.connect() as connection, connection.begin():
        yield connection


def insert(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return the dialect's INSERT, which knows ON CONFLICT (both spell it alike)."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
