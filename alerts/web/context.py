"""What every route works with: the database, the hub, and what Kafka's side handed in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from prometheus_client import Histogram
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection

from alerts.api_keys import KeyKeeper
from alerts.config import WebConfig
from alerts.feeds import FeedRunner, Publish
from alerts.hub import Hub
from alerts.late import LateChecks
from alerts.policy import PolicyKeeper
from alerts.relay import Relay
from alerts.strips import Strips
from alerts.verdict_queue import VerdictQueue
from alerts.web.attempts import LoginAttempts
from alerts.web.check_numbers import CheckNumbers
from alerts.web.present import Presenter
from alerts.web.tasks import Tasks

SCORED_WITHIN_SECONDS = 10.0
"""A call whose last score is older is live, but not scored."""


@dataclass(frozen=True, slots=True)
class Links:
    """What the web process is given from outside, as plain async callables; None leaves that part out."""

    publish: Publish | None = None
    """(topic without prefix, key, JSON body), awaited until the broker has it: fills the feeds, takes late checks."""
    policies: PolicyKeeper | None = None
    """What checks are judged by; without it each is late."""
    judging: AsyncEngine | None = None
    """What checks are kept by, opened with `tries_again`; None takes the pages' engine."""
    tail_scores: Callable[[], AsyncIterator[dict[str, object]]] | None = None
    """Every record of `qa.scores` from now on."""
    limits: Callable[[str | None], dict[str, float]] | None = None
    """The limits of the rules in force for a language: metric -> value, drawn as dashes."""
    sweep: Callable[[], Awaitable[None]] | None = None
    """One round of `alerts.sweep`, run once a second; whether the chat topic lags is its own to ask."""
    purge: Callable[[], Awaitable[None]] | None = None
    """`alerts.retention.purge_daily`, run until the end."""


def _push_seconds() -> Histogram:
    """Return the histogram of how late changes are handed to pages."""
    return Histogram(
        "tonewatch_web_push_seconds",
        "From the time of an alert or a line of the log to its handing to pages",
        buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
        registry=None,  # of this application, not of the process: tests have several
    )


@dataclass(slots=True)
class Web:
    """Everything one web process holds."""

    engine: AsyncEngine
    config: WebConfig
    links: Links
    hub: Hub
    strips: Strips
    relay: Relay
    presenter: Presenter
    keys: KeyKeeper
    verdicts: VerdictQueue
    late: LateChecks
    checks: CheckNumbers = field(default_factory=CheckNumbers)
    feeds: list[FeedRunner] = field(default_factory=list)
    tasks: Tasks = field(default_factory=Tasks)
    attempts: LoginAttempts = field(default_factory=LoginAttempts)
    now: Callable[[], float] = time.time
    loop_lag_seconds: float = 0.0
    """How late the event loop came back from its last pause: the time in which nobody was served."""
    push_seconds: Histogram = field(default_factory=_push_seconds)
    # A check takes 64 MiB and a tenth of a second of a core: nobody who is not known may fill the machine with them.
    password_checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    def policy_version(self) -> int:
        """Return the version of the policy in force, 0 while none is loaded."""
        policies = self.links.policies
        return policies.policy.version if policies is not None and policies.is_loaded else 0

    def lag_seconds(self) -> float:
        """Return how late the newest that pages show is: scoring or the reading of the outbox, the later."""
        return max(self.relay.behind_seconds(), self.strips.lag_seconds(self.now(), SCORED_WITHIN_SECONDS))


async def _web_of(connection: HTTPConnection) -> Web:  # async though it waits for nothing: else a thread would run it
    web = connection.app.state.web
    assert isinstance(web, Web)
    return web


Here = Annotated[Web, Depends(_web_of)]
"""A route's parameter that holds the process' `Web`."""
