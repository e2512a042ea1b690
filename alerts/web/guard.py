"""Stands before every route: says what a browser may load, and refuses what another site's page sends here."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "font-src 'self'; media-src 'self'; worker-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _host_and_port(origin: str) -> tuple[str | None, int | None]:
    """Return what must be equal of two origins; (None, None) for what is none ("null")."""
    try:
        parts = urlsplit(origin)
        return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None, None


def is_same_origin(headers: Headers, scheme: str, public_origin: str) -> bool:
    """Whether a request comes from our own pages, as far as its headers say.

    Browsers send `Origin` with every WebSocket and every unsafe request, and no page can leave it out or
    forge it; a client that sends none is no browser, so nobody's cookies are misused.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    sent = _host_and_port(origin)
    if sent[0] is None:
        return False
    if public_origin and sent == _host_and_port(public_origin):
        return True
    # Behind a proxy that ends TLS our own scheme is not the browser's: the origin's default port counts.
    sent_scheme = urlsplit(origin).scheme
    return sent == _host_and_port(f"{sent_scheme or scheme}://{headers.get('host', '')}")


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        checked = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if checked and not is_same_origin(Headers(scope=scope), _http_scheme(scope), self._origin):
            await self._refuse(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(("/api/", "/v1/")):
                    # What one person may see must not lie in a cache for the next.
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_guarded)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403; to a WebSocket that means closing it before it is accepted."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "another origin"})
            return
        detail = (
            "This request came from another site's page. If a proxy stands before Tonewatch, write its public "
            "address into TONEWATCH_WEB_ORIGIN."
        )
        await JSONResponse({"detail": detail}, status_code=403)(scope, receive, send)


def _http_scheme(scope: MutableMapping[str, Any]) -> str:
    """Return http or https, for a WebSocket as well."""
    return "https" if scope.get("scheme") in ("https", "wss") else "http"
