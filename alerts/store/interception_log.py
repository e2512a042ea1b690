"""The interception log as QA reads it: interceptions and violations in one list, filtered, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, get_args

import orjson
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Subquery,
    Text,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope
from alerts.masking import mask_text
from alerts.store.scope import within
from alerts.store.tables import LARGEST_SERIAL, hits, interceptions, messages, violations

Kind = Literal["interception", "violation"]

_SHARED = (
    "id", "message", "platform", "conversation_id", "agent_id", "agent_name", "team", "category", "severity", "phrases",
    "attempt", "policy_version", "at", "review", "review_reason", "reviewed_by", "reviewed_at",
)  # fmt: skip


MOST_LOOKED_THROUGH = 5000
"""Texts that one search for digits looks through."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What of the log is asked for; None leaves a field open."""

    since: float | None = None
    until: float | None = None
    team: str | None = None
    agent: str | None = None
    category: str | None = None
    phrase: str | None = None
    outcome: str | None = None
    review: str | None = None
    platform: str | None = None
    q: str | None = None
    """Words of the text, found wherever they stand; a Chinese word of two characters as well."""
    hidden: frozenset[int] = frozenset()
    """Message rows in which these words stand only in what is masked; see `without_masked`."""


class SearchError(ValueError):
    """Too much was found to look through; the message says what to write instead."""


class CursorError(ValueError):
    """A cursor that this log did not give."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a row of the log, as `next` gives it and `before` takes it."""

    at: float
    kind: str
    id: int

    def __str__(self) -> str:
        return f"{self.at!r}~{self.kind}~{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` wrote. Raises CursorError."""
        try:
            at, kind, number = text.split("~")
            cursor = cls(float(at), kind, int(number))
            if not isfinite(cursor.at) or kind not in get_args(Kind) or not 0 <= cursor.id <= LARGEST_SERIAL:
                raise ValueError
            return cursor
        except ValueError:
            raise CursorError(
                f"before is {text[:80]!r}; write what `next` of the page before said, or leave it out"
            ) from None


def findings() -> Subquery:
    """Return interceptions and violations as one table with `kind` and `outcome`."""
    c = interceptions.c
    stopped = select(
        literal("interception").label("kind"),
        *[c[name] for name in _SHARED],
        c.intercepted_by,
        case(
            (c.intercepted_by == "platform", "platform"),
            (c.action == "mask", "replaced"),
            (c.action == "review", "held"),
            else_="blocked",
        ).label("outcome"),
    )
    delivered = select(
        literal("violation").label("kind"),
        *[violations.c[name] for name in _SHARED],
        null().cast(Text).label("intercepted_by"),
        literal("delivered").label("outcome"),
    )
    return union_all(stopped, delivered).subquery("findings")


def matching(found: Subquery, scope: Scope, wanted: LogFilter) -> ColumnElement[bool]:
    """Return the condition on `findings()` joined to `messages`: what `scope` sees of what is wanted."""
    c = found.c
    parts: list[ColumnElement[bool]] = [within(scope, found)]
    if wanted.since is not None:
        parts.append(c.at >= wanted.since)
    if wanted.until is not None:
        parts.append(c.at < wanted.until)
    equal = {
        c.team: wanted.team,
        c.agent_id: wanted.agent,
        c.category: wanted.category,
        c.outcome: wanted.outcome,
        c.review: wanted.review,
        c.platform: wanted.platform,
    }
    parts += [column == value for column, value in equal.items() if value is not None]
    if wanted.phrase is not None:
        # Under a name of its own: a query that counts hits would take its own hits for these.
        those = hits.alias("wanted_hits").c
        parts.append(exists().where(those.message == c.message, those.phrase_id == wanted.phrase))
    if wanted.q:
        parts.append(messages.c.text.icontains(wanted.q, autoescape=True))
    if wanted.hidden:
        parts.append(c.message.not_in(sorted(wanted.hidden)))
    return and_(*parts)


async def without_masked(connection: AsyncConnection, scope: Scope, wanted: LogFilter) -> LogFilter:
    """Return the filter for somebody who reads masked texts: a search must not tell what the mask hides.

    Otherwise a phone number could be guessed digit by digit. Raises SearchError.
    """
    if not wanted.q:
        return wanted
    found = findings()
    m = messages.c
    query = select(m.id, m.text).distinct().join_from(found, messages, found.c.message == m.id)
    query = query.where(matching(found, scope, wanted))
    if not any(char.isdigit() for char in wanted.q):
        # Letters are hidden in e-mail addresses only.
        query = query.where(or_(m.text.contains("@"), m.text.contains("\uff20")))
    rows = (await connection.execute(query.limit(MOST_LOOKED_THROUGH + 1))).all()
    if len(rows) > MOST_LOOKED_THROUGH:
        raise SearchError(f"{wanted.q!r} stands in too many texts; write more of it, or choose a shorter time")
    word = wanted.q.lower()
    return replace(wanted, hidden=frozenset(row.id for row in rows if word not in mask_text(row.text).lower()))


def _rows(found: Subquery) -> Select[Any]:
    """Return what a row of the log is made of."""
    m = messages.c
    return select(found, m.message_id, m.text, m.spans, m.verdict).join_from(found, messages, found.c.message == m.id)


def to_log_row(row: RowMapping) -> dict[str, Any]:
    """Return a row in the form that `alerts.finding.log_row` gives a new one; its text is as written, not masked."""
    body = {name: row[name] for name in _SHARED if name not in ("message", "reviewed_at")}
    spans = [[int(start), int(end), phrase] for start, end, phrase in row["spans"]]
    return body | {
        "kind": row["kind"],
        "message_id": row["message_id"],
        "text": row["text"],
        "spans": spans,
        "outcome": row["outcome"],
        "intercepted_by": row["intercepted_by"],
        "latency_ms": orjson.loads(row["verdict"])["latency_ms"],
    }


async def find_findings(
    connection: AsyncConnection, scope: Scope, wanted: LogFilter, limit: int, before: Cursor | None = None
) -> tuple[list[dict[str, Any]], Cursor | None]:
    """Return one page of the log, newest first, and where the next begins (None after the last)."""
    found = findings()
    c = found.c
    query = _rows(found).where(matching(found, scope, wanted)).order_by(c.at.desc(), c.kind, c.id.desc())
    if before is not None:
        same = and_(c.at == before.at, or_(c.kind > before.kind, and_(c.kind == before.kind, c.id < before.id)))
        query = query.where(or_(c.at < before.at, same))
    rows = (await connection.execute(query.limit(limit + 1))).mappings().all()
    page = [to_log_row(row) for row in rows[:limit]]
    last = page[-1] if len(rows) > limit else None
    return page, None if last is None else Cursor(last["at"], last["kind"], last["id"])


async def count_findings(connection: AsyncConnection, scope: Scope, wanted: LogFilter) -> int:
    """Return how many rows the whole list has."""
    found = findings()
    query = select(func.count()).select_from(found).join(messages, found.c.message == messages.c.id)
    return int((await connection.execute(query.where(matching(found, scope, wanted)))).scalar_one())


async def read_finding(connection: AsyncConnection, scope: Scope, kind: Kind, id_: int) -> dict[str, Any] | None:
    """Return one row of the log; None where it is not, or not for `scope` to see."""
    found = findings()
    query = _rows(found).where(found.c.kind == kind, found.c.id == id_, within(scope, found))
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else to_log_row(row)
