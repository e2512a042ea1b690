"""Faust's Kafka client on the loop of the worker: started, called, stopped and crashed there."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from stream.one_loop import OneLoopConsumer


class Client(OneLoopConsumer):
    """Notes what is done to it, and needs no broker."""

    def __post_init__(self) -> None:
        self.noted: list[str] = []
        self.refuses = False

    async def on_start(self) -> None:
        if self.refuses:
            raise ConnectionError("no broker")
        self.noted.append(threading.current_thread().name)

    async def on_thread_stop(self) -> None:
        await asyncio.sleep(0.05)
        self.noted.append("left the group")


@pytest.fixture
async def client() -> Client:
    consumer = SimpleNamespace(transport=SimpleNamespace(app=None))
    return Client(consumer, loop=asyncio.get_running_loop())


async def test_it_needs_no_thread_and_leaves_the_tasks_of_others_alone(client: Client) -> None:
    threads = threading.active_count()
    other = asyncio.create_task(asyncio.sleep(60))
    await client.start()
    assert client.noted == [threading.current_thread().name] and threading.active_count() == threads
    await client.stop()
    assert client.noted[1:] == ["left the group"] and not other.done()
    other.cancel()


async def test_what_is_called_is_called_at_once_and_its_error_comes_out(client: Client) -> None:
    async def position(partition: int) -> int:
        if partition < 0:
            raise ValueError("no such partition")
        return partition * 10

    await client.start()
    assert await client.call_thread(position, 3) == 30
    assert await client.call_thread(lambda partition: partition, partition=4) == 4
    with pytest.raises(ValueError, match="no such partition"):
        await client.call_thread(position, -1)
    await client.stop()


async def test_a_client_that_cannot_start_says_why(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    client.refuses = True
    with pytest.raises(ConnectionError, match="no broker"):
        await client.start()
    async with asyncio.timeout(5):
        await client.stop()
