"""What is asked of table alerts at every batch, built once; see `alerts.store.many`."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Insert, Select, and_, bindparam, case, literal, or_, select

from alerts.alert import SEVERITIES, UNASSIGNED
from alerts.store.many import AnyInsert, among
from alerts.store.tables import alerts

KEY = (alerts.c.platform, alerts.c.conversation_id, alerts.c.rule_id)


@cache
def knowing(dialect: str) -> Select[Any]:
    """Lock the alerts of some keys that are open, or held at Unix time `since` or later."""
    c = alerts.c
    return (
        select(c.id, *KEY, c.closed_at, c.last_at)
        .where(among(dialect, KEY), or_(c.closed_at.is_(None), c.last_at >= bindparam("since")))
        .order_by(*KEY, c.id)
        .with_for_update()
    )


CONVERSATION = (alerts.c.platform, alerts.c.conversation_id)


@cache
def finding_nobodys(dialect: str) -> Select[Any]:
    """Find which of some conversations have alerts that no team is known for."""
    # Not by the index of teams: nobody's alerts may be all there ever were.
    return select(*CONVERSATION).where(among(dialect, CONVERSATION, "nobodys"), alerts.c.team + "" == UNASSIGNED)


def carrying_on(statement: AnyInsert) -> Insert:
    """Open an alert, or carry on the one that is open; returned is what changed."""
    c, new = alerts.c, statement.excluded
    later, graver = new.last_at > c.last_at, _rank(new.severity) > _rank(c.severity)
    was_nobodys = and_(c.team == UNASSIGNED, new.team != UNASSIGNED)
    return statement.on_conflict_do_update(
        index_elements=[c.platform, c.conversation_id, c.rule_id],
        index_where=c.closed_at.is_(None),
        set_={
            "severity": case((graver, new.severity), else_=c.severity),
            # A milder hit after a grave one carries the alert on; what is shown stays the grave one.
            "evidence": case((_rank(new.severity) >= _rank(c.severity), new.evidence), else_=c.evidence),
            "version": c.version + 1,
            "policy_version": new.policy_version,
            "changed_at": new.changed_at,
            "last_at": case((later, new.last_at), else_=c.last_at),
            "ends_at": case((or_(c.ends_at.is_(None), new.ends_at > c.ends_at), new.ends_at), else_=c.ends_at),
            **{name: case((was_nobodys, new[name]), else_=c[name]) for name in ("agent_id", "agent_name", "team")},
        },
        where=or_(later, graver),
    ).returning(alerts)


def _rank(severity: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a severity as a number that grows with it."""
    return case(*((severity == name, literal(rank)) for rank, name in enumerate(SEVERITIES)), else_=literal(0))
