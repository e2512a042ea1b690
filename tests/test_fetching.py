"""Records are fetched when there is nothing else to do, and what one fetch brought is one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from stream.fetching import AT_MOST_SECONDS, fetch_after_batches
from stream.inbox import Inbox, Item

RECORD = SimpleNamespace(ack=AsyncMock())
LONG = 50 * AT_MOST_SECONDS


class Fetcher:
    """What aiokafka's fetcher is asked to do, with the number of requests that were made."""

    requests = 0

    async def _proc_fetch_request(self, *_: Any) -> bool:
        self.requests += 1
        return True


def a_house(keep: asyncio.Event, *, early: bool = False) -> tuple[Fetcher, Inbox, list[int]]:
    """A fetcher and an inbox whose batches end with `keep`, and the sizes of these."""
    sizes: list[int] = []

    async def handle(batch: Sequence[Item]) -> None:
        sizes.append(len(batch))
        if early:
            inbox.want_more()
        await keep.wait()

    fetcher, inbox = Fetcher(), Inbox(handle, most_per_batch=5)
    for _ in range(2):  # at every assignment
        fetch_after_batches(fetcher, inbox)
    return fetcher, inbox, sizes


async def asked_within(fetcher: Fetcher, seconds: float) -> bool:
    before = fetcher.requests
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            assert await fetcher._proc_fetch_request()
    return fetcher.requests == before + 1


async def test_an_idle_worker_asks_at_once() -> None:
    fetcher, inbox, _ = a_house(asyncio.Event())
    async with inbox:
        assert await asked_within(fetcher, AT_MOST_SECONDS / 2)


@pytest.mark.parametrize("early", [False, True])
async def test_a_busy_one_asks_when_its_batch_is_kept(early: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.fetching.AT_MOST_SECONDS", LONG)
    kept = asyncio.Event()
    fetcher, inbox, _ = a_house(kept, early=early)
    async with inbox:
        await inbox.put(RECORD, None)  # it is not even looked at when the next are asked for
        asking = asyncio.create_task(asked_within(fetcher, LONG))
        await asyncio.sleep(2 * AT_MOST_SECONDS)
        assert fetcher.requests == early
        kept.set()
        assert await asking and fetcher.requests == 1


async def test_a_long_batch_is_not_waited_for() -> None:
    fetcher, inbox, _ = a_house(asyncio.Event())
    async with inbox:
        await inbox.put(RECORD, None)
        assert await asked_within(fetcher, LONG)


async def test_whoever_stops_the_fetcher_is_not_cancelled_by_it() -> None:
    fetcher, inbox, _ = a_house(asyncio.Event())
    async with inbox:
        await inbox.put(RECORD, None)
        asking = asyncio.create_task(fetcher._proc_fetch_request())
        await asyncio.sleep(0)
        asking.cancel()
        assert await asking is False and fetcher.requests == 0


async def test_what_comes_in_turns_of_the_loop_is_one_batch_up_to_its_limit() -> None:
    kept = asyncio.Event()
    kept.set()
    _, inbox, sizes = a_house(kept)
    async with inbox:
        for _ in range(7):
            await inbox.put(RECORD, None)
            await asyncio.sleep(0)
        await inbox.put(RECORD, None)
        await asyncio.sleep(0.05)
    assert sizes == [5, 3]
