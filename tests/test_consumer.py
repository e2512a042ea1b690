from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mode import Service

from stream.consumer import DirectConsumer


def consumer() -> Any:
    """The consumer as a service, without the Kafka that it is made of otherwise."""
    made = DirectConsumer.__new__(DirectConsumer)
    Service.__init__(made)
    return made


async def race(call: Any, event: asyncio.Event, of: Any = None) -> Any:
    async with asyncio.timeout(2):
        return await (of or consumer()).wait_first(call, event.wait())


async def test_what_need_not_wait_is_done_without_a_task() -> None:
    made: list[int] = []

    async def call() -> str:
        made.append(len(asyncio.all_tasks()))
        return "kept"

    before = len(asyncio.all_tasks())
    result = await race(call(), asyncio.Event())
    assert (result.results, result.stopped) == (["kept"], False)
    assert made == [before]


async def test_what_waits_for_room_goes_on_where_it_was() -> None:
    room: asyncio.Queue[int] = asyncio.Queue(1)
    await room.put(1)

    async def call() -> str:
        await room.put(2)
        await asyncio.sleep(0)
        await room.put(3)
        return "put"

    async def take() -> list[int]:
        return [await room.get() for _ in range(3)]

    result, taken = await asyncio.gather(race(call(), asyncio.Event()), take())
    assert result.results == ["put"]
    assert taken == [1, 2, 3]


async def test_a_rebalance_ends_the_wait_for_room() -> None:
    suspended, ended = asyncio.Event(), []

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    asyncio.get_running_loop().call_later(0.05, suspended.set)
    result = await race(call(), suspended)
    await asyncio.sleep(0)
    assert result.results == [True]
    assert ended == ["cancelled"]


@pytest.mark.parametrize("waits", [False, True])
async def test_errors_come_out(waits: bool) -> None:
    async def call() -> None:
        if waits:
            await asyncio.sleep(0.01)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await race(call(), asyncio.Event())


async def test_a_consumer_that_stops_says_so() -> None:
    async def call() -> None: ...

    made = consumer()
    made._stopped.set()
    assert (await race(call(), asyncio.Event(), made)).stopped
