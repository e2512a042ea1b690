"""Brings the schema to this version, and tells which one is there; only commands import it, for Alembic is slow."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.store.database import reading, writing

MIGRATIONS = Path(__file__).with_name("migrations")


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
