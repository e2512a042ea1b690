from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.policy import PolicyKeeper, import_policy, read_files
from alerts.store.database import reading
from alerts.store.tables import audit
from tests.builders_alerts import database
from tests.builders_web import NOW, PEOPLE, add_people, logged_in, outsider, running

FROG = {"phrase": "青蛙*王子", "category": "promise", "why": "complaint 17"}
"""What no shipped pack has."""
MAY_READ = {"super-a", "super-b", "qa-a", "lead-all", "admin", "nobody"}
MAY_CHANGE = {"lead-all", "admin"}


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url) as opened:
        yield opened


async def shipped(engine: AsyncEngine) -> None:
    await import_policy(engine, read_files(), who="tonewatch", why="shipped", now=NOW - 60)


async def test_a_phrase_added_is_in_force_and_in_the_history_with_who_when_and_why(engine: AsyncEngine) -> None:
    await shipped(engine)
    await add_people(engine, "lead-all")
    async with running(engine) as app, logged_in(app, "lead-all") as client:
        added = await client.post("/v1/lexicon/phrases", json=FROG)
        assert added.status_code == 201, added.text
        phrase = added.json()["phrase"]
        assert (added.json()["version"], phrase["id"], phrase["action"]) == (2, "promise.zh.9001", "block")
        policies = PolicyKeeper(engine)
        await policies.refresh()
        assert [hit.phrase_id for hit in policies.policy.phrases.read("青蛙是王子", "agent").hits] == [phrase["id"]]
        found = (await client.get("/v1/policy", params={"q": "青蛙"})).json()
        assert (found["version"], found["total"], found["phrases"][0]["pack"]) == (2, 1, "own.toml")
        (newest, first) = (await client.get("/v1/policy/history")).json()["items"]
        assert newest == {
            "version": 2, "at": NOW, "who": "lead-all", "why": "complaint 17", "added": 1, "removed": 0, "changed": 0
        }  # fmt: skip
        assert (first["version"], first["who"]) == (1, "tonewatch")
        gone = await client.delete(f"/v1/lexicon/phrases/{phrase['id']}", params={"why": "a misunderstanding"})
        assert (gone.status_code, gone.json()["version"]) == (200, 3)
        again = await client.delete(f"/v1/lexicon/phrases/{phrase['id']}", params={"why": "a misunderstanding"})
        assert again.status_code == 404
    async with reading(engine) as connection:
        noted = (await connection.execute(select(audit.c.who, audit.c.what, audit.c.object))).all()
    told = [(row.who, row.what, row.object) for row in noted if row.what.startswith("phrase.")]
    assert told == [
        ("lead-all", "phrase.add", "phrase:青蛙*王子"),
        ("lead-all", "phrase.remove", "phrase:promise.zh.9001"),
    ]


async def test_what_is_wrong_with_a_phrase_is_said_and_changes_nothing(engine: AsyncEngine) -> None:
    await shipped(engine)
    await add_people(engine, "lead-all")
    async with running(engine) as app, logged_in(app, "lead-all") as client:
        for body, status, words in (
            ({**FROG, "phrase": "。。"}, 422, "letter"),
            ({**FROG, "category": "No Such"}, 422, "category"),
            ({**FROG, "severity": "huge"}, 422, "severity"),
            ({**FROG, "why": ""}, 422, "why"),
            ({**FROG, "version": 7}, 409, "policy 1 is in force and no longer 7"),
            ({**FROG, "phrase": "骗子"}, 409, "is in force already as"),
        ):
            answer = await client.post("/v1/lexicon/phrases", json=body)
            assert answer.status_code == status and words in answer.text, answer.text
        assert (await client.get("/v1/policy")).json()["version"] == 1


@pytest.mark.parametrize("login", PEOPLE)
async def test_who_may_read_and_who_may_change(engine: AsyncEngine, login: str) -> None:
    await shipped(engine)
    await add_people(engine, login)
    async with running(engine) as app, logged_in(app, login) as client:
        for path in ("/v1/policy", "/v1/policy/history"):
            assert (await client.get(path)).status_code == (200 if login in MAY_READ else 403)
        added = await client.post("/v1/lexicon/phrases", json=FROG)
        assert added.status_code == (201 if login in MAY_CHANGE else 403)
        gone = await client.delete("/v1/lexicon/phrases/abuse.zh.001", params={"why": "to try"})
        assert gone.status_code in ({200, 404} if login in MAY_CHANGE else {403})


async def test_strangers_and_other_pages_change_nothing(engine: AsyncEngine) -> None:
    await shipped(engine)
    await add_people(engine, "lead-all")
    async with running(engine) as app:
        async with outsider(app) as client:
            assert (await client.get("/v1/policy")).status_code == 401
            assert (await client.post("/v1/lexicon/phrases", json=FROG)).status_code == 401
        async with logged_in(app, "lead-all") as client:
            del client.headers["X-CSRF-Token"]
            assert (await client.post("/v1/lexicon/phrases", json=FROG)).status_code == 403
            answer = await client.get("/v1/policy")
            assert (answer.json()["version"], answer.headers["Cache-Control"]) == (1, "no-store")
