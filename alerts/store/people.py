"""The people who may log in: local accounts with hashed passwords."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from pwdlib import PasswordHash
from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alerts.access import ROLES, User
from alerts.store import audit
from alerts.store.database import writing
from alerts.store.tables import users

SHORTEST_PASSWORD = 10
hasher = PasswordHash.recommended()
"""Argon2id with the library's current parameters."""


class UserError(ValueError):
    """A person cannot be added as asked; the message says what to write instead."""


def _checked(login: str, password: str, roles: Sequence[str], teams: Sequence[str], agent_id: str | None) -> None:
    """Raise UserError for what could never log in, or would see nothing."""
    if not login or login != login.strip() or len(login) > 200:
        raise UserError(f"login {login!r} is empty, too long or has spaces around it; write for example lin")
    if len(password) < SHORTEST_PASSWORD:
        raise UserError(f"the password of {login} is too short; write at least {SHORTEST_PASSWORD} characters")
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise UserError(f"roles of {login} are {', '.join(roles) or 'none'}; write some of {', '.join(ROLES)}")
    if "agent" in roles and not agent_id:
        raise UserError(f"{login} has the role agent and no agent id; write which agent that is")
    if {"supervisor", "qa", "qa_lead"}.intersection(roles) and not teams:
        raise UserError(f"{login} would see nobody; write the teams, or * for all of them")


async def add_user(
    engine: AsyncEngine,
    login: str,
    name: str,
    password: str,
    roles: Sequence[str],
    teams: Sequence[str] = (),
    agent_id: str | None = None,
    *,
    by: str = "command line",
) -> None:
    """Add a person who may log in, with an audit entry; raises UserError."""
    _checked(login, password, roles, teams, agent_id)
    now = time.time()
    row = {
        "login": login,
        "name": name or login,
        "password": hasher.hash(password),
        "roles": list(roles),
        "teams": list(teams),
        "agent_id": agent_id,
        "created_at": now,
    }
    try:
        async with writing(engine) as connection:
            await connection.execute(users.insert().values(**row))
            detail = {"roles": list(roles), "teams": list(teams), "agent_id": agent_id}
            await audit.record(connection, who=by, what="user.add", object=f"user:{login}", detail=detail, now=now)
    except IntegrityError:
        raise UserError(f"login {login} is taken; write another one") from None


def to_user(row: Row[Any]) -> User:
    """Turn a row that has the columns of `users` into a User."""
    return User(
        login=row.login, name=row.name, roles=tuple(row.roles), teams=tuple(row.teams), agent_id=row.agent_id
    )  # fmt: skip


async def find_login(connection: AsyncConnection, login: str) -> Row[Any] | None:
    """Return the row of somebody who is not disabled."""
    query = select(users).where(users.c.login == login, users.c.disabled.is_(False))
    return (await connection.execute(query)).one_or_none()


async def names_of(connection: AsyncConnection, logins: Collection[str]) -> dict[str, str]:
    """Return the names people go by, per login."""
    if not logins:
        return {}
    rows = await connection.execute(select(users.c.login, users.c.name).where(users.c.login.in_(logins)))
    return {row.login: row.name for row in rows}
