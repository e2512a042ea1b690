"""Tells other products what changed: each feed is a topic that one process at a time fills from the outbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.masking import mask_alert, mask_finding
from alerts.store import cursors
from alerts.store.database import in_transaction, reading, writing
from alerts.store.outbox_tail import OutboxItem, changes_after

log = logging.getLogger(__name__)

Publish = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""(topic without prefix, key, JSON body); returns when the broker has the record."""

LEASE_SECONDS = 10.0
BATCH = 100
LOOK_SECONDS = 0.25
NOTE_SECONDS = 1.0
"""How often the cursor is written: on SQLite this holds up the chat worker. So much is told again after a crash."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Which changes go to which topic."""

    topic: str
    kinds: tuple[str, ...]

    @property
    def cursor(self) -> str:
        """The name of the row that keeps how far it got."""
        return f"feed:{self.topic}"


# Notes and reasons that people typed are masked nowhere else on their way to a topic.
_MASKS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "alert": mask_alert,
    "interception": mask_finding,
    "violation": mask_finding,
}
FEEDS = (
    Feed("qa.alerts", ("alert",)),
    Feed("qa.interceptions", ("interception", "violation")),
    Feed("agent.reminders", ("reminder",)),
)


class FeedRunner:
    """Fills one topic: at least once, each key in order, by whichever process holds the lease."""

    def __init__(
        self,
        engine: AsyncEngine,
        feed: Feed,
        publish: Publish,
        owner: str,
        newest: Callable[[], int | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`newest` is the relay's number: nothing is asked of the database while it stands still."""
        self._engine = engine
        self._feed = feed
        self._publish = publish
        self._owner = owner
        self._newest = newest
        self._now = now
        self._leased_until = 0.0
        self._noted_seq = 0
        self._noted_at = 0.0
        self.seq: int | None = None
        """How far the topic is filled; None while another process does it."""

    @property
    def topic(self) -> str:
        """The topic that is filled, without prefix."""
        return self._feed.topic

    def behind(self) -> int | None:
        """Return how many numbers of the outbox the topic is behind; None while another process fills it."""
        return None if self.seq is None else max(0, (self._newest() or 0) - self.seq)

    async def run(self) -> None:
        """Fill the topic until cancelled. Raises what the database or the broker raises; run again, it goes on."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(LOOK_SECONDS if self.seq is not None else LEASE_SECONDS / 4)
        finally:
            await self._release()

    async def step(self) -> bool:
        """Publish what waits, at most one batch; return whether this process holds the lease."""
        now = self._now()
        if self.seq is None or self._leased_until - now < LEASE_SECONDS / 2:
            seq = await in_transaction(
                self._engine, lambda c: cursors.take_lease(c, self._feed.cursor, self._owner, now, LEASE_SECONDS)
            )
            self._leased_until = now + LEASE_SECONDS
            self._noted_seq = seq or 0
            self.seq = None if seq is None else max(seq, self.seq or 0)
        newest = self._newest()
        while self.seq is not None and newest is not None and self.seq < newest:
            self.seq = await self._one_batch(self.seq, newest)
            if self.seq < newest:
                await self._note(self.seq)  # of a backlog no batch is told twice
        if self.seq is not None and self.seq != self._noted_seq and now - self._noted_at >= NOTE_SECONDS:
            self._noted_at = now
            await self._note(self.seq)
        return self.seq is not None

    async def _one_batch(self, seq: int, newest: int) -> int:
        """Publish the next changes; how far the topic is filled then."""
        async with reading(self._engine) as connection:
            items = await changes_after(connection, seq, BATCH, up_to=newest, kinds=self._feed.kinds)
        by_key: Mapping[str, list[OutboxItem]] = defaultdict(list)
        for item in items:
            by_key[item.key].append(item)
        async with asyncio.TaskGroup() as group:
            for same_key in by_key.values():
                group.create_task(self._in_order(same_key))
        return items[-1].seq if len(items) == BATCH else newest

    async def _note(self, seq: int) -> None:
        """Write how far the topic is filled, and give up where the lease was lost."""
        now = self._now()
        held = await in_transaction(
            self._engine, lambda c: cursors.move(c, self._feed.cursor, self._owner, seq, now, LEASE_SECONDS)
        )
        self._leased_until, self._noted_seq = now + LEASE_SECONDS, seq
        if not held:
            log.info("another process fills %s now", self._feed.topic)
            self.seq = None

    async def _in_order(self, items: Sequence[OutboxItem]) -> None:
        """Publish changes of one key one after the other: the newest version must be the last on the topic."""
        for item in items:
            await self._publish(self._feed.topic, item.key, _MASKS.get(item.kind, dict)(item.body))

    async def _release(self) -> None:
        """Let the next process begin at once; without the database it waits for the lease to end."""
        if self.seq is None:
            return
        seq, self.seq, now = self.seq, None, self._now()
        try:
            async with asyncio.timeout(1.0), writing(self._engine) as connection:
                await cursors.move(connection, self._feed.cursor, self._owner, seq, now, LEASE_SECONDS)
                await cursors.release(connection, self._feed.cursor, self._owner)
        except Exception as error:
            log.info("lease of %s was not given back and ends by itself: %s", self._feed.topic, error)
