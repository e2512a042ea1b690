from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.feeds import FEEDS, LEASE_SECONDS, Feed, FeedRunner
from alerts.relay import Relay
from alerts.store.database import reading, writing
from alerts.store.outbox import OutboxRow, append
from alerts.store.outbox_tail import OutboxItem, last_seq
from alerts.store.tables import cursors
from tests.builders_alerts import database
from tests.builders_web import NOW, alert_change, tell

ALERTS = FEEDS[0]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url) as opened:
        yield opened


class Listener:
    """A hub's place: keeps the keys it is handed."""

    def __init__(self) -> None:
        self.begun_at: int | None = None
        self.got: list[str] = []
        self.came = asyncio.Event()

    def begin(self, seq: int) -> None:
        self.begun_at = seq
        self.came.set()

    async def deliver(self, items: Sequence[OutboxItem]) -> None:
        self.got += [item.key for item in items]
        self.came.set()

    async def until(self, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self.came.clear()
                await self.came.wait()


@contextlib.asynccontextmanager
async def _relaying(engine: AsyncEngine, listener: Listener) -> AsyncIterator[Relay]:
    relay = Relay(engine, listener.begin, listener.deliver)
    task = asyncio.create_task(relay.run())
    try:
        await listener.until(lambda: listener.begun_at is not None)
        yield relay
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_every_change_after_the_start_is_handed_on_once_in_order(engine: AsyncEngine) -> None:
    await tell(engine, alert_change(1), alert_change(2))
    listener = Listener()
    async with _relaying(engine, listener) as relay:
        assert listener.begun_at == relay.seq == 2
        for number in range(3, 1203):
            if number % 100 == 3:
                await tell(engine, *(alert_change(n) for n in range(number, number + 100)))
        await listener.until(lambda: len(listener.got) >= 1200)
    assert listener.got == [f"alert:{number}" for number in range(3, 1203)]


async def test_a_change_is_handed_on_at_once(engine: AsyncEngine) -> None:
    listener = Listener()
    async with _relaying(engine, listener) as relay:
        await asyncio.sleep(0.2)
        waits = []
        for number in range(5):
            began = time.monotonic()
            await tell(engine, alert_change(number))
            await listener.until(lambda: len(listener.got) > number)  # noqa: B023  (awaited here)
            waits.append(time.monotonic() - began)
        # PostgreSQL is looked at once a second only: without its call the median would be half of that.
        assert sorted(waits)[2] < 0.25, waits
        assert relay.behind_seconds() < 1.0


async def test_a_commit_that_is_held_back_is_not_passed_over(engine: AsyncEngine) -> None:
    # Number 1 is taken by a transaction that is slow to commit; number 2 must not become visible before it.
    listener = Listener()
    async with _relaying(engine, listener):
        held, release = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            async with writing(engine) as connection:
                await append(connection, [alert_change(1)])
                held.set()
                await release.wait()

        async def quick() -> None:
            await held.wait()
            await tell(engine, alert_change(2))

        writers = [asyncio.create_task(slow()), asyncio.create_task(quick())]
        await held.wait()
        await asyncio.sleep(1.3)  # longer than a look at either database takes
        assert listener.got == []
        release.set()
        await asyncio.gather(*writers)
        await listener.until(lambda: len(listener.got) == 2)
    assert listener.got == ["alert:1", "alert:2"]


async def test_two_processes_are_both_told(engine: AsyncEngine) -> None:
    first, second = Listener(), Listener()
    async with _relaying(engine, first), _relaying(engine, second):
        await tell(engine, alert_change(1))
        await first.until(lambda: first.got == ["alert:1"])
        await second.until(lambda: second.got == ["alert:1"])


async def test_a_relay_that_is_started_again_goes_on_where_it_was(engine: AsyncEngine) -> None:
    listener = Listener()
    relay = Relay(engine, listener.begin, listener.deliver)
    for number in (1, 2):
        task = asyncio.create_task(relay.run())
        await listener.until(lambda: relay.seq is not None)
        await tell(engine, alert_change(10 * number))
        await listener.until(lambda: len(listener.got) == 2 * number - 1)  # noqa: B023  (awaited here)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await tell(engine, alert_change(10 * number + 1))  # nobody listens to this one
        if number == 1:
            task = asyncio.create_task(relay.run())
            await listener.until(lambda: len(listener.got) == 2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert listener.got == ["alert:10", "alert:11", "alert:20"]


async def test_a_lost_connection_ends_the_relay_so_that_it_is_started_again(postgres_url: str) -> None:
    async with database(postgres_url) as engine:
        listener = Listener()
        relay = Relay(engine, listener.begin, listener.deliver)
        task = asyncio.create_task(relay.run())
        await listener.until(lambda: relay.seq is not None)
        async with reading(engine) as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        with pytest.raises(Exception, match="closed"):
            async with asyncio.timeout(10):
                await task
        task = asyncio.create_task(relay.run())
        await tell(engine, alert_change(1))
        await listener.until(lambda: listener.got == ["alert:1"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Topic:
    """A broker's place: keeps what is published, and may refuse."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse_after: int | None = None

    async def publish(self, topic: str, key: str, body: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        if self.refuse_after is not None and len(self.records) >= self.refuse_after:
            raise ConnectionError("the broker is away")
        self.records.append((topic, key, body))

    def keys(self, topic: str) -> list[str]:
        return [key for of, key, _ in self.records if of == topic]


class House:
    """Processes that fill topics from one database, on one clock."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.topic = Topic()
        self.now = NOW
        self.newest = 0

    async def tell(self, *rows: OutboxRow) -> None:
        await tell(self.engine, *rows)
        async with reading(self.engine) as connection:
            self.newest = await last_seq(connection)

    def runner(self, owner: str, feed: Feed = ALERTS, topic: Topic | None = None) -> FeedRunner:
        publish = (topic or self.topic).publish
        return FeedRunner(self.engine, feed, publish, owner, lambda: self.newest, lambda: self.now)


async def test_each_feed_gets_its_kinds_masked(engine: AsyncEngine) -> None:
    finding = {"text": "我的手机13800137712", "review_reason": None, "conversation_id": "13800137712", "id": 1}
    violation = OutboxRow("violation", "violation:1", "refunds", "a-1", finding, NOW)
    reminder = OutboxRow("reminder", "a-1", "refunds", "a-1", {"alert_id": 1}, NOW)
    interception = OutboxRow("interception", "interception:1", "refunds", "a-1", finding, NOW)
    house = House(engine)
    await house.tell(alert_change(1), interception, violation, reminder)
    for feed in FEEDS:
        assert await house.runner("one", feed).step()
    assert house.topic.keys("qa.alerts") == ["alert:1"]
    assert sorted(house.topic.keys("qa.interceptions")) == ["interception:1", "violation:1"]
    assert house.topic.keys("agent.reminders") == ["a-1"]
    told = [body for of, _, body in house.topic.records if of == "qa.interceptions"]
    # The text is masked, an id that looks like a number is not: it would lead nowhere.
    assert {(body["text"], body["conversation_id"]) for body in told} == {("我的手机138****7712", "13800137712")}


async def test_one_process_at_a_time_and_the_next_goes_on(engine: AsyncEngine) -> None:
    house = House(engine)
    first, second = (house.runner(owner) for owner in ("first", "second"))
    await house.tell(*(alert_change(n) for n in range(250)))
    assert await first.step()
    assert not await second.step()
    await house.tell(*(alert_change(n) for n in range(250, 260)))
    house.now += LEASE_SECONDS + 1  # the first is dead
    assert await second.step()
    assert not await first.step()
    assert sorted(house.topic.keys("qa.alerts")) == sorted(f"alert:{n}" for n in range(260))


async def test_what_the_broker_refused_is_published_again_and_nothing_is_left_out(engine: AsyncEngine) -> None:
    house = House(engine)
    await house.tell(*(alert_change(n) for n in range(150)))
    house.topic.refuse_after = 130
    runner = house.runner("one")
    with pytest.raises(ExceptionGroup):
        await runner.step()
    house.topic.refuse_after = None
    house.now += 1
    assert await house.runner("one").step()
    keys = house.topic.keys("qa.alerts")
    assert set(keys) == {f"alert:{n}" for n in range(150)}
    # A batch is published again whole, those before it are not.
    assert all(keys.count(f"alert:{n}") == 1 for n in range(100))


async def test_versions_of_one_alert_arrive_in_order(engine: AsyncEngine) -> None:
    rows = [alert_change(n % 3, state=str(n)) for n in range(60)]
    house = House(engine)
    await house.tell(*rows)
    await house.runner("one").step()
    for number in range(3):
        states = [body["state"] for _, key, body in house.topic.records if key == f"alert:{number}"]
        assert states == [str(n) for n in range(number, 60, 3)]


async def test_a_process_that_lost_its_lease_moves_nothing_back(engine: AsyncEngine) -> None:
    house = House(engine)
    await house.tell(*(alert_change(n) for n in range(5)))
    slow_topic, quick_topic = Topic(), Topic()
    slow = house.runner("slow", topic=slow_topic)
    quick = house.runner("quick", topic=quick_topic)
    overtaken = False

    async def stuck(topic: str, key: str, body: dict[str, Any]) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            house.now += LEASE_SECONDS + 1
            await house.tell(*(alert_change(n) for n in range(5, 8)))
            assert await quick.step()
        await slow_topic.publish(topic, key, body)

    slow._publish = stuck
    assert not await slow.step()
    async with reading(engine) as connection:
        row = (await connection.execute(select(cursors).where(cursors.c.name == ALERTS.cursor))).one()
    assert row.leased_by == "quick" and row.seq == 8
    assert len(quick_topic.records) == 8


async def test_a_process_that_stops_hands_its_lease_on(engine: AsyncEngine) -> None:
    house = House(engine)
    first, second = (house.runner(owner) for owner in ("first", "second"))
    task = asyncio.create_task(first.run())
    async with asyncio.timeout(5):
        while first.seq is None:  # noqa: ASYNC110  (an event for this test alone)
            await asyncio.sleep(0.01)
    assert not await second.step()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await second.step()
