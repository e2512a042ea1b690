"""The keys with which platforms ask over HTTP: each speaks for one platform; the database holds only its hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.alert import CALL_PLATFORM
from alerts.intake.schema import checked_name, explain
from alerts.store import audit
from alerts.store.tables import api_keys

KEY_BYTES = 32
PREFIX = "tw_"
"""By it a key that was left lying somewhere is known for what it is."""


class KeyProblem(ValueError):
    """A key cannot be made or revoked as asked; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is known to the platform alone."""

    id: int
    platform: str
    note: str
    created_at: float
    created_by: str
    revoked_at: float | None


def hash_of(key: str) -> bytes:
    """Return what the database holds of a key: a plain hash is enough, nobody can guess towards a random key."""
    return hashlib.sha256(key.encode()).digest()


async def add(connection: AsyncConnection, platform: str, note: str, *, who: str, now: float) -> tuple[int, str]:
    """Make a key for a platform; return (its number, the key, which is told this once). Raises KeyProblem."""
    try:
        checked_name(platform)
    except ValidationError as error:
        raise KeyProblem(f"platform {platform!r}: {explain(error)}; write for example openim") from None
    if platform == CALL_PLATFORM or platform != platform.strip():
        raise KeyProblem(f"platform {platform!r} is not one of a chat; write for example openim")
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    row = {"platform": platform, "note": note, "created_at": now, "created_by": who, "key_sha256": hash_of(key)}
    number = (await connection.execute(api_keys.insert().values(row).returning(api_keys.c.id))).scalar_one()
    detail = {"platform": platform, "note": note}
    await audit.record(connection, who=who, what="key.add", object=f"key:{number}", detail=detail, now=now)
    return int(number), key


async def revoke(connection: AsyncConnection, number: int, *, who: str, now: float) -> ApiKey:
    """End a key, and return what was known of it. Raises KeyProblem where there is none to end."""
    c = api_keys.c
    ended = update(api_keys).where(c.id == number, c.revoked_at.is_(None)).values(revoked_at=now).returning(c.id)
    if (await connection.execute(ended)).one_or_none() is None:
        raise KeyProblem(f"there is no key {number}, or it was revoked before; see: tonewatch key list")
    await audit.record(connection, who=who, what="key.revoke", object=f"key:{number}", now=now)
    return next(key for key in await every(connection) if key.id == number)


async def every(connection: AsyncConnection) -> Sequence[ApiKey]:
    """Return all keys that ever were, the oldest first."""
    c = api_keys.c
    query = select(c.id, c.platform, c.note, c.created_at, c.created_by, c.revoked_at).order_by(c.id)
    return [ApiKey(**row) for row in (await connection.execute(query)).mappings()]


async def valid(connection: AsyncConnection) -> dict[bytes, str]:
    """Return the platform by hash of every key that may be used."""
    c = api_keys.c
    rows = await connection.execute(select(c.key_sha256, c.platform).where(c.revoked_at.is_(None)))
    return {bytes(row.key_sha256): row.platform for row in rows}
