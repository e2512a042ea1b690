"""The versions of the policy: which is in force, who made each, when and why, and what it changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.policy_diff import differences
from alerts.store.database import reading
from alerts.store.tables import policies

NOTHING: Mapping[str, Any] = {"rules": "", "packs": {}}
"""What was in force before the first version."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version, and what became of entries since the one before."""

    version: int
    at: float
    """Unix time."""
    who: str
    why: str
    added: int
    removed: int
    changed: int
    """Phrases, rules and defaults; of the first version everything is added."""


async def latest_version(engine: AsyncEngine) -> tuple[int, Mapping[str, Any]]:
    """Return (version, body) of the policy in force. Raises LookupError where there is none."""
    async with reading(engine) as connection:
        query = select(policies.c.version, policies.c.body).order_by(policies.c.version.desc()).limit(1)
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise LookupError("the database holds no policy; run: tonewatch db upgrade")
    return int(row.version), row.body


async def policy_row(engine: AsyncEngine, version: int | None = None) -> Any:
    """Return the row of a version, of the newest where none is given: version, body, who, why, at. Or LookupError."""
    query = select(policies).order_by(policies.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(policies.c.version == version)
    async with reading(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        what = "no policy; run: tonewatch db upgrade" if version is None else f"no policy {version}"
        raise LookupError(f"the database holds {what}")
    return row


async def has_policy(engine: AsyncEngine) -> bool:
    """Whether the database is one of ours and has a policy."""
    async with reading(engine) as connection:
        if not await connection.run_sync(lambda plain: inspect(plain).has_table(policies.name)):
            return False
        return (await connection.execute(select(policies.c.version).limit(1))).first() is not None


async def history(engine: AsyncEngine, limit: int, before: int | None = None) -> Sequence[Version]:
    """Return the newest versions, those before `before` where it is given."""
    query = select(policies).order_by(policies.c.version.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(policies.c.version < before)
    async with reading(engine) as connection:
        rows = (await connection.execute(query)).all()
    return await asyncio.to_thread(_counted, rows, limit)


def _counted(rows: Sequence[Any], limit: int) -> list[Version]:
    found = []
    for number, row in enumerate(rows[:limit]):
        before = rows[number + 1].body if number + 1 < len(rows) else NOTHING
        count = Counter(change.how for change in differences(before, row.body))
        found.append(Version(row.version, row.at, row.who, row.why, count["added"], count["removed"], count["changed"]))
    return found
