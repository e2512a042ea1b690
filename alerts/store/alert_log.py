"""Alerts as people see and move them: what is open, what closed lately, who took which."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope
from alerts.alert import OPEN_STATES
from alerts.store import audit
from alerts.store.alerts import alert_body, told
from alerts.store.outbox import append
from alerts.store.scope import within
from alerts.store.tables import alerts

Verb = Literal["seen", "own", "resolve", "dismiss"]

MOST_ALERTS = 2000
"""That a page is sent at once, the newest first."""
_NEXT_STATE = {"seen": "seen", "own": "owned", "resolve": "resolved", "dismiss": "dismissed"}


class AlertNotFoundError(LookupError):
    """There is no such alert, or it is not for this person to see."""


class AlertClosedError(Exception):
    """The alert is closed, or has changed since it was looked at; the message says how."""


def _newest(scope: Scope, condition: ColumnElement[bool]) -> Select[Any]:
    """Select what `scope` sees of the alerts that fulfil `condition`, the newest first."""
    query = select(alerts).where(within(scope, alerts), condition)
    return query.order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(MOST_ALERTS)


async def open_alerts(connection: AsyncConnection, scope: Scope) -> list[dict[str, Any]]:
    """Return what nobody has closed."""
    rows = await connection.execute(_newest(scope, alerts.c.closed_at.is_(None)))
    return [alert_body(row) for row in rows]


async def recent_alerts(connection: AsyncConnection, scope: Scope, closed_after: float) -> list[dict[str, Any]]:
    """Return the open alerts and those that were closed after `closed_after` (Unix seconds)."""
    recent = or_(alerts.c.closed_at.is_(None), alerts.c.closed_at > closed_after)
    return [alert_body(row) for row in await connection.execute(_newest(scope, recent))]


async def alerts_of_conversation(
    connection: AsyncConnection, scope: Scope, platform: str, conversation_id: str
) -> list[dict[str, Any]]:
    """Return every alert of one conversation."""
    same = (alerts.c.platform == platform) & (alerts.c.conversation_id == conversation_id)
    return [alert_body(row) for row in await connection.execute(_newest(scope, same))]


async def move_alert(
    connection: AsyncConnection,
    scope: Scope,
    alert_id: int,
    verb: Verb,
    *,
    who: str,
    now: float,
    note: str | None = None,
    version: int | None = None,
    address: str | None = None,
) -> dict[str, Any]:
    """Do what a person wants done about an alert, as a new version, audited, and return how it stands then.

    `version` is the one that was looked at. Raises AlertNotFoundError and AlertClosedError.
    """
    query = select(alerts).where(alerts.c.id == alert_id, within(scope, alerts)).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise AlertNotFoundError
    if row.state not in OPEN_STATES:
        raise AlertClosedError(f"this alert is closed already: {row.state}")
    if version is not None and version != row.version:
        raise AlertClosedError(f"this alert is at version {row.version} by now, not {version}; look again")
    if verb == "seen" and row.state != "open":
        return alert_body(row)  # who owns it has seen it
    values: dict[str, Any] = {"state": _NEXT_STATE[verb], "version": row.version + 1, "changed_at": now}
    if note:
        values["note"] = note
    if verb == "own":
        values["owner"] = who
    if verb in ("resolve", "dismiss"):
        values |= {"closed_at": now, "ends_at": None, "owner": row.owner or who}
    changed = (
        await connection.execute(update(alerts).where(alerts.c.id == alert_id).values(**values).returning(alerts))
    ).one()
    detail = {"note": note, "from": row.state, "owner_before": row.owner, "version": changed.version}
    await audit.record(
        connection, who=who, what=f"alert.{verb}", object=f"alert:{alert_id}", detail=detail, now=now, address=address
    )
    await append(connection, [told(changed)])
    return alert_body(changed)
