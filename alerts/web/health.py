"""Whether this process lives, whether it can do its work, and its numbers for Prometheus."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from alerts.store import holds as hold_store
from alerts.store.database import reading
from alerts.web.bodies import Readiness
from alerts.web.context import Here, Web

router = APIRouter()

DATABASE_SECONDS = 2.0
RELAY_SECONDS = 5.0


@router.get("/livez", tags=["health"])
async def livez() -> dict[str, bool]:
    """Answer as long as the event loop runs."""
    return {"alive": True}


@router.get("/readyz", tags=["health"], responses={503: {"model": Readiness}})
async def readyz(response: Response, web: Here) -> Readiness:
    """Say whether alerts reach the pages: the database answers, the relay reads, no task is down."""
    problems = [f"task {state.name}: {state.error}" for state in web.tasks.failing()]
    if web.relay.seq is None:
        problems.append("the relay has not read the outbox yet")
    elif web.relay.behind_seconds() > RELAY_SECONDS:
        problems.append(f"the relay has not read the outbox for {web.relay.behind_seconds():.0f} s")
    held: list[hold_store.Hold] = []
    try:
        async with asyncio.timeout(DATABASE_SECONDS), reading(web.engine) as connection:
            held = await hold_store.held(connection, web.now())
    except Exception as error:
        problems.append(f"the database does not answer: {type(error).__name__}")
    response.status_code = 503 if problems else 200
    return Readiness(ready=not problems, problems=problems, holds=hold_store.advice(held))


@router.get("/metrics", tags=["health"], response_class=Response)
async def metrics(web: Here) -> Response:
    """Return the process' numbers in Prometheus' text form."""
    return Response(generate_latest(registry(web)), media_type=CONTENT_TYPE_LATEST)


def registry(web: Web) -> CollectorRegistry:
    """Read the numbers now: all of them are states, none is counted up."""
    registry = CollectorRegistry()

    def gauge(name: str, words: str, value: float) -> None:
        Gauge(f"tonewatch_web_{name}", words, registry=registry).set(value)

    gauge("clients", "Pages connected by WebSocket", web.hub.clients)
    gauge("relay_seq", "Outbox number of the newest change that was handed to pages", web.relay.seq or 0)
    gauge("relay_behind_seconds", "How long the outbox was not read beyond the usual pause", web.relay.behind_seconds())
    gauge("lag_seconds", "How late the newest is that pages show", web.lag_seconds())
    gauge("live_calls", "Calls with a score in the last 90 s", sum(1 for _ in web.strips.live(web.now())))
    failures = Gauge("tonewatch_web_task_failures", "How often a task has failed", ["task"], registry=registry)
    for state in web.tasks.states.values():
        failures.labels(state.name).set(state.failures)
    behind = Gauge("tonewatch_web_feed_behind", "Changes that a feed has still to tell", ["topic"], registry=registry)
    for feed in web.feeds:
        if (waiting := feed.behind()) is not None:
            behind.labels(feed.topic).set(waiting)
    return registry
