"""Puts the web process together: routes, pages, and the tasks that bring what is new."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.api_keys import KeyKeeper
from alerts.config import WebConfig
from alerts.feeds import FEEDS, FeedRunner
from alerts.hub import Hub
from alerts.late import LateChecks
from alerts.policy import Policy
from alerts.relay import Relay
from alerts.store.database import reading
from alerts.store.outbox_tail import OutboxItem
from alerts.strips import Strips
from alerts.verdict_queue import VerdictQueue
from alerts.web import alerts, audit, conversations, events, floor, health, hooks, interceptions, live, login, moderate
from alerts.web import policy as policy_routes
from alerts.web.context import Links, Web
from alerts.web.guard import Guard
from alerts.web.present import Presenter

log = logging.getLogger(__name__)

PAGES = Path(__file__).with_name("pages")
PAGE_ROUTES = ("/floor", "/interceptions", "/login")
SCORES_EVERY_SECONDS = 0.25
TICK_EVERY_SECONDS = 1.0
SWEEP_EVERY_SECONDS = 1.0

pages = APIRouter(include_in_schema=False)


@pages.get("/")
async def start() -> RedirectResponse:
    """Send a visitor to the live floor."""
    return RedirectResponse("/floor")


async def page() -> FileResponse:
    """Return the one document that every page is; its module shows what the address says."""
    return FileResponse(PAGES / "index.html", headers={"Cache-Control": "no-cache"})


for _route in PAGE_ROUTES:
    pages.add_api_route(_route, page, methods=["GET"])


def create_app(engine: AsyncEngine, config: WebConfig, links: Links | None = None) -> FastAPI:
    """Return the application. The database is to be upgraded before; the engines stay the caller's to dispose of."""
    hub = Hub()
    presenter = Presenter()
    links = links or Links()

    async def deliver(items: Sequence[OutboxItem]) -> None:
        async with reading(engine) as connection:
            messages = await presenter.pushes(connection, items)
        for item, message in zip(items, messages, strict=True):
            hub.publish(item.seq, item.team, item.agent_id, message)
            if message is not None:
                web.push_seconds.observe(max(0.0, web.now() - item.at))

    def policy() -> Policy:
        if links.policies is None:
            raise LookupError("this process was given no policy")
        return links.policies.policy

    web = Web(
        engine=engine,
        config=config,
        links=links,
        hub=hub,
        strips=Strips(),
        relay=Relay(engine, hub.begin, deliver),
        presenter=presenter,
        keys=KeyKeeper(engine),
        verdicts=VerdictQueue(links.judging or engine, policy, lambda: web.now()),
        late=LateChecks(links.publish),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _start_tasks(web)
        try:
            yield
        finally:
            await web.tasks.stop()
            await web.late.close()

    # The usual pages that try the API out load their scripts from elsewhere, which our own headers forbid.
    app = FastAPI(title="Tonewatch", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.web = web
    app.add_middleware(Guard, origin=config.origin)
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    for module in (login, floor, alerts, conversations, interceptions, audit, policy_routes, live):
        app.include_router(module.router)
    for asked_by_platforms in (moderate, hooks, events, health):
        app.include_router(asked_by_platforms.router)
    app.include_router(pages)
    app.mount("/static", Modules(directory=PAGES), name="static")
    return app


class Modules(StaticFiles):
    """The pages' modules, asked for anew each time: a browser must not mix two releases."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        """Add the header to what the library answers."""
        response = super().file_response(*args, **more)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _say_what_is_wrong(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 as every other refusal, in words, and without what was sent: it may have been a password."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return JSONResponse({"detail": "; ".join(wrong)}, status_code=422)


def _start_tasks(web: Web) -> None:
    """Start what runs beside the requests."""
    links = web.links
    web.tasks.start("relay", web.relay.run)
    web.tasks.start("scores", lambda: _every(SCORES_EVERY_SECONDS, web.hub.flush_scores))
    web.tasks.start("tick", lambda: _every(TICK_EVERY_SECONDS, lambda: _tick(web)))
    web.tasks.start("loop lag", lambda: _measure_loop_lag(web))
    web.tasks.start("API keys", web.keys.follow)
    web.tasks.start("verdicts", web.verdicts.run)
    web.tasks.start("late checks", web.late.run)
    if links.policies is not None:
        web.tasks.start("policy", links.policies.follow)
    if links.publish is not None:
        owner = secrets.token_hex(8)
        web.feeds = [FeedRunner(web.engine, feed, links.publish, owner, lambda: web.relay.seq) for feed in FEEDS]
        for feed in web.feeds:
            web.tasks.start(f"feed {feed.topic}", feed.run)
    if links.tail_scores is not None:
        web.tasks.start("tail of qa.scores", lambda: _follow_scores(web))
    if links.sweep is not None:
        web.tasks.start("sweep", lambda: _sweep(web))
    if links.purge is not None:
        web.tasks.start("retention", links.purge)


async def _every(seconds: float, act: Callable[[], None]) -> None:
    """Call `act` again and again."""
    while True:
        act()
        await asyncio.sleep(seconds)


async def _measure_loop_lag(web: Web) -> None:
    """Note how much later than asked the loop comes back."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_EVERY_SECONDS
        await asyncio.sleep(TICK_EVERY_SECONDS)
        web.loop_lag_seconds = max(0.0, loop.time() - due)


def _tick(web: Web) -> None:
    """Tell every page the time and how fresh it is; a page that hears nothing knows that it is cut off."""
    web.hub.broadcast({"type": "tick", "server_time": web.now(), "lag_seconds": web.lag_seconds(), "seq": web.hub.seq})


async def _follow_scores(web: Web) -> None:
    """Take every record of `qa.scores`; one that is none is logged and passed over."""
    assert web.links.tail_scores is not None
    async for record in web.links.tail_scores():
        try:
            web.strips.add(record, web.now())
            web.hub.score(record)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            log.warning("a record of qa.scores was passed over: %s: %s", type(error).__name__, error)


async def _sweep(web: Web) -> None:
    """Run the sweep once a second."""
    assert web.links.sweep is not None
    while True:
        await web.links.sweep()
        await asyncio.sleep(SWEEP_EVERY_SECONDS)
