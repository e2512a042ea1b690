"""The one place where what somebody may see becomes SQL: every query a person starts goes through it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, FromClause, false, or_

from alerts.access import Scope
from alerts.alert import UNASSIGNED


def within(scope: Scope, table: FromClause) -> ColumnElement[bool]:
    """Return the condition that keeps the rows of `table` which `scope` sees; `alerts.access.sees` in SQL.

    Raises ValueError for a table without `team` and `agent_id`: such a table is reached through its conversation.
    """
    if "team" not in table.c or "agent_id" not in table.c:
        raise ValueError(f"{table} has no team and agent_id; join it to conversations and scope that instead")
    team, agent_id = table.c.team, table.c.agent_id
    allowed: list[ColumnElement[bool]] = []
    if scope.all_teams:
        allowed.append(team != UNASSIGNED)
    if scope.teams:
        allowed.append(team.in_(sorted(scope.teams)))
    if scope.agent_id is not None:
        allowed.append(agent_id == scope.agent_id)
    return or_(false(), *allowed)
