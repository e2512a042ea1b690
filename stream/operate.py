"""What an operator does to the database by command: upgrade, accounts, API keys, policy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from alerts.policy import SHIPPED_PACKS, SHIPPED_RULES, import_policy, read_files
from alerts.policy_diff import Change, differences
from alerts.policy_edit import OWN_PACK
from alerts.policy_history import NOTHING, Version, has_policy, history, latest_version, policy_row
from alerts.retention import Purged, Retention, cutoffs, preview, purge
from alerts.store import api_keys
from alerts.store.database import open_engine, reading, writing
from alerts.store.schema import schema_state, upgrade
from stream.settings import Settings
from stream.worker import database_config


async def upgrade_database(settings: Settings) -> list[str]:
    """Bring the schema up to date and, where there is no policy yet, import the shipped one; return what was done."""
    engine = open_engine(database_config(settings))
    try:
        before, wanted = await schema_state(engine)
        await upgrade(engine)
        done = [f"schema {wanted}" + (" already" if before == wanted else f", was {before or 'empty'}")]
        if before is None:
            version, _ = await import_policy(
                engine, read_files(), who="tonewatch", why="shipped with this version", now=time.time()
            )
            done.append(f"policy {version}: the shipped rules and phrases")
        return done
    finally:
        await engine.dispose()


async def add_person(
    settings: Settings,
    login: str,
    name: str,
    password: str,
    roles: Sequence[str],
    teams: Sequence[str],
    agent_id: str | None,
) -> None:
    """Add a local account. Raises ValueError saying what is wrong."""
    from alerts.store.people import add_user

    engine = open_engine(database_config(settings))
    try:
        await add_user(engine, login, name, password, roles, teams, agent_id)
    finally:
        await engine.dispose()


def retention_of(settings: Settings) -> Retention:
    """Return how long each kind of data is kept."""
    return Retention(
        messages_days=settings.keep_messages_days,
        interceptions_days=settings.keep_interceptions_days,
        alerts_days=settings.keep_alerts_days,
        outbox_days=settings.keep_outbox_days,
        scores_days=settings.keep_scores_days,
        audit_days=settings.keep_audit_days,
    )


async def purge_database(settings: Settings, *, dry_run: bool, now: float) -> list[Purged]:
    """Delete what is too old and return how much of each kind; with `dry_run` only count it."""
    engine = open_engine(database_config(settings))
    try:
        retention = retention_of(settings)
        if dry_run:
            return await preview(engine, retention, now)
        rows: dict[str, int] = dict.fromkeys(cutoffs(retention, now), 0)
        async for purged in purge(engine, retention, now):
            rows[purged.kind] += purged.rows
        return [Purged(kind, rows[kind], before) for kind, before in cutoffs(retention, now).items()]
    finally:
        await engine.dispose()


async def load_policy(
    settings: Settings, rules: Path | None, packs: Path | None, *, who: str, why: str, now: float
) -> tuple[int, bool]:
    """Import files as the policy in force; return (version, whether it is new). The house's own phrases stay in it."""
    engine = open_engine(database_config(settings))
    try:
        body = read_files(rules or SHIPPED_RULES, packs or SHIPPED_PACKS)
        if await has_policy(engine):
            own = (await latest_version(engine))[1]["packs"].get(OWN_PACK)
            if own is not None:
                body = {**body, "packs": {OWN_PACK: own, **body["packs"]}}
        return await import_policy(engine, body, who=who, why=why, now=now)
    finally:
        await engine.dispose()


async def policy_history(settings: Settings, limit: int) -> Sequence[Version]:
    """Return the newest versions of the policy."""
    engine = open_engine(database_config(settings))
    try:
        return await history(engine, limit)
    finally:
        await engine.dispose()


async def policy_changes(settings: Settings, version: int, before: int | None) -> Sequence[Change]:
    """Return what a version changed against another, by default the one before it. Raises LookupError."""
    engine = open_engine(database_config(settings))
    try:
        new = await policy_row(engine, version)
        if before is None and version == 1:
            return differences(NOTHING, new.body)
        return differences((await policy_row(engine, before or version - 1)).body, new.body)
    finally:
        await engine.dispose()


async def add_key(settings: Settings, platform: str, note: str, *, who: str, now: float) -> tuple[int, str]:
    """Make an API key; return (its number, the key, which nobody can read again). Raises KeyProblem."""
    engine = open_engine(database_config(settings))
    try:
        async with writing(engine) as connection:
            return await api_keys.add(connection, platform, note, who=who, now=now)
    finally:
        await engine.dispose()


async def revoke_key(settings: Settings, number: int, *, who: str, now: float) -> api_keys.ApiKey:
    """End an API key. Raises KeyProblem."""
    engine = open_engine(database_config(settings))
    try:
        async with writing(engine) as connection:
            return await api_keys.revoke(connection, number, who=who, now=now)
    finally:
        await engine.dispose()


async def list_keys(settings: Settings) -> Sequence[api_keys.ApiKey]:
    """Return all API keys that ever were."""
    engine = open_engine(database_config(settings))
    try:
        async with reading(engine) as connection:
            return await api_keys.every(connection)
    finally:
        await engine.dispose()
