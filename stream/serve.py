"""The web process: the pages' application, and what it gets of Kafka handed in."""

from __future__ import annotations

import logging
import socket
import time

import uvicorn

from alerts.alert import CALL_PLATFORM, Conversation
from alerts.config import HookConfig, WebConfig
from alerts.engine import limits_for
from alerts.intake.maps import MAPS
from alerts.policy import PolicyKeeper
from alerts.retention import purge_daily
from alerts.store.database import open_engine
from alerts.sweep import sweep_once
from alerts.web.app import create_app
from alerts.web.context import Links
from stream.feeds import ChatLag, Feeds, tail_scores
from stream.memory import set_apart
from stream.operate import retention_of
from stream.settings import Settings
from stream.worker import database_config

logger = logging.getLogger(__name__)

STOP_SECONDS = 5


def hooks_of(settings: Settings) -> dict[str, HookConfig]:
    """Return what was agreed on with each platform that asks over HTTP."""
    secrets = {
        "easemob": settings.easemob_secret,
        "tencent-im": settings.tencent_im_token,
        "stream": settings.stream_secret,
    }

    def config(via: str) -> HookConfig:
        name = via.replace("-", "_")
        secret = secrets[via].get_secret_value() if via in secrets else ""
        return HookConfig(
            deadline_seconds=getattr(settings, f"{name}_deadline_ms") / 1000,
            fail_policy=getattr(settings, f"{name}_fail_policy"),
            # More than one while an old one is being replaced.
            secrets=tuple(part.strip() for part in secret.split(",") if part.strip()),
            app_id=settings.tencent_im_app_id if via == "tencent-im" else "",
            agent_ids=settings.hook_agent_ids,
        )

    told = HookConfig(agent_ids=settings.hook_agent_ids)
    # First those that only tell of what they did.
    return {via: told for via in MAPS} | {via: config(via) for via in ("moderate", "openim", *secrets)}


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; with port 0 its port is known, and taken, before anything is said. Raises OSError."""
    listener = socket.create_server((host, port), backlog=2048)
    # Every connection inherits it; asyncio sets it only where a socket names its protocol. An answer, which is written
    # in two parts, otherwise waits 40 ms for a client that acknowledges late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    engine, judging = open_engine(database_config(settings)), open_engine(database_config(settings), tries_again=True)
    policies, feeds, lag = PolicyKeeper(engine, lambda _policy: set_apart()), Feeds(settings), ChatLag(settings)

    async def sweep() -> None:
        await sweep_once(engine, lambda: policies.policy, time.time(), lagging=await lag())

    def limits(language: str | None) -> dict[str, float]:
        try:
            rules = policies.policy.rules
        except LookupError:  # it is not loaded yet
            return {}
        return limits_for(rules, Conversation(CALL_PLATFORM, "", "call", language=language))

    app = create_app(
        engine,
        WebConfig(
            origin=settings.web_origin,
            session_seconds=settings.session_hours * 3600,
            secure_cookies=settings.web_origin.startswith("https://"),
            hooks=hooks_of(settings),
        ),
        Links(
            publish=feeds.publish,
            policies=policies,
            judging=judging,
            tail_scores=lambda: tail_scores(settings),
            limits=limits,
            sweep=sweep,
            purge=lambda: purge_daily(engine, retention_of(settings), time.time),
        ),
    )
    listener = listen(settings.web_host, settings.web_port)
    logger.info("pages on http://%s:%d", *listener.getsockname()[:2])
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=65536,  # pages have nothing long to say
    )
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await feeds.stop()
        await lag.stop()
        await engine.dispose()
        await judging.dispose()
