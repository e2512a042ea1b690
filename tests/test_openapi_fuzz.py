from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings, strategies
from schemathesis import Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.policy import import_policy, read_files
from alerts.store.database import writing
from alerts.store.people import add_user
from alerts.store.sessions import find_session, open_session
from alerts.store.tables import users
from tests.builders_alerts import database
from tests.builders_web import NOW, PASSWORD, add_alert, served, two_teams, web_of
from tests.services import ROOT

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def _without_tuples(node: Any) -> Any:
    """The document with the places of a tuple left open: for answers to a body schemathesis 4 reads them as a list of
    schemas, which is none in OpenAPI 3.1, and stops there."""
    if isinstance(node, list):
        return [_without_tuples(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {name: _without_tuples(each) for name, each in node.items() if name != "prefixItems"}


# Another test holds the document to the code.
api = schemathesis.openapi.from_dict(_without_tuples(orjson.loads((ROOT / "docs" / "openapi.json").read_bytes())))
of_things = api.include(path_regex="{")
few = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,  # a password is checked for a tenth of a second
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
EVERY_ROLE = ["supervisor", "qa", "qa_lead", "admin", "auditor"]


@dataclass
class House:
    """A real server in a thread of its own, its database filled, and one person who may do everything."""

    address: str
    engine: AsyncEngine
    known: dict[str, list[Any]]
    """Path parameter -> what really is there."""
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event

    def session(self) -> dict[str, str]:
        """Cookie and CSRF token of a new login: the last request may have been the logout."""
        return asyncio.run_coroutine_threadsafe(self._open_session(), self.loop).result(10)

    async def _open_session(self) -> dict[str, str]:
        async with writing(self.engine) as connection:
            number = (await connection.execute(select(users.c.id).where(users.c.login == "all"))).scalar_one()
            token = await open_session(connection, number, NOW, 3600)
            session = await find_session(connection, token, NOW)
        assert session is not None
        return {"Cookie": f"tonewatch={token}", "X-CSRF-Token": session.csrf}


async def _serve(url: str, started: Future[House]) -> None:
    try:
        async with database(url) as engine:
            filled = await two_teams(engine)
            await import_policy(engine, read_files(), who="tonewatch", why="shipped", now=NOW - 60)
            known = {
                # Enough of them that some are still open after others were closed.
                "alert_id": [await add_alert(engine, f"more-{n}", "refunds", "a-1") for n in range(60)],
                "finding_id": filled["findings"] + filled["others"],
                "platform": ["openim"],
                "phrase_id": [f"abuse.zh.{number:03d}" for number in range(1, 20)],
                "conversation_id": ["c-9", "sales-c"],
            }
            await add_user(engine, "all", "All", PASSWORD, EVERY_ROLE, ["*"], None)
            async with served(engine) as (app, address):
                web_of(app).now = lambda: NOW
                stop = asyncio.Event()
                started.set_result(House(address, engine, known, asyncio.get_running_loop(), stop))
                await stop.wait()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'tonewatch.sqlite3'}"
    if request.param == "postgres":
        url = request.getfixturevalue("_postgres_server").create_database()
    started: Future[House] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(url, started)))
    thread.start()
    house = started.result(60)
    yield house
    house.loop.call_soon_threadsafe(house.stop.set)
    thread.join(20)


def ask(house: House, case: Case[Any], **headers: str) -> Response:
    return case.call_and_validate(base_url=f"http://{house.address}", headers=headers, checks=CHECKS)


@api.parametrize()
@few
def test_nobody_gets_only_what_is_documented(case: Case[Any], house: House) -> None:
    answer = ask(house, case)
    if case.path.startswith("/api/"):
        assert answer.status_code in (400, 401, 403, 405, 422, 429), "without a login there is nothing to see"


@api.parametrize()
@few
def test_whoever_may_do_everything_gets_only_what_is_documented(case: Case[Any], house: House) -> None:
    ask(house, case, **house.session())


@of_things.parametrize()
@of_things.given(pick=strategies.integers(0, 1000))
@few
def test_what_is_there_is_as_documented(case: Case[Any], house: House, pick: int) -> None:
    for name in set(case.path_parameters) & set(house.known):
        case.path_parameters[name] = house.known[name][pick % len(house.known[name])]
    ask(house, case, **house.session())
