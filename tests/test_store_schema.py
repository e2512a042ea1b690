"""The migrations make exactly the tables of the model, on both databases, and make them once."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from alerts.config import DatabaseConfig
from alerts.store.database import open_engine, reading
from alerts.store.schema import schema_state, upgrade
from alerts.store.tables import metadata


async def test_migrations_and_model_agree(database_url: str) -> None:
    engine = open_engine(DatabaseConfig(database_url))
    try:
        assert (await schema_state(engine))[0] is None
        await upgrade(engine)
        await upgrade(engine)
        found, wanted = await schema_state(engine)
        assert found == wanted is not None

        def differences(connection: Connection) -> list[object]:
            return list(compare_metadata(MigrationContext.configure(connection), metadata))

        async with reading(engine) as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()
