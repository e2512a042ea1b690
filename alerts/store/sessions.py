"""Logins under way: the browser holds a random token, the database only its hash."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import User
from alerts.store.people import to_user
from alerts.store.tables import sessions, users

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """Who is behind a token, and the second token that unsafe requests must show."""

    user: User
    csrf: str
    expires_at: float


def _hash(token: str) -> bytes:
    """A plain hash is enough: the token is random, nobody can guess towards it."""
    return hashlib.sha256(token.encode()).digest()


async def open_session(connection: AsyncConnection, user_id: int, now: float, seconds: float) -> str:
    """Begin a session and return its token, which is kept nowhere else; ended sessions are swept out."""
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await connection.execute(
        sessions.insert().values(
            token_sha256=_hash(token),
            user=user_id,
            csrf=secrets.token_urlsafe(TOKEN_BYTES),
            created_at=now,
            expires_at=now + seconds,
        )
    )
    return token


async def find_session(connection: AsyncConnection, token: str, now: float) -> Session | None:
    """Return the session of `token`; None where it is unknown, over, or its person disabled."""
    query = (
        select(users, sessions.c.csrf, sessions.c.expires_at)
        .join_from(sessions, users, sessions.c.user == users.c.id)
        .where(sessions.c.token_sha256 == _hash(token), sessions.c.expires_at > now, users.c.disabled.is_(False))
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Session(user=to_user(row), csrf=row.csrf, expires_at=row.expires_at)


async def close_session(connection: AsyncConnection, token: str) -> None:
    """End a session; one that is over already is no error."""
    await connection.execute(delete(sessions).where(sessions.c.token_sha256 == _hash(token)))
