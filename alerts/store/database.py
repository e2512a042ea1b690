"""Opens the database: engines, transactions that write, and the schema's state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from alerts.config import DatabaseConfig

MIGRATIONS = Path(__file__).with_name("migrations")
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


def _alembic(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; there is no alembic.ini, the package carries its migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the schema to this version; does nothing where it is there already."""

    def run(connection: Connection) -> None:
        command.upgrade(_alembic(connection), "head")

    async with writing(engine) as connection:
        await connection.run_sync(run)


async def schema_state(engine: AsyncEngine) -> tuple[str | None, str | None]:
    """Return (revision in the database, revision of this version); None where there is none."""

    def current(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with reading(engine) as connection:
        found = await connection.run_sync(current)
    return found, ScriptDirectory.from_config(_alembic()).get_current_head()
