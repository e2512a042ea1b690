from __future__ import annotations

import itertools

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert, select

from alerts.access import ROLES, VERBS, Role, Scope, User, may, scope_of, sees
from alerts.alert import UNASSIGNED
from alerts.store.scope import within
from alerts.store.tables import messages

SEEN_BY = [
    # roles, teams, agent id of the user, (team, agent) pairs that are seen of PAIRS
    ((), ("refunds",), None, set()),
    (("supervisor",), (), None, set()),
    (("supervisor",), ("refunds",), None, {("refunds", "a-1"), ("refunds", "a-2")}),
    (("qa",), ("refunds", "sales"), None, {("refunds", "a-1"), ("refunds", "a-2"), ("sales", "a-3")}),
    (("qa_lead",), ("*",), None, {("refunds", "a-1"), ("refunds", "a-2"), ("sales", "a-3")}),
    (("qa",), ("*", UNASSIGNED), None, {("refunds", "a-1"), ("refunds", "a-2"), ("sales", "a-3"), (UNASSIGNED, None)}),
    (("agent",), ("refunds",), "a-1", {("refunds", "a-1")}),
    (("agent",), (), None, set()),  # no agent id is not "the conversations without an agent"
    (("supervisor",), ("sales",), "a-1", {("sales", "a-3")}),
    (("agent", "supervisor"), ("sales",), "a-1", {("refunds", "a-1"), ("sales", "a-3")}),
    (("auditor",), ("*",), None, set()),
    (("boss",), ("*",), "a-1", set()),
    (("admin",), (), None, {("refunds", "a-1"), ("refunds", "a-2"), ("sales", "a-3"), (UNASSIGNED, None)}),
]
PAIRS = [("refunds", "a-1"), ("refunds", "a-2"), ("sales", "a-3"), (UNASSIGNED, None)]


def _user(roles: tuple[str, ...], teams: tuple[str, ...], agent_id: str | None) -> User:
    return User("u", "U", roles, teams, agent_id)


@pytest.mark.parametrize(("roles", "teams", "agent_id", "seen"), SEEN_BY)
def test_who_sees_whom(
    roles: tuple[str, ...], teams: tuple[str, ...], agent_id: str | None, seen: set[tuple[str, str | None]]
) -> None:
    scope = scope_of(_user(roles, teams, agent_id))
    assert {pair for pair in PAIRS if sees(scope, *pair)} == seen


def test_the_query_layer_sees_what_the_hub_sees() -> None:
    # Two places decide who sees what, one for pushed items and one in SQL: they must never differ.
    engine = create_engine("sqlite://")
    pairs = [*PAIRS, ("refunds", None), (UNASSIGNED, "a-1"), ("*", "a-9")]
    metadata = MetaData()
    table = Table("rows", metadata, Column("id", Integer), Column("team", Text), Column("agent_id", Text))
    metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"id": i, "team": team, "agent_id": agent} for i, (team, agent) in enumerate(pairs)]
        connection.execute(insert(table), rows)
        teams = [(), ("refunds",), ("*",), (UNASSIGNED,), ("*", UNASSIGNED, "sales")]
        for roles, of, agent in itertools.product([(), *((role,) for role in ROLES)], teams, (None, "a-1")):
            scope = scope_of(_user(roles, of, agent))
            found = {row.id for row in connection.execute(select(table.c.id).where(within(scope, table)))}
            assert found == {i for i, pair in enumerate(pairs) if sees(scope, *pair)}, (roles, of, agent)
    engine.dispose()


def test_a_table_without_a_team_cannot_be_scoped() -> None:
    with pytest.raises(ValueError, match="join it to conversations"):
        within(Scope(all_teams=True), messages)


def test_something_without_a_team_is_unassigned() -> None:
    assert sees(Scope(teams=frozenset({UNASSIGNED})), None, None)
    assert not sees(Scope(all_teams=True), None, None)


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("agent", set()),
        ("supervisor", {"own_alerts", "read_policy"}),
        ("qa", {"review", "export", "read_policy"}),
        ("qa_lead", {"review", "export", "unmask", "read_policy", "change_policy"}),
        ("admin", set(VERBS)),
        ("auditor", {"read_audit"}),
    ],
)
def test_what_a_role_may_do(role: Role, verbs: set[str]) -> None:
    user = _user((role,), (), None)
    assert {verb for verb in VERBS if may(user, verb)} == verbs


def test_nobody_may_do_anything_by_default() -> None:
    assert not any(may(_user((), ("*",), "a-1"), verb) for verb in VERBS)
    assert not any(may(_user(("boss",), ("*",), "a-1"), verb) for verb in VERBS)
