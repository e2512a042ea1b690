"""The WebSocket of a page: what is open now, what it missed, then every change as it is committed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import orjson
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from alerts.access import Scope, scope_of
from alerts.hub import Client
from alerts.store.alert_log import open_alerts
from alerts.store.database import reading
from alerts.store.outbox_tail import changes_after, first_seq, last_seq
from alerts.web.context import Here, Web
from alerts.web.login import session_of

router = APIRouter()

SESSION_CHECK_SECONDS = 15.0
"""So long a page stays connected after its login has ended or its roles have changed."""
MOST_MISSED = 2000
"""Changes that are sent after a pause; a longer one begins anew with what is open."""
CLOSE_SECONDS = 2.0

NOT_LOGGED_IN, TOO_SLOW = 4401, 4408


@router.websocket("/ws/live")
async def live(socket: WebSocket, web: Here, after: int | None = None) -> None:
    """Serve one page until it leaves, is too slow, or its login ends."""
    session = await session_of(socket, web)
    if session is None:
        await socket.close(NOT_LOGGED_IN)
        return
    scope = scope_of(session.user)
    try:
        client, since = web.hub.join(scope, after)
    except ConnectionError:
        await socket.close(1013)
        return
    try:
        await socket.accept()
        code = await _serve(socket, web, client, scope, since, after)
    finally:
        web.hub.leave(client)
    if code is not None:
        with contextlib.suppress(Exception):
            # A page that does not read does not answer the farewell either.
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close(code)


async def _serve(
    socket: WebSocket, web: Web, client: Client, scope: Scope, since: int, after: int | None
) -> int | None:
    """Run until one of the four ends comes; return the code to close with, None if the page has left."""
    ends: dict[asyncio.Task[Any], int | None] = {
        asyncio.create_task(_send(socket, web, client, scope, since, after)): None,
        asyncio.create_task(_wait_for_leave(socket)): None,
        asyncio.create_task(client.dropped.wait()): TOO_SLOW,
        asyncio.create_task(_wait_for_end_of_login(socket, web, scope)): NOT_LOGGED_IN,
    }
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    failed = next((error for task in done if not task.cancelled() and (error := task.exception())), None)
    if failed is not None and not isinstance(failed, WebSocketDisconnect | ConnectionError):
        raise failed
    return None if failed is not None else next((ends[task] for task in done if ends[task] is not None), None)


async def _send(socket: WebSocket, web: Web, client: Client, scope: Scope, since: int, after: int | None) -> None:
    """Send hello, what was missed up to `since`, and then what the hub queues, which is all after `since`."""
    async with reading(web.engine) as connection:
        alerts = await web.presenter.alerts(connection, await open_alerts(connection, scope))
    hello = {
        "type": "hello",
        "seq": since,
        "alerts": alerts,
        "server_time": web.now(),
        "lag_seconds": web.lag_seconds(),
    }
    missed = await _missed(web, scope, after, since)
    if missed is None:
        client.after = 0
    await socket.send_text(orjson.dumps(hello | {"resync": missed is None}).decode())
    for message in missed or ():
        await socket.send_text(message)
    while True:
        await socket.send_text(await client.next())


async def _missed(web: Web, scope: Scope, after: int | None, since: int) -> list[str] | None:
    """Return the changes after `after` up to `since`; None where they are too many or no longer all kept."""
    if after is None or after == since:
        return []
    async with reading(web.engine) as connection:
        if after > since:
            # Another process was ahead of this one; or the number is of a database that is no longer there.
            return [] if after <= await last_seq(connection) else None
        oldest = await first_seq(connection)
        if oldest is None or oldest > after + 1:
            return None
        items = await changes_after(connection, after, MOST_MISSED + 1, up_to=since, scope=scope)
        if len(items) > MOST_MISSED:
            return None
        messages = await web.presenter.pushes(connection, items)
    return [orjson.dumps(message).decode() for message in messages if message is not None]


async def _wait_for_leave(socket: WebSocket) -> None:
    """Return when the page leaves; what it says is not listened to."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _wait_for_end_of_login(socket: WebSocket, web: Web, scope: Scope) -> None:
    """Return when the login has ended, or what its person may see has changed."""
    while True:
        await asyncio.sleep(SESSION_CHECK_SECONDS)
        session = await session_of(socket, web)
        if session is None or scope_of(session.user) != scope:
            return
