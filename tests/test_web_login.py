from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.config import WebConfig
from alerts.store.database import reading, writing
from alerts.store.people import UserError, add_user, hasher
from alerts.store.tables import audit, sessions, users
from alerts.web.attempts import MOST_FAILURES, MOST_KEYS, WINDOW_SECONDS, LoginAttempts
from tests.builders_alerts import database
from tests.builders_web import NOW, PASSWORD, add_people, logged_in, outsider, running, web_of

GOOD = {"login": "super-a", "password": PASSWORD}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with database(f"sqlite:///{tmp_path / 'login.sqlite3'}") as opened:
        await add_people(opened, "super-a", "admin")
        yield opened


async def test_a_login_gives_a_cookie_that_scripts_cannot_read(engine: AsyncEngine) -> None:
    async with running(engine) as app, outsider(app) as client:
        answer = await client.post("/api/login", json=GOOD)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie and "Secure" not in cookie
        me = (await client.get("/api/me")).json()
        assert me == answer.json()
        assert (me["login"], me["roles"], me["teams"]) == ("super-a", ["supervisor"], ["refunds"])
        assert me["may"] == {
            "own_alerts": True, "review": False, "unmask": False, "export": False, "see_all": False,
            "read_audit": False, "read_policy": True, "change_policy": False,
        }  # fmt: skip


async def test_behind_https_the_cookie_belongs_to_this_host_only(engine: AsyncEngine) -> None:
    config = WebConfig(origin="https://qa.example.com", secure_cookies=True)
    async with running(engine, config=config) as app, outsider(app) as client:
        cookie = (await client.post("/api/login", json=GOOD)).headers["set-cookie"]
        assert cookie.startswith("__Host-tonewatch=") and "Secure" in cookie


async def test_the_database_holds_no_token_and_no_password(engine: AsyncEngine) -> None:
    async with running(engine) as app, logged_in(app, "super-a") as client:
        token = client.cookies["tonewatch"]
        async with reading(engine) as connection:
            row = (await connection.execute(select(sessions))).one()
            account = (await connection.execute(select(users).where(users.c.login == "super-a"))).one()
        assert bytes(row.token_sha256) == hashlib.sha256(token.encode()).digest()
        assert len(token) >= 43  # 32 random bytes
        assert token not in str(row) and PASSWORD not in str(account)
        assert account.password.startswith("$argon2id$")


