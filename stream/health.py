"""The health port of a worker: /livez, /readyz and /metrics."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import mode
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

logger = logging.getLogger(__name__)


class HealthPort(mode.Service):
    """Serves what an orchestrator and Prometheus ask; alive means that the watchdog has not ended the process."""

    def __init__(self, host: str, port: int, ready: Callable[[], Awaitable[str | None]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._address = (host, port)
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Listen; port 0 takes a free one."""
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address).start()
        logger.info("health on http://%s:%d", *self._runner.addresses[0][:2])

    async def on_stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        """Answer 503 and the reason while work cannot be done."""
        why_not = await self._ready()
        return web.Response(text=f"{why_not or 'ready'}\n", status=503 if why_not else 200)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
