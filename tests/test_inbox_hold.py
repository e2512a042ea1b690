from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from stream.inbox import Inbox, Item


class Stream:
    """Stands where Faust's stream does: notes what is acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[str, int, int]] = []

    async def ack(self, event: Any) -> None:
        message = event.message
        self.acknowledged.append((message.topic, message.partition, message.offset))


def event(topic: str, offset: int, partition: int = 0) -> Any:
    tp = TP(topic, partition)
    return SimpleNamespace(message=SimpleNamespace(tp=tp, topic=topic, partition=partition, offset=offset))


class House:
    """An inbox whose handler holds `held` from a given offset on."""

    def __init__(self, hold_from: int) -> None:
        self.stream = Stream()
        self.handled: list[tuple[str, int, int]] = []
        self.hold_from: int | None = hold_from
        self.inbox = Inbox(self.handle, most_per_batch=4)

    async def handle(self, batch: Sequence[Item]) -> None:
        for item in self.inbox.ours(batch):
            message = item.event.message
            if item.topic == "held" and self.hold_from is not None and message.offset >= self.hold_from:
                self.inbox.hold("held")
            if self.inbox.is_held(item.topic):
                self.inbox.keep(item)
            else:
                self.handled.append((message.topic, message.partition, message.offset))
            await asyncio.sleep(0)

    async def put(self, *events: Any) -> None:
        for each in events:
            await self.inbox.put(self.stream, each)

    async def release(self) -> None:
        self.hold_from = None
        self.inbox.resume("held")
        await self.settled()

    async def settled(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)


@asynccontextmanager
async def a_house(hold_from: int) -> AsyncIterator[House]:
    house = House(hold_from)
    await house.inbox.start()
    try:
        yield house
    finally:
        await house.inbox.stop()


def offsets(of: Sequence[tuple[str, int, int]], topic: str = "held", partition: int = 0) -> list[int]:
    return [offset for name, number, offset in of if (name, number) == (topic, partition)]


async def test_what_is_held_is_not_acknowledged_and_the_other_topic_goes_on() -> None:
    async with a_house(hold_from=3) as house:
        for offset in range(10):
            await house.put(event("held", offset), event("other", offset))
        await house.settled()
        assert house.handled == house.stream.acknowledged
        assert offsets(house.handled) == [0, 1, 2]
        assert offsets(house.handled, "other") == list(range(10))
        assert house.inbox.held_topics() == {"held"}
        assert house.inbox.waiting() == 0, "the watchdog must not take it for work to do"


async def test_after_the_release_everything_comes_in_order_and_once() -> None:
    async with a_house(hold_from=3) as house:
        await house.put(*(event("held", offset, offset % 2) for offset in range(10)))
        await house.settled()
        await house.put(*(event("held", offset, offset % 2) for offset in range(10, 14)))
        await house.release()
        await house.put(*(event("held", offset, offset % 2) for offset in range(14, 16)))
        await house.settled()
        for partition in (0, 1):
            assert offsets(house.handled, partition=partition) == list(range(partition, 16, 2))
        assert house.handled == house.stream.acknowledged
        assert not house.inbox.held_topics()


async def test_a_release_while_nothing_comes_wakes_the_inbox() -> None:
    async with a_house(hold_from=0) as house:
        await house.put(event("held", 0))
        await house.settled()
        assert not house.handled
        await house.release()
        assert offsets(house.stream.acknowledged) == [0]


async def test_held_again_after_the_release_keeps_the_order() -> None:
    async with a_house(hold_from=2) as house:
        await house.put(*(event("held", offset) for offset in range(12)))
        await house.settled()
        house.hold_from = 7
        house.inbox.resume("held")
        await house.settled()
        assert offsets(house.stream.acknowledged) == [0, 1, 2, 3, 4, 5, 6]
        await house.release()
        assert offsets(house.stream.acknowledged) == list(range(12))


async def test_partitions_that_are_given_out_anew_are_delivered_again() -> None:
    async with a_house(hold_from=2) as house:
        await house.put(*(event("held", offset, partition) for offset in range(6) for partition in (0, 1)))
        await house.settled()
        house.inbox.drop_held({TP("held", 0)})
        await house.put(*(event("held", offset, 0) for offset in range(2, 8)))
        await house.settled()
        await house.release()
        assert offsets(house.handled, partition=0) == list(range(8))
        assert offsets(house.handled, partition=1) == list(range(6))


async def test_what_is_delivered_twice_is_kept_once() -> None:
    async with a_house(hold_from=2) as house:
        await house.put(*(event("held", offset) for offset in range(6)))
        await house.settled()
        # The inbox had these when the partitions were given out anew, and gets all since the last commit again.
        await house.put(*(event("held", offset) for offset in range(2, 9)))
        await house.settled()
        await house.release()
        assert offsets(house.handled) == list(range(9))


async def test_what_is_still_queued_of_a_partition_that_was_taken_away_is_left_to_its_new_owner() -> None:
    """Handled, it would take up a call again that another worker follows; acknowledged, it would be lost."""
    async with a_house(hold_from=10**9) as house:
        mine, gone = TP("free", 0), TP("free", 1)
        house.inbox.lose([mine, gone])
        house.inbox.regain([mine])
        await house.put(event("free", 1), event("free", 1, partition=1), event("free", 2))
        await house.settled()
        assert house.handled == house.stream.acknowledged == [("free", 0, 1), ("free", 0, 2)]
        house.inbox.regain([gone])
        await house.put(event("free", 1, partition=1))
        await house.settled()
        assert house.handled[-1] == house.stream.acknowledged[-1] == ("free", 1, 1)
