"""A web process with a small contact centre in its database, and browsers that look at it."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.alert import Change, Conversation, Evidence
from alerts.call_engine import limits_for
from alerts.config import WebConfig
from alerts.judge import Incoming
from alerts.moderate import moderate
from alerts.policy import Policy, compiled, read_files
from alerts.store.alerts import apply_changes
from alerts.store.database import writing
from alerts.store.people import add_user
from alerts.store.tables import baselines, conversations
from alerts.web.app import create_app
from alerts.web.context import Links
from tests.builders_alerts import database
from tests.builders_web import ended

# Read when the module is: no test sees settings of the outside.
SCREENSHOTS = os.environ.get("TONEWATCH_SCREENSHOTS")
PASSWORD = "correct horse battery"
CHROMIUM_ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
LOUD_CALL = Conversation("pbx", "k-1", "call", agent_id="a-1", agent_name="赵磊", team="refunds", language="zh")
NEW_CALL = Conversation("pbx", "k-2", "call", agent_id="a-2", agent_name="Ben Carter", team="refunds", language="zh")
OTHER_CALL = Conversation("pbx", "k-9", "call", agent_id="a-9", agent_name="Nobody's", team="loans", language="zh")


@functools.cache
def shipped_policy() -> Policy:
    """The packs and rules of the product as version 42; compiling them takes seconds."""
    return compiled(42, read_files())


def said(
    at: float,
    number: int,
    side: Any,
    text: str,
    conversation: str = "c-1",
    agent: str = "林晓",
    team: str = "refunds",
    **more: Any,
) -> Incoming:
    """A chat message that waits for a verdict where the agent wrote it, or that the customer has sent."""
    is_agent = side == "agent"
    values: dict[str, Any] = {
        "kind": "message",
        "platform": "openim",
        "conversation_id": conversation,
        "message_id": f"{conversation}-{number}",
        "side": side,
        "sender_id": f"a-{agent}" if is_agent else "u-4",
        "sender_name": agent if is_agent else None,
        "team": team if is_agent else None,
        "text": text,
        "delivery": "pending" if is_agent else "delivered",
        "arrived_at": at,
        "sent_at": at,
        "customer_id": "u-4",
        "channel": "app",
        "language": "zh",
    }
    return Incoming(**(values | more))


def chats(now: float) -> list[Incoming]:
    """An agent who is stopped, tries again in disguise and gets through; a masked number; an English chat."""
    start = now - 240
    return [
        said(start, 1, "customer", "都第三次了，你们到底退不退？"),
        said(start + 30, 2, "agent", "您好，系统显示已经提交了。", delivery="delivered"),
        said(start + 60, 3, "customer", "提交两周了还没到账"),
        said(start + 80, 4, "agent", "你是不是傻瓜啊，看不懂字吗"),
        said(start + 93, 5, "agent", "傻。瓜"),
        said(start + 110, 6, "agent", "那你就是个骗 子", delivery="delivered"),
        said(start + 130, 7, "customer", "你说什么？我要投诉。"),
        said(start + 150, 8, "agent", "抱歉，我马上帮您查，电话 13812347712 不变吧？", delivery="delivered"),
        said(start + 90, 1, "customer", "Where is my refund?", "c-2", "Ava Lopez"),
        said(start + 120, 2, "agent", "you are a complete moron", "c-2", "Ava Lopez"),
        said(start + 150, 1, "customer", "利率多少？", "c-9", "Secret", "loans"),
        said(start + 160, 2, "agent", "你这个傻瓜", "c-9", "Secret", "loans"),
    ]


def raised(call: Conversation, at: float, value: float = 11.4, **more: Any) -> Change:
    values: dict[str, Any] = {
        "rule_id": "volume.raised",
        "severity": "critical",
        "rule_name": {"zh": "音量升高", "en": "Raised level"},
        "category": "manner",
        "evidence": Evidence("volume.over_baseline_db", value, 10.0, "dB", "agent", 52.0),
    }
    return Change(kind="open", conversation=call, audience=("supervisor",), at=at, **(values | more))


def score_record(call: Conversation, second: int, agent: Mapping[str, float | None]) -> dict[str, Any]:
    """One record of `qa.scores`; agent and customer speak in turns of five seconds."""
    speaks = second // 5 % 2 == 0
    level = -24.0 + 4 * (second % 3)
    return {
        "conversation_id": call.conversation_id,
        "at_ms": second * 1000,
        "agent_id": call.agent_id,
        "team": call.team,
        "sides": {
            "agent": {"speech.active": float(speaks), "volume.level_dbov": level if speaks else None, **agent},
            "customer": {"speech.active": float(not speaks), "volume.level_dbov": None if speaks else level - 4},
        },
        "lag_ms": 210,
        "lost_ms": 0,
    }


@dataclass
class Site:
    """A running web process and what a test does to it from behind."""

    engine: AsyncEngine
    policy: Policy
    base: str = ""
    records: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    server: uvicorn.Server | None = None

    def cut_off(self) -> None:
        """End every WebSocket, as a restart of the server does."""
        assert self.server is not None
        for connection in list(self.server.server_state.connections):
            if hasattr(connection, "close_sent") or "WebSocket" in type(connection).__name__:
                connection.transport.close()

    async def tail(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self.records.get()

    def limits(self, language: str | None) -> dict[str, float]:
        return limits_for(self.policy.rules, Conversation("", "", "call", language=language))

    async def write(self, *messages: Incoming) -> None:
        for message in messages:
            await moderate(self.engine, self.policy, [message], lambda at=message.arrived_at: at)  # type: ignore[misc]  # the default binds the loop's value

    async def raise_alert(self, *changes: Change) -> None:
        async with writing(self.engine) as connection:
            await apply_changes(connection, changes, self.policy.version, time.time())

    async def start_calls(self, calls: Sequence[Conversation], seconds: float) -> None:
        """Calls that began so many seconds ago."""
        now = time.time()
        names = ("platform", "conversation_id", "kind", "agent_id", "agent_name", "team", "language")
        more = {"customer_id": "13900006021", "started_at": now - seconds, "last_at": now, "memory": {}}
        async with writing(self.engine) as connection:
            rows = [{name: getattr(call, name) for name in names} | more for call in calls]
            await connection.execute(conversations.insert(), rows)

    def hear(self, call: Conversation, seconds: range, measure: Callable[[int], Mapping[str, float | None]]) -> None:
        for second in seconds:
            self.records.put_nowait(score_record(call, second, measure(second)))


def loud(second: int) -> dict[str, float | None]:
    """Rises past the limit of the level at second 50."""
    return {
        "speech_rate.spm": 224.0 + second % 7,
        "volume.over_baseline_db": 11.4 if second >= 50 else 0.5 + second % 3,
        "intonation.f0_shift_semitones": 0.3 * (second % 4),
    }


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """The real application on a free port over a real SQLite database with people, chats and calls in it."""
    async with database(f"sqlite:///{folder / 'pages.sqlite3'}") as engine:
        made = Site(engine, shipped_policy())
        await add_user(engine, "zhoumin", "周敏", PASSWORD, ["supervisor"], ["refunds"])
        await add_user(engine, "xujing", "许静", PASSWORD, ["qa"], ["refunds"])
        await made.write(*chats(time.time()))
        await made.start_calls([LOUD_CALL, OTHER_CALL], 60)
        async with writing(engine) as connection:
            row = {"agent_id": "a-1", "metric": "speech_rate.spm", "value": 226.0, "seconds": 600.0, "at": time.time()}
            await connection.execute(baselines.insert().values(row))
        await made.raise_alert(raised(OTHER_CALL, time.time()))
        app = create_app(engine, WebConfig(), Links(tail_scores=made.tail, limits=made.limits))
        server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="websockets-sansio")
        )
        made.server = server
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
            assert not serving.done(), serving.exception()
        made.base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield made
        finally:
            await ended(server, serving)


@dataclass
class Visitor:
    """A browser's page, and everything that went wrong on it."""

    page: Page
    problems: list[str]

    async def look(self, name: str) -> None:
        """Keep a picture where TONEWATCH_SCREENSHOTS names a folder."""
        if SCREENSHOTS:
            await self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")

    async def log_in(self, base: str, login: str, path: str = "/floor") -> None:
        await self.page.goto(base + path)
        await self.page.fill("[name=login]", login)
        await self.page.fill("[name=password]", PASSWORD)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_selector("header")


@asynccontextmanager
async def visitor(chromium: str, locale: str = "zh-CN", size: Sequence[int] = (1440, 900)) -> AsyncIterator[Visitor]:
    """A fresh browser; on leaving it asserts that the console was silent and nothing broke the page's policy."""
    async with async_playwright() as playwright:
        browser: Browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        try:
            page = await browser.new_page(locale=locale, viewport={"width": size[0], "height": size[1]})
            problems: list[str] = []
            # Before the login /api/me answers 401, which Chromium writes to the console itself.
            page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning")
                    and "401 (Unauthorized)" not in said.text else None)  # fmt: skip
            page.on("pageerror", lambda error: problems.append(str(error)))
            yield Visitor(page, problems)
            assert problems == []
        finally:
            await browser.close()
