"""Whether this process lives, whether it can do its work, and its numbers for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

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
    numbers = registry(web)
    ProcessCollector(registry=numbers)
    return Response(generate_latest(numbers), media_type=CONTENT_TYPE_LATEST)


def registry(web: Web) -> CollectorRegistry:
    """Return what reads the numbers of this process anew at each scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WebNumbers(web))
    return registry


class WebNumbers(Collector):
    """The numbers of a web process; what is counted up is counted where it happens."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def collect(self) -> Iterator[Metric]:
        """Yield all of them."""
        web = self._web

        def gauge(name: str, words: str, value: float) -> Metric:
            return GaugeMetricFamily(f"tonewatch_{name}", words, value)

        yield gauge("web_clients", "Pages connected by WebSocket", web.hub.clients)
        yield CounterMetricFamily(
            "tonewatch_web_pages_dropped", "Pages that did not read and were cut off, to resume", web.hub.dropped
        )
        yield gauge("web_relay_seq", "Outbox number of the newest change that was handed to pages", web.relay.seq or 0)
        yield gauge(
            "web_relay_behind_seconds",
            "How long the outbox was not read beyond the usual pause",
            web.relay.behind_seconds(),
        )
        yield gauge("web_lag_seconds", "How late the newest is that pages show", web.lag_seconds())
        yield gauge("web_live_calls", "Calls with a score in the last 90 s", sum(1 for _ in web.strips.live(web.now())))
        yield gauge("loop_lag_seconds", "How late the event loop came back from its last pause", web.loop_lag_seconds)
        failures = CounterMetricFamily("tonewatch_web_task_failures", "How often a task has failed", labels=["task"])
        for state in web.tasks.states.values():
            failures.add_metric([state.name], state.failures)
        yield failures
        depth = GaugeMetricFamily(
            "tonewatch_web_outbox_depth", "Changes that a feed has still to tell", labels=["topic"]
        )
        for feed in web.feeds:
            if (waiting := feed.behind()) is not None:
                depth.add_metric([feed.topic], waiting)
        yield depth
        yield from web.push_seconds.collect()
        yield from web.checks.collect()
        yield gauge("web_checks_waiting", "Checks over HTTP that are not yet in a batch", web.verdicts.waiting)
        yield gauge("web_late_waiting", "Late checks that Kafka does not have yet", web.late.kept)
