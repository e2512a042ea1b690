"""Logging in and out, and the check that every other route begins with."""

from __future__ import annotations

import asyncio
import hmac
import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from starlette.requests import HTTPConnection

from alerts.access import VERBS, Scope, User, Verb, may, scope_of
from alerts.store import audit
from alerts.store.database import reading, writing
from alerts.store.people import find_login, hasher
from alerts.store.sessions import Session, close_session, find_session, open_session
from alerts.web.bodies import Credentials, Me, refusals
from alerts.web.context import Here, Web
from alerts.web.guard import SAFE_METHODS

router = APIRouter(prefix="/api", tags=["login"])

CSRF_HEADER = "X-CSRF-Token"
_WRONG = "login or password is wrong"
# Checked when there is no such login, so that the answer takes as long as with one.
_NOBODY = hasher.hash("nobody has this password")


def cookie_name(secure: bool) -> str:
    """Return the cookie's name; with https the browser itself refuses one that another host set."""
    return "__Host-tonewatch" if secure else "tonewatch"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who asks, what they see, and from where."""

    user: User
    scope: Scope
    csrf: str
    address: str | None

    def need(self, verb: Verb) -> None:
        """Raise 403 where none of the user's roles allows `verb`."""
        if not may(self.user, verb):
            raise HTTPException(403, f"None of your roles ({', '.join(self.user.roles) or 'none'}) allows this: {verb}")


def address_of(connection: HTTPConnection) -> str | None:
    """Return the client's address."""
    return connection.client.host if connection.client else None


async def session_of(connection: HTTPConnection, web: Web) -> Session | None:
    """Return the session that a request's or WebSocket's cookie names."""
    token = connection.cookies.get(cookie_name(web.config.secure_cookies))
    if not token:
        return None
    async with reading(web.engine) as database:
        return await find_session(database, token, web.now())


async def signed_in(request: Request, web: Here) -> SignedIn:
    """Return who asks. Raises 401 without a session, and 403 for an unsafe request without its CSRF token."""
    session = await session_of(request, web)
    if session is None:
        raise HTTPException(401, "Not logged in, or the login has ended")
    if request.method not in SAFE_METHODS:
        shown = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(shown.encode(), session.csrf.encode()):
            raise HTTPException(403, f"The header {CSRF_HEADER} is not the `csrf` of GET /api/me")
    return SignedIn(session.user, scope_of(session.user), session.csrf, address_of(request))


Who = Annotated[SignedIn, Depends(signed_in)]
"""A route's parameter: who asks. Every route under /api but the login has it."""


def to_me(user: User, csrf: str) -> Me:
    """Return what a page has to know about who uses it."""
    return Me(
        login=user.login,
        name=user.name,
        roles=list(user.roles),
        teams=list(user.teams),
        agent_id=user.agent_id,
        csrf=csrf,
        may={verb: may(user, verb) for verb in VERBS},
    )


@router.post("/login", responses=refusals(400, 401, 403, 429))
async def login(credentials: Credentials, request: Request, response: Response, web: Here) -> Me:
    """Check login and password and begin a session."""
    address, name = address_of(request) or "", credentials.login
    wait = web.attempts.begin(address, name, web.now())
    if wait > 0:
        seconds = math.ceil(wait)
        raise HTTPException(
            429, f"Too many wrong passwords; try again in {seconds} s", headers={"Retry-After": str(seconds)}
        )
    async with reading(web.engine) as database:
        account = await find_login(database, name)
    hashed = account.password if account is not None else _NOBODY
    async with web.password_checks:
        is_right = await asyncio.to_thread(hasher.verify, credentials.password, hashed)
    if account is None or not is_right:
        raise HTTPException(401, _WRONG)
    web.attempts.succeed(address, name)
    now = web.now()
    async with writing(web.engine) as database:
        token = await open_session(database, account.id, now, web.config.session_seconds)
        await audit.record(database, who=name, what="login", object=f"user:{name}", now=now, address=address)
        session = await find_session(database, token, now)
    if session is None:
        raise HTTPException(401, _WRONG)  # disabled in this very moment
    response.set_cookie(
        cookie_name(web.config.secure_cookies),
        token,
        max_age=int(web.config.session_seconds),
        path="/",
        secure=web.config.secure_cookies,
        httponly=True,
        samesite="lax",
    )
    return to_me(session.user, session.csrf)


@router.post("/logout", status_code=204, responses=refusals(401, 403))
async def logout(request: Request, response: Response, web: Here, who: Who) -> None:
    """End the session here and in the database."""
    name = cookie_name(web.config.secure_cookies)
    async with writing(web.engine) as database:
        await close_session(database, request.cookies.get(name, ""))
        user = who.user.login
        await audit.record(database, who=user, what="logout", object=f"user:{user}", now=web.now(), address=who.address)
    response.delete_cookie(name, path="/", secure=web.config.secure_cookies, httponly=True, samesite="lax")


@router.get("/me", responses=refusals(401))
async def me(who: Who) -> Me:
    """Return who is logged in, the CSRF token, and what they may do."""
    return to_me(who.user, who.csrf)
