"""Hands what was concluded to every connected page that may see it, and lets no slow page hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from alerts.access import Scope, sees

QUEUE_LENGTH = 256
"""Messages that wait for one page; more means it does not read, and it is dropped to resume from the database."""


class Client:
    """One connected page: what it may see, and the messages that wait for it."""

    def __init__(self, scope: Scope, length: int = QUEUE_LENGTH, after: int = 0) -> None:
        self.scope = scope
        self.after = after
        """Outbox number up to which the page has everything: another process told it, and may be ahead of this one."""
        self.dropped = asyncio.Event()
        """Set when the page was too slow; nothing is queued for it any more."""
        self._waiting: asyncio.Queue[str] = asyncio.Queue(length)

    async def next(self) -> str:
        """Return the next message, as soon as there is one."""
        return await self._waiting.get()

    def offer(self, message: str) -> None:
        """Queue a message that must not be missed; without room the client is dropped."""
        if self.dropped.is_set():
            return
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped.set()

    def offer_if_quick(self, message: str) -> None:
        """Queue a message that the next one makes old: a page that lags goes without it."""
        if self._waiting.qsize() * 2 < self._waiting.maxsize:
            self.offer(message)


class Hub:
    """Fan-out in memory: what it holds can be lost, the database has it all."""

    def __init__(self, queue_length: int = QUEUE_LENGTH) -> None:
        self.seq: int | None = None
        """Outbox number of the newest change that was handed out; None until the relay has begun."""
        self._queue_length = queue_length
        self._clients: set[Client] = set()
        self._scores: dict[str, Mapping[str, Any]] = {}
        self.dropped = 0
        """How many pages were too slow so far."""

    @property
    def clients(self) -> int:
        """How many pages are connected."""
        return len(self._clients)

    def join(self, scope: Scope, after: int | None = None) -> tuple[Client, int]:
        """Connect a page that has everything up to `after`, and return it with the number after which it gets the rest.

        Raises ConnectionError before the relay has begun: nobody could say what the page has missed.
        """
        if self.seq is None:
            raise ConnectionError("the relay has not begun to read the outbox")
        client = Client(scope, self._queue_length, after or 0)
        self._clients.add(client)
        return client, self.seq

    def leave(self, client: Client) -> None:
        """Disconnect a page."""
        self._clients.discard(client)

    def begin(self, seq: int) -> None:
        """Say where the relay begins to read."""
        self.seq = seq if self.seq is None else max(self.seq, seq)

    def publish(self, seq: int, team: str | None, agent_id: str | None, message: Mapping[str, Any] | None) -> None:
        """Hand out one change of the outbox; None is a change that pages are not told of."""
        self.begin(seq)
        if message is None:
            return
        text = orjson.dumps(message).decode()
        for client in self._clients:
            if seq > client.after and sees(client.scope, team, agent_id):
                self._offer(client, text)

    def _offer(self, client: Client, text: str) -> None:
        """Queue what must not be missed, and count whom it was too much for."""
        was_dropped = client.dropped.is_set()
        client.offer(text)
        self.dropped += client.dropped.is_set() and not was_dropped

    def broadcast(self, message: Mapping[str, Any]) -> None:
        """Tell every page something that is nobody's, such as the time."""
        text = orjson.dumps(message).decode()
        for client in self._clients:
            client.offer_if_quick(text)

    def score(self, record: Mapping[str, Any]) -> None:
        """Take one record of `qa.scores`; of a call only the newest waits for the next `flush_scores`."""
        self._scores[record["conversation_id"]] = record

    def flush_scores(self) -> None:
        """Hand out the scores that came since the last time, each page its own teams', in one message."""
        records = [(record, orjson.dumps(record).decode()) for record in self._scores.values()] if self._clients else []
        self._scores.clear()
        by_scope: dict[Scope, str | None] = {}
        for client in self._clients:
            if client.scope not in by_scope:
                seen = [
                    text
                    for record, text in records
                    if sees(client.scope, record.get("team"), record.get("agent_id"))
                ]  # fmt: skip
                by_scope[client.scope] = f'{{"type":"scores","items":[{",".join(seen)}]}}' if seen else None
            message = by_scope[client.scope]
            if message is not None:
                client.offer_if_quick(message)
