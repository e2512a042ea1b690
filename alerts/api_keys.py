"""The keys in force for one process: asked without the database, so that its outage refuses nobody who may ask."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.store.api_keys import hash_of, valid
from alerts.store.database import reading

EVERY_SECONDS = 1.0


class KeyKeeper:
    """Follows the table of keys; a key that was revoked is refused within about a second."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._platforms: dict[bytes, str] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the keys are known; until then nobody is let in."""
        return self._platforms is not None

    def platform_of(self, key: str) -> str | None:
        """Return the platform that a key speaks for, None where it is no key."""
        # A look-up by hash tells nothing by its time: nobody can choose a key by its hash.
        return (self._platforms or {}).get(hash_of(key))

    async def refresh(self) -> None:
        """Read the keys anew. Raises what the database raises; those known before then stay in force."""
        async with reading(self._engine) as connection:
            self._platforms = await valid(connection)

    async def follow(self) -> None:
        """Refresh for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(EVERY_SECONDS)
