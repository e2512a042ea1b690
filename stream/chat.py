"""The chat worker: messages and turns in, one transaction a batch, verdicts out, acknowledge last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.judge import Incoming, incoming_message, incoming_turn
from alerts.moderate import Verdict, moderate
from alerts.policy import PolicyKeeper
from alerts.store.database import refusal_of, said
from stream.app import App, raw_topic, source_of
from stream.holds import Holds
from stream.inbox import Inbox, Item, Stopping
from stream.metrics import DATABASE_RETRIES, DUPLICATES, EVENTS, INTERCEPTED, VERDICT_SECONDS, VERDICTS
from stream.outlet import Outgoing
from stream.records import BadRecord, parse_chat, parse_turn
from stream.rejected import Rejects
from stream.topics import topic_name

logger = logging.getLogger(__name__)

MOST_PER_BATCH = 200
"""Only a backlog fills it; with 50 the statements of a batch cost more than its messages at 1,000 a second."""
RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Waits between tries; the last one repeats until the database or the broker is back, or we are to stop."""
TRIES_BEFORE_POISON = 3
VERDICT_HEADERS = (
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_type", b"chat.verdict"),
    ("ce_source", b"/tonewatch"),
)


class ChatWorker:
    """Reads `chat.messages` and `transcript.turns`; writes the database, then `chat.verdicts`."""

    def __init__(self, app: App, engine: AsyncEngine, policies: PolicyKeeper) -> None:
        self._app = app
        self._engine = engine
        self._policies = policies
        self._verdicts_topic = topic_name(app.tonewatch, "chat.verdicts")
        self._rejects = Rejects(app)
        self.inbox = app.inbox = Inbox(self.handle, most_per_batch=MOST_PER_BATCH)
        self.holds = Holds(app, engine, self.inbox)
        app.run_beside(self.holds)
        app.run_beside(self.inbox)
        messages, turns = raw_topic(app, "chat.messages"), raw_topic(app, "transcript.turns")
        self._turns_topic = turns.get_topic_name()
        app.agent(messages, name="chat.messages")(self._queue)
        app.agent(turns, name="transcript.turns")(self._queue)

    async def _queue(self, stream: Any) -> None:
        """Queue what comes: no exception may leave an agent, and nothing is acknowledged here."""
        async for event in stream.noack().events():
            await self.inbox.put(stream, event)

    async def handle(self, batch: Sequence[Item]) -> None:
        """Judge, keep and answer a batch, however long the database or the broker is away."""
        good: list[tuple[Item, Incoming]] = []
        bad: list[tuple[Item, BadRecord]] = []
        for item in batch:
            if self.holds.keeps(item):
                continue
            try:
                good.append((item, self._parse(item)))
                self.holds.good(item)
            except BadRecord as error:
                if self.holds.bad(item, error):
                    bad.append((item, error))
        handled = [item for item, _ in (*good, *bad)]
        verdicts = await self._kept(good, bad)
        self.inbox.want_more()  # the next are fetched while the answers are delivered
        await self._persist(lambda: self._rejects.send(bad))
        await self._persist(lambda: self._answer(verdicts))
        for topic, count in Counter(item.topic for item in handled).items():
            EVENTS.labels(topic=topic).inc(count)

    def _parse(self, item: Item) -> Incoming:
        """Return what a record says. Raises BadRecord."""
        message = item.event.message
        source = source_of(item.event)
        if item.topic == self._turns_topic:
            turn = parse_turn(message.value, message.headers)
            return incoming_turn(turn, source=source, arrived_at=item.arrived_at)
        chat = parse_chat(message.value, message.headers)
        return incoming_message(chat, source=source, arrived_at=item.arrived_at)

    async def _kept(
        self, good: Sequence[tuple[Item, Incoming]], bad: list[tuple[Item, BadRecord]]
    ) -> list[tuple[Item, Incoming, Verdict]]:
        """Commit the batch and return its verdicts; what the database refuses alone is moved to `bad`."""
        incoming = [message for _, message in good]
        tries = 0
        while incoming:
            self.inbox.touch()  # waiting for the database is no standstill
            try:
                verdicts = await moderate(self._engine, self._policies.policy, incoming, time.time)
                for item, _ in good:
                    self.holds.kept(item)
                _count(good, verdicts)
                return [(item, message, verdict) for (item, message), verdict in zip(good, verdicts, strict=True)]
            except Exception as error:
                refusal = refusal_of(error)
                if refusal is not None and len(good) > 1:
                    return [kept for one in good for kept in await self._kept([one], bad)]
                if refusal is not None and tries >= TRIES_BEFORE_POISON:
                    logger.error("the database refuses a record of %s: %s", good[0][0].topic, type(refusal).__name__)
                    refused = BadRecord("database", f"the database refuses it: {said(refusal)}")
                    bad.append((good[0][0], refused))
                    self.holds.refused(good[0][0], refused)
                    return []
                await self._wait(tries, error)
            tries += 1
        return []

    async def _persist(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send until it is delivered: after the commit there is no way back."""
        tries = 0
        while True:
            self.inbox.touch()
            try:
                return await send()
            except Exception as error:
                await self._wait(tries, error)
            tries += 1

    async def _wait(self, tries: int, error: Exception) -> None:
        """Back off before the next try. Raises Stopping when the worker is to stop."""
        DATABASE_RETRIES.inc()
        if tries in (0, 10) or tries % 60 == 0:
            logger.warning("try %d failed, going on trying: %s: %s", tries + 1, type(error).__name__, said(error))
        if self._app.should_stop:
            raise Stopping from error
        await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
        if self._app.should_stop:
            raise Stopping from error

    async def _answer(self, verdicts: Sequence[tuple[Item, Incoming, Verdict]]) -> None:
        """Send the verdicts and await their delivery reports: only then may the offset be committed."""
        await self._app.outlet.send(
            [
                Outgoing(
                    self._verdicts_topic,
                    message.conversation_id.encode(),
                    verdict.value,
                    (*VERDICT_HEADERS, ("ce_id", message.message_id.encode())),
                )
                for _, message, verdict in verdicts
                if message.kind != "turn"  # nobody can block speech
            ]
        )
        now = time.time()
        for (action, is_repeat), count in Counter((v.action, v.is_repeat) for _, _, v in verdicts).items():
            VERDICTS.labels(action=action, repeat=str(is_repeat).lower()).inc(count)
        for item, _, _ in verdicts:
            VERDICT_SECONDS.observe(max(0.0, now - item.arrived_at))


def _count(good: Sequence[tuple[Item, Incoming]], verdicts: Sequence[Verdict]) -> None:
    """Count what was just committed: lines of the interception log, and texts that had been there before."""
    for (item, _), verdict in zip(good, verdicts, strict=True):
        if verdict.intercepted_by is not None:
            INTERCEPTED.labels(action=verdict.action, by=verdict.intercepted_by).inc()
        elif verdict.is_repeat:
            DUPLICATES.labels(topic=item.topic).inc()
