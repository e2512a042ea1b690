"""Faust's consumer, which hands a record on without making tasks for it where there is nothing to wait for."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

import mode
from faust.transport.drivers import aiokafka
from mode.services import WaitResults

from stream.one_loop import OneLoopConsumer

LOOK_AGAIN_SECONDS = 0.02
"""How long to wait for some partitions while others are full."""


class PromptService(mode.Service):
    """A service that looks first whether the first of what it waits for waits at all."""

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109  (mode's signature)
        """Wait for the first of some coroutines to end; as mode's, which makes a task for each and two of its own."""
        first, *others = coros
        if isinstance(first, Coroutine) and not self.should_stop:
            try:
                waits_for = first.send(None)
            except BaseException as end:
                for other in others:
                    other.close()  # it was not begun, and nobody will
                if isinstance(end, StopIteration):
                    return WaitResults([first], [end.value], False)
                raise
            first = _carried_on(first, waits_for)
        return await super().wait_first(first, *others, timeout=timeout)


async def _carried_on(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    """Await a coroutine that was begun and waits for the future `waits_for`."""
    return await _steps(begun, waits_for)


@types.coroutine
def _steps(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    while True:
        try:
            go_on = partial(begun.send, (yield waits_for))
        except BaseException as error:  # a cancellation, or whatever the future was given
            go_on = partial(begun.throw, error)
        try:
            waits_for = go_on()
        except StopIteration as done:
            return done.value


class Consumer(PromptService, aiokafka.Consumer):
    """Takes records from Kafka and hands them to the agents.

    Faust's waits for each record's delivery or for a rebalance that breaks it off, whichever comes first. At 1,000
    messages a second the four tasks a record took a tenth of the worker's time; nearly no delivery waits.
    """

    def _new_consumer_thread(self) -> OneLoopConsumer:
        return OneLoopConsumer(self, loop=self.loop, beacon=self.beacon)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what was acknowledged, but nothing while the group joins anew: it comes again to whoever gets it.

        Kafka answers such a commit after the join, by when its generation is gone, and refuses it: the member that has
        just joined must join once more, and everybody waits for that.
        """
        if self.app.rebalancing:
            return False
        return await super().commit(topics, start_new_transaction)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109  (Faust's signature)
        """Wait for records of the partitions that have room, and soon look again which these are.

        Faust asks for them alone and waits a second for one, though a partition that was full may have room again and
        thousands of records fetched: a worker with a backlog stood still for a third of its time.
        """
        return await super()._wait_next_records(LOOK_AGAIN_SECONDS if self._buffered_partitions else timeout)


class Transport(aiokafka.Transport):
    """Faust's way to Kafka, with our consumer."""

    Consumer = Consumer
