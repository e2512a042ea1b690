"""Who may see and do what: nobody anything, until a role and a team say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from alerts.alert import UNASSIGNED

Role = Literal["agent", "supervisor", "qa", "qa_lead", "admin", "auditor"]
Verb = Literal["own_alerts", "review", "unmask", "export", "see_all", "read_audit", "read_policy", "change_policy"]

ROLES: tuple[Role, ...] = get_args(Role)
VERBS: tuple[Verb, ...] = get_args(Verb)
ALL_TEAMS = "*"
"""As a team of a user: every team but `unassigned`, which is granted by its own name."""

_VERBS_OF: Mapping[str, frozenset[Verb]] = {
    "agent": frozenset(),
    "supervisor": frozenset({"own_alerts", "read_policy"}),
    "qa": frozenset({"review", "export", "read_policy"}),
    "qa_lead": frozenset({"review", "export", "unmask", "read_policy", "change_policy"}),
    "admin": frozenset(VERBS),
    "auditor": frozenset({"read_audit"}),
}
_ROLES_WITH_TEAMS = frozenset({"supervisor", "qa", "qa_lead"})


@dataclass(frozen=True, slots=True)
class User:
    """A person who has logged in."""

    login: str
    name: str
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    agent_id: str | None = None
    """The agent this person is; it widens what they see only together with the role `agent`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose conversations somebody sees; as it is made without arguments, nobody's."""

    all_teams: bool = False
    """Every team but `unassigned`."""
    teams: frozenset[str] = frozenset()
    agent_id: str | None = None


def scope_of(user: User) -> Scope:
    """Return what `user` sees: an unknown role adds nothing, teams count only with a role that has teams."""
    if "admin" in user.roles:
        return Scope(all_teams=True, teams=frozenset({UNASSIGNED}))
    named = frozenset(user.teams) if _ROLES_WITH_TEAMS.intersection(user.roles) else frozenset()
    return Scope(
        all_teams=ALL_TEAMS in named,
        teams=named - {ALL_TEAMS},
        agent_id=user.agent_id if "agent" in user.roles else None,
    )


def may(user: User, verb: Verb) -> bool:
    """Whether one of the user's roles allows `verb`; on what, the scope says."""
    return any(verb in _VERBS_OF.get(role, frozenset()) for role in user.roles)


def sees(scope: Scope, team: str | None, agent_id: str | None) -> bool:
    """Whether something of `team` and `agent_id` is in `scope`; no team counts as `unassigned`."""
    team = team or UNASSIGNED
    if team in scope.teams or (scope.all_teams and team != UNASSIGNED):
        return True
    return scope.agent_id is not None and scope.agent_id == agent_id
