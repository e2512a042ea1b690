"""Holds a topic whose records are mostly bad: a bad release of a publisher must not be set aside unseen."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mode
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.store import holds as hold_store
from alerts.store.database import reading, writing
from alerts.store.holds import Hold
from stream.app import App, assigned, source_of
from stream.inbox import Inbox, Item
from stream.metrics import HELD
from stream.records import BadRecord
from stream.reject_limit import WINDOW_RECORDS, RejectLimit

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How soon a release is noticed."""
FIRST_LOOK_SECONDS = 2.0
RENEW_SECONDS = hold_store.GONE_SECONDS / 6
LONGEST_ERROR = 500


@dataclass(slots=True)
class _TopicState:
    """What is known of one topic."""

    read: RejectLimit = field(default_factory=RejectLimit)
    """Whether records could be read."""
    kept: RejectLimit = field(default_factory=RejectLimit)
    """Whether the database took those that could."""
    hold: Hold | None = None
    """While it is held, and after the release until the topic is well again."""
    is_written: bool = True
    allowance: int = 0
    told_allowance: int = 0
    """As the database has it."""
    seen: int = 0
    """Records since the release."""

    def reason(self) -> str | None:
        """Return what is beyond a limit."""
        return self.read.reason() or self.kept.reason()

    @property
    def has_spent(self) -> bool:
        """Whether bad records were set aside since the database was told."""
        return self.hold is not None and self.hold.is_released and self.allowance != self.told_allowance


