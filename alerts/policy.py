"""The policy in force: phrases and rules of one version, kept in the database and compiled in every process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alerts.policy_cache import phrases_of
from alerts.rules import RuleSet, parse_rules
from alerts.store import audit
from alerts.store.database import insert, reading, writing
from alerts.store.many import POSTGRES
from alerts.store.tables import policies
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine

HERE = Path(__file__).parent
SHIPPED_RULES = HERE / "rules.toml"
SHIPPED_PACKS = HERE / "packs"

Body = Mapping[str, Any]
"""{"rules": TOML text, "packs": {name: TOML text}}"""

LOOK_EVERY_SECONDS = 0.25
"""How often a process asks for a newer version: who must compile it needs most of the two seconds that are promised."""

_LOCK = text("SELECT pg_advisory_xact_lock(7463220)")
"""One that makes a version waits for the other; SQLite has one writer anyway."""


class PolicyChangedError(ValueError):
    """Somebody else made a new version meanwhile."""


@dataclass(frozen=True, slots=True)
class Act:
    """What the audit log keeps of a change, beside who made it and why."""

    what: str
    object: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One version, compiled: swapped whole, never changed."""

    version: int
    phrases: PhraseEngine
    rules: RuleSet


def compiled(version: int, body: Body) -> Policy:
    """Compile a policy. Raises LexiconError or RuleError naming file, line and remedy. Takes up to seconds of CPU."""
    return Policy(
        version=version,
        phrases=phrases_of(body["packs"]),
        rules=parse_rules(body["rules"], "rules.toml"),
    )


def read_files(rules: Path = SHIPPED_RULES, packs: Path = SHIPPED_PACKS) -> Body:
    """Return the policy that stands in files: one TOML of rules and a folder of packs. Raises OSError."""
    return {
        "rules": rules.read_text(encoding="utf-8"),
        "packs": {path.name: path.read_text(encoding="utf-8") for path in sorted(packs.glob("*.toml"))},
    }


async def import_policy(
    engine: AsyncEngine,
    body: Body,
    *,
    who: str,
    why: str,
    now: float,
    based_on: int | None = None,
    act: Act | None = None,
) -> tuple[int, bool]:
    """Make `body` the policy in force and return (its version, whether it is a new one).

    It is compiled first: one with an error is refused whole and the old one stays in force. Raises PolicyChangedError
    where another version than `based_on` is in force by then, if it is given.
    """
    await asyncio.to_thread(compiled, 0, body)
    async with writing(engine) as connection:
        if connection.dialect.name == POSTGRES:
            await connection.execute(_LOCK)
        latest = await _latest(connection)
        if based_on is not None and (latest is None or latest.version != based_on):
            raise PolicyChangedError("the policy was changed by somebody else meanwhile; look at it and try again")
        if latest is not None and latest.body == dict(body):
            return int(latest.version), False
        # The hash is over the one before as well: a return to an older text is a new version, while two
        # processes that import the same text at the same time make one.
        before = latest.sha256 if latest is not None else ""
        sha256 = hashlib.sha256(before.encode() + orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
        row = {"sha256": sha256, "body": dict(body), "who": who, "why": why, "at": now}
        await connection.execute(insert(connection, policies).values(row).on_conflict_do_nothing())
        found = await connection.execute(select(policies.c.version).where(policies.c.sha256 == sha256))
        version = int(found.scalar_one())
        if act is not None:
            detail = {"why": why, "policy_version": version}
            await audit.record(
                connection, who=who, what=act.what, object=act.object, detail=detail, now=now, address=act.address
            )
        return version, True


async def _latest(connection: AsyncConnection) -> Any:
    """Return the newest row of `policies`, or None."""
    query = select(policies).order_by(policies.c.version.desc()).limit(1)
    return (await connection.execute(query)).one_or_none()


class PolicyKeeper:
    """Holds the policy in force for one process and follows the database."""

    def __init__(self, engine: AsyncEngine, taken_over: Callable[[Policy], None] = lambda policy: None) -> None:
        """`taken_over` is called with each policy that has come into force."""
        self._engine = engine
        self._taken_over = taken_over
        self._policy: Policy | None = None
        self._refreshing = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def is_loaded(self) -> bool:
        """Whether there is a policy to judge by."""
        return self._policy is not None

    @property
    def policy(self) -> Policy:
        """The policy in force. Raises LookupError before the first `refresh`."""
        if self._policy is None:
            raise LookupError("no policy is loaded yet")
        return self._policy

    async def refresh(self) -> bool:
        """Take over a newer version if there is one; return whether there was.

        Raises LookupError where the database holds none: `tonewatch db upgrade` puts the shipped one in.
        """
        # One after the other: of two at once the one that read the older version could be the last to be compiled.
        async with self._refreshing:
            return await self._refresh()

    async def _refresh(self) -> bool:
        async with reading(self._engine) as connection:
            query = select(policies.c.version).order_by(policies.c.version.desc()).limit(1)
            version = (await connection.execute(query)).scalar_one_or_none()
            if version is None:
                raise LookupError("the database holds no policy; run: tonewatch db upgrade")
            if self._policy is not None and version == self._policy.version:
                return False
            body = (await connection.execute(select(policies.c.body).where(policies.c.version == version))).scalar_one()
        # Aside, then swapped whole: the worker goes on judging by the old one meanwhile.
        self._policy = await asyncio.to_thread(compiled, version, body)
        await asyncio.to_thread(chinese_words, "")  # read beside the work, before the first hit asks
        self._taken_over(self._policy)
        return True

    def changed(self) -> None:
        """Tell `follow` that there is a newer version: made here, it is not waited for."""
        self._changed.set()

    async def follow(self, seconds: float = LOOK_EVERY_SECONDS) -> None:
        """Refresh for ever. Raises what `refresh` raises; the policy before stays in force."""
        while True:
            self._changed.clear()
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)
