"""Waiting for the first of some coroutines: as mode's does, without tasks where nothing is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from faust.transport.drivers import aiokafka

from stream.consumer import LOOK_AGAIN_SECONDS, Consumer, PromptService


class Waiter(PromptService):
    """A service as Faust's consumer is one."""


@pytest.fixture
async def waiter() -> AsyncIterator[Waiter]:
    service = Waiter()
    await service.start()
    yield service
    await service.stop()


async def test_what_does_not_wait_makes_no_task_and_the_other_is_not_begun(waiter: Waiter) -> None:
    begun: list[str] = []

    async def deliver() -> str:
        return "delivered"

    async def other() -> None:
        begun.append("other")

    tasks = asyncio.all_tasks()
    first = deliver()
    result = await waiter.wait_first(first, other())
    assert result.done == [first] and result.results == ["delivered"] and not result.stopped
    assert asyncio.all_tasks() == tasks and begun == []


async def test_what_waits_goes_on_from_where_it_was(waiter: Waiter) -> None:
    steps: list[str] = []
    gate = asyncio.Event()

    async def deliver() -> int:
        steps.append("begun")
        await gate.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        steps.append("done")
        return 7

    asyncio.get_running_loop().call_later(0.05, gate.set)
    result = await waiter.wait_first(deliver(), asyncio.Event().wait())
    assert result.results == [7] and steps == ["begun", "done"]


async def test_a_delivery_that_hangs_is_broken_off_and_cleans_up(waiter: Waiter) -> None:
    cleaned = asyncio.Event()
    broken_off = asyncio.Event()

    async def deliver() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    asyncio.get_running_loop().call_later(0.05, broken_off.set)
    suspended = broken_off.wait()
    result = await waiter.wait_first(deliver(), suspended)
    assert result.done == [suspended]
    async with asyncio.timeout(5):
        await cleaned.wait()


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_comes_out(waiter: Waiter, waits: bool) -> None:
    async def deliver() -> None:
        if waits:
            await asyncio.sleep(0.01)
        raise ValueError("bad delivery")

    other = asyncio.Event().wait()
    with pytest.raises(ValueError, match="bad delivery"):
        await waiter.wait_first(deliver(), other)
    other.close()


async def test_a_wait_is_ended_by_the_end_of_the_service(waiter: Waiter) -> None:
    asyncio.get_running_loop().call_later(0.05, waiter._stopped.set)
    result = await waiter.wait_first(asyncio.Event().wait())
    assert result.stopped


@pytest.mark.parametrize(("full", "waits"), [(set(), 1.0), ({"audio.frames-0"}, LOOK_AGAIN_SECONDS)])
async def test_where_a_partition_is_full_the_others_are_not_waited_for(
    full: set[str], waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a backlog the full one may have room again in a moment, and its records are fetched already.
    async def fetched(self: Consumer, timeout: float) -> tuple[float, None]:  # noqa: ASYNC109
        return timeout, None

    monkeypatch.setattr(aiokafka.Consumer, "_wait_next_records", fetched)
    consumer = Consumer.__new__(Consumer)
    consumer._buffered_partitions = full  # type: ignore[assignment]
    assert await consumer._wait_next_records(1.0) == (waits, None)


@pytest.mark.parametrize("rebalancing", [True, False])
async def test_nothing_is_committed_while_the_group_joins_anew(
    rebalancing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def committed(self: Consumer, *_: object) -> bool:
        return True

    monkeypatch.setattr(aiokafka.Consumer, "commit", committed)
    consumer = Consumer.__new__(Consumer)
    consumer.app = SimpleNamespace(rebalancing=rebalancing)  # type: ignore[assignment]
    assert await consumer.commit() is not rebalancing