class Holds(mode.Service):
    """Counts good and bad per topic, stops a topic beyond the limit, and goes on when somebody says so."""

    def __init__(self, app: App, engine: AsyncEngine, inbox: Inbox, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._engine = engine
        self._inbox = inbox
        self._topics: dict[str, _TopicState] = defaultdict(_TopicState)
        self._to_flow: set[str] = set()
        self._knows_rows = False
        self._renewed_at = 0.0
        app.on_partitions_revoked.connect(self._revoked)

    async def on_start(self) -> None:
        """Take over what was held before a restart, ahead of the inbox; without the database it is taken over later."""
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self._look(time.time())
        except Exception as error:
            logger.warning("whether topics are held is not known yet: %s", error or "no answer")

    def keeps(self, item: Item) -> bool:
        """Return whether the item's topic is held; the item then waits in the inbox, unacknowledged."""
        if not self._inbox.is_held(item.topic):
            return False
        self._inbox.keep(item)
        # As Faust itself does where a buffer is full. Its pause_partitions would drop what is fetched already, take it
        # for a gap and commit beyond it. Again for each: a rebalance, or Faust's buffer running dry, fetches on.
        self._app.consumer.on_buffer_full(item.event.message.tp)
        return True

    def good(self, item: Item) -> None:
        """Count a record that could be read."""
        state = self._topics[item.topic]
        state.read.note(is_bad=False)
        state.seen += 1

    def bad(self, item: Item, error: BadRecord) -> bool:
        """Count a record that cannot be read; return whether it is to be set aside.

        False where it is one too many: it waits then, and what comes after it.
        """
        state = self._topics[item.topic]
        state.read.note(is_bad=True)
        state.seen += 1
        if self._may_go(state):
            return True
        self._begin(self._hold_of(item, error, state.reason() or ""))
        return not self.keeps(item)

    def kept(self, item: Item) -> None:
        """Count a record that the database took."""
        self._topics[item.topic].kept.note(is_bad=False)

    def refused(self, item: Item, error: BadRecord) -> None:
        """Count a record that the database refused. It is set aside in any case: its batch is under way."""
        state = self._topics[item.topic]
        state.kept.note(is_bad=True)
        if not self._may_go(state) and not self._inbox.is_held(item.topic):
            self._begin(self._hold_of(item, error, state.reason() or ""))

    def why_not_ready(self) -> str | None:
        """Return what is held and how to go on."""
        held = [state.hold for state in self._topics.values() if state.hold and self._inbox.is_held(state.hold.topic)]
        return " ".join(hold_store.advice(held)) or None

    def _may_go(self, state: _TopicState) -> bool:
        """Return whether a bad record may be set aside: within a release, which counts down, or within the limit."""
        if state.allowance > 0:
            state.allowance -= 1
            return True
        return state.reason() is None

    def _hold_of(self, item: Item, error: BadRecord, reason: str) -> Hold:
        now = time.time()
        sample_error = f"{error.reason}: {error}"[:LONGEST_ERROR]
        return Hold(item.topic, self._app.worker_name, now, reason, source_of(item.event), sample_error, now)

    def _begin(self, hold: Hold, *, is_written: bool = False) -> None:
        """Stop a topic."""
        state = self._topics[hold.topic]
        state.hold, state.is_written, state.allowance = hold, is_written, 0
        self._inbox.hold(hold.topic)
        self._to_flow.discard(hold.topic)
        HELD.labels(topic=hold.topic).set(1)
        logger.error("%s", *hold_store.advice([hold]))

    def _go_on(self, hold: Hold) -> None:
        """Let a released topic flow again."""
        state = self._topics[hold.topic]
        state.hold, state.allowance, state.told_allowance, state.seen = hold, hold.allowance, hold.allowance, 0
        if self._inbox.is_held(hold.topic):
            self._inbox.resume(hold.topic)
            self._to_flow.add(hold.topic)
        HELD.labels(topic=hold.topic).set(0)
        logger.warning("%s goes on: %s released %d bad records of it", hold.topic, hold.released_by, hold.allowance)

    @mode.Service.task
    async def _follow(self) -> None:
        """Write holds down and look for releases, however long the database is away."""
        failed = False
        while not self.should_stop:
            try:
                await self._look(time.time())
                failed = False
            except Exception as error:
                if not failed:
                    logger.warning("holds cannot be read or written, going on trying: %s", error)
                failed = True
            self._let_flow()
            await self.sleep(LOOK_SECONDS)

    async def _look(self, now: float) -> None:
        """Bring the database and this worker together; asks nothing while no topic has a hold."""
        before = {topic: (state, state.hold) for topic, state in self._topics.items() if state.hold is not None}
        if self._knows_rows and not before:
            return
        news = [
            state for state, _ in before.values() if not state.is_written or self._is_over(state) or state.has_spent
        ]
        if news or now - self._renewed_at >= RENEW_SECONDS:
            rows = await self._write(before, now)
            self._renewed_at = now
        else:
            async with reading(self._engine) as connection:
                rows = await hold_store.of_worker(connection, self._app.worker_name)
        self._knows_rows = True
        for topic, (state, hold) in before.items():
            if state.hold is not hold:
                continue  # another one began while this was written
            state.is_written = True
            if not any(row.topic == topic for row in rows):
                state.hold, state.allowance = None, 0
        for row in rows:
            self._compare(row)

    async def _write(self, states: Mapping[str, tuple[_TopicState, Hold | None]], now: float) -> list[Hold]:
        """Write what changed and return this worker's rows as they are then."""
        worker = self._app.worker_name
        async with writing(self._engine) as connection:
            for topic, (state, hold) in states.items():
                if hold is not None and not state.is_written:
                    await hold_store.put(connection, hold)
                elif self._is_over(state):
                    await hold_store.drop(connection, topic, worker)
                elif state.has_spent:
                    state.told_allowance = state.allowance
                    await hold_store.spend(connection, topic, worker, state.allowance)
            await hold_store.renew(connection, worker, now)
            return await hold_store.of_worker(connection, worker)

    def _compare(self, row: Hold) -> None:
        """Do what a row says: go on where it was released, and after a restart hold what was held before."""
        state = self._topics[row.topic]
        if not state.is_written:
            return
        if row.is_released:
            if state.hold is None or not state.hold.is_released:
                self._go_on(row)
        elif state.hold is None:
            self._begin(row, is_written=True)

    def _is_over(self, state: _TopicState) -> bool:
        """Return whether a released topic is well: its allowance is used up, or all that is counted is newer."""
        if state.hold is None or not state.hold.is_released or state.reason() is not None:
            return False
        return state.allowance == 0 or state.seen >= WINDOW_RECORDS

    def _let_flow(self) -> None:
        """Fetch again what was resumed: not before the inbox has taken up what it kept, for that stops it anew."""
        for topic in [topic for topic in self._to_flow if not self._inbox.is_held(topic)]:
            self._to_flow.discard(topic)
            for tp in assigned(self._app):
                if tp.topic == topic:
                    self._app.consumer.on_buffer_drop(tp)

    async def _revoked(self, *arguments: Any, **_: Any) -> None:
        """Forget what is kept of partitions that are given out anew: they are delivered again."""
        self._inbox.drop_held(arguments[-1])