async def test_a_wrong_password_and_an_unknown_login_are_told_alike(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = hasher.verify

    def counting(password: str, hashed: str) -> bool:
        checked.append(hashed)
        return bool(verify(password, hashed))

    monkeypatch.setattr("alerts.web.login.hasher", type("Counting", (), {"verify": staticmethod(counting)}))
    async with running(engine) as app, outsider(app) as client:
        wrong = await client.post("/api/login", json=GOOD | {"password": "wrong password"})
        unknown = await client.post("/api/login", json={"login": "who", "password": "wrong password"})
        assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
        assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
    # Without a hash to check against, the quick answer alone would say which logins exist.
    assert len(checked) == 2


async def test_ten_wrong_passwords_are_enough(engine: AsyncEngine) -> None:
    async with running(engine) as app, outsider(app) as client:
        web = web_of(app)
        for _ in range(10):
            assert (await client.post("/api/login", json=GOOD | {"password": "no"})).status_code == 401
        refused = await client.post("/api/login", json=GOOD)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 300
        other = await client.post("/api/login", json={"login": "admin", "password": PASSWORD})
        assert other.status_code == 200  # somebody else at the same address is not locked out
        web.now = lambda: NOW + 301
        assert (await client.post("/api/login", json=GOOD)).status_code == 200


async def test_a_burst_of_guesses_is_refused_however_quick(engine: AsyncEngine) -> None:
    async with running(engine) as app, outsider(app) as client:
        guesses = [client.post("/api/login", json=GOOD | {"password": f"guess {n}"}) for n in range(30)]
        answers = Counter(answer.status_code for answer in await asyncio.gather(*guesses))
        assert answers == {401: MOST_FAILURES, 429: 30 - MOST_FAILURES}
        assert (await client.post("/api/login", json=GOOD)).status_code == 429


def test_attempts_at_once_are_counted_before_they_are_checked() -> None:
    attempts = LoginAttempts()
    assert [attempts.begin("::1", "lin", NOW) for _ in range(MOST_FAILURES)] == [0.0] * MOST_FAILURES
    assert attempts.begin("::1", "lin", NOW + 1) == WINDOW_SECONDS - 1


def test_remembered_attempts_are_bounded() -> None:
    attempts = LoginAttempts()
    for number in range(MOST_KEYS + 500):
        attempts.begin("::1", f"login-{number}", NOW)
    assert len(attempts._failures) == MOST_KEYS


async def test_a_session_ends_with_its_time(engine: AsyncEngine) -> None:
    config = WebConfig(session_seconds=60)
    async with running(engine, config=config) as app, logged_in(app, "super-a") as client:
        web = web_of(app)
        web.now = lambda: NOW + 59
        assert (await client.get("/api/me")).status_code == 200
        web.now = lambda: NOW + 60
        assert (await client.get("/api/me")).status_code == 401


async def test_a_session_ends_with_logout_and_when_the_person_is_disabled(engine: AsyncEngine) -> None:
    async with running(engine) as app:
        async with logged_in(app, "super-a") as client:
            token = client.cookies["tonewatch"]
            assert (await client.post("/api/logout")).status_code == 204
            client.cookies.set("tonewatch", token)
            assert (await client.get("/api/me")).status_code == 401
        async with logged_in(app, "super-a") as client:
            async with writing(engine) as connection:
                await connection.execute(update(users).where(users.c.login == "super-a").values(disabled=True))
            assert (await client.get("/api/me")).status_code == 401
            assert (await client.post("/api/login", json=GOOD)).status_code == 401
    async with reading(engine) as connection:
        done = [row.what for row in await connection.execute(select(audit).order_by(audit.c.id))]
    assert done == ["user.add", "login", "logout", "login"]


async def test_an_unsafe_request_needs_the_csrf_token_of_its_own_session(engine: AsyncEngine) -> None:
    async with running(engine) as app, logged_in(app, "super-a") as client, logged_in(app, "admin") as other:
        right = client.headers.pop("X-CSRF-Token")
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": other.headers["X-CSRF-Token"]}):
            answer = await client.post("/api/logout", headers=headers)
            assert answer.status_code == 403 and "X-CSRF-Token" in answer.json()["detail"]
        assert (await client.post("/api/logout", headers={"X-CSRF-Token": right})).status_code == 204


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://tonewatch.test:81"},
    {"Origin": "http://tonewatch.test.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
OURS = [{"Origin": "http://tonewatch.test"}, {"Origin": "http://TONEWATCH.test:80"}, {"Sec-Fetch-Site": "none"}, {}]


async def test_another_sites_page_is_refused(engine: AsyncEngine) -> None:
    async with running(engine) as app, outsider(app) as client:
        for headers in FOREIGN:
            answer = await client.post("/api/login", json=GOOD, headers=headers)
            assert answer.status_code == 403, headers
            assert "TONEWATCH_WEB_ORIGIN" in answer.json()["detail"]
        for headers in OURS:
            assert (await client.post("/api/login", json=GOOD, headers=headers)).status_code == 200, headers


async def test_behind_a_proxy_the_public_address_counts(engine: AsyncEngine) -> None:
    config = WebConfig(origin="https://qa.example.com")
    async with running(engine, config=config) as app, outsider(app) as client:
        ours = await client.post("/api/login", json=GOOD, headers={"Origin": "https://qa.example.com"})
        assert ours.status_code == 200
        for origin in ("http://qa.example.com", "https://example.com", "https://qa.example.com:8443"):
            answer = await client.post("/api/login", json=GOOD, headers={"Origin": origin})
            assert answer.status_code == 403, origin


async def test_every_route_under_api_asks_who_it_is_and_every_unsafe_one_for_the_csrf_token(
    engine: AsyncEngine,
) -> None:
    async with running(engine) as app, outsider(app) as client, logged_in(app, "admin") as admin:
        del admin.headers["X-CSRF-Token"]
        paths = (await client.get("/openapi.json")).json()["paths"]
        routes = [(method, path) for path, methods in paths.items() for method in methods if path.startswith("/api/")]
        assert len(routes) > 8
        filled = {"{alert_id}": "1", "{verb}": "own", "{kind}": "violation", "{finding_id}": "1"}
        for method, path in routes:
            if path == "/api/login":
                continue
            for name, value in filled.items():
                path = path.replace(name, value)
            assert (await client.request(method, path)).status_code == 401, (method, path)
            if method != "get":
                assert (await admin.request(method, path, json={})).status_code in (403, 422), (method, path)
                answer = await admin.request(method, path, json={"reason": "because", "decision": "upheld"})
                assert answer.status_code == 403 and "X-CSRF-Token" in answer.json()["detail"], (method, path)


async def test_what_was_sent_wrongly_is_told_in_words_and_not_sent_back(engine: AsyncEngine) -> None:
    async with running(engine) as app, outsider(app) as client:
        wrong = [
            {"login": "super-a", "password": {"secret": "word"}},
            {"login": "super-a\0", "password": "secret word"},
            {"login": "", "password": "secret word"},
        ]
        for body, field in zip(wrong, ("password", "login", "login"), strict=True):
            answer = await client.post("/api/login", json=body)
            assert answer.status_code == 422, body
            assert answer.json()["detail"].startswith(f"body.{field}: ") and "secret" not in answer.text


async def test_a_page_may_load_nothing_from_elsewhere_and_stand_in_no_frame(engine: AsyncEngine) -> None:
    async with running(engine) as app, outsider(app) as client:
        for path in ("/floor", "/interceptions", "/login", "/api/me", "/static/app.js", "/static/nothing", "/livez"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self';" in policy and "style-src 'self';" in policy and "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy and "connect-src 'self'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
        assert (await client.get("/")).headers["location"] == "/floor"
        assert (await client.get("/api/me")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"login": " lin"}, "spaces"),
        ({"password": "short"}, "at least 10"),
        ({"roles": ["boss"]}, "agent, supervisor, qa"),
        ({"roles": []}, "agent, supervisor, qa"),
        ({"roles": ["agent"]}, "no agent id"),
        ({"teams": []}, "would see nobody"),
        ({"login": "admin"}, "is taken"),
    ],
)
async def test_a_person_who_could_not_work_is_not_added(
    engine: AsyncEngine, change: dict[str, object], words: str
) -> None:
    whole: dict[str, object] = {
        "login": "lin", "name": "Lin", "password": PASSWORD, "roles": ["supervisor"], "teams": ["refunds"],
    }  # fmt: skip
    with pytest.raises(UserError, match=words):
        await add_user(engine, **(whole | change))  # type: ignore[arg-type]  # one of them is wrong, that is the test
