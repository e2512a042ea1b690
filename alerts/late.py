"""Messages for the chat worker (their verdict came too late, or a platform told of them): kept until Kafka has them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from alerts.feeds import Publish
from alerts.intake.schema import ChatMessage

log = logging.getLogger(__name__)

TOPIC = "chat.messages"
MOST_KEPT = 20_000
"""Kafka and the database are both away for longer than a minute of much traffic: then checks are refused."""
MOST_AT_ONCE = 200
RETRY_SECONDS = 0.5
CLOSE_SECONDS = 3.0


@dataclass(slots=True)
class _Late:
    """One message on its way to Kafka."""

    body: dict[str, Any]
    sent: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class LateChecks:
    """Publishes messages in the order in which they came, for as long as that takes."""

    def __init__(self, publish: Publish | None) -> None:
        self._publish = publish
        self._kept: deque[_Late] = deque()
        self._came = asyncio.Event()
        self._fails = False

    @property
    def kept(self) -> int:
        """How many Kafka does not have yet."""
        return len(self._kept)

    @property
    def is_full(self) -> bool:
        """Whether no more can be taken."""
        return len(self._kept) >= MOST_KEPT

    async def take(self, message: ChatMessage, seconds: float) -> bool:
        """Take a message, and return whether Kafka has it, at the latest after `seconds`; it is kept until it has."""
        late = _Late(message.model_dump(mode="json", exclude_none=True))
        self._kept.append(late)
        self._came.set()
        await asyncio.wait({late.sent}, timeout=seconds)
        return late.sent.done()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._came.wait()
            if not await self._send():
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Publish what is kept, as far as that goes in a few seconds; the process ends then."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._kept and await self._send():
                    pass
        except TimeoutError:
            pass
        if self._kept:
            log.error("%d checks that were late could not be handed to Kafka and are lost", len(self._kept))

    async def _send(self) -> bool:
        """Publish the oldest ones at once and forget those that Kafka has; return whether all went well."""
        if self._publish is None:
            return False
        # While Kafka is away only the first is tried: each try may take as long as a connection does.
        most = 1 if self._fails else MOST_AT_ONCE
        batch = [self._kept[n] for n in range(min(len(self._kept), most))]
        sending = [self._publish(TOPIC, str(late.body["conversation_id"]), late.body) for late in batch]
        results = await asyncio.gather(*sending, return_exceptions=True)
        failed: list[_Late] = []
        for late, result in zip(batch, results, strict=True):
            self._kept.popleft()
            if isinstance(result, BaseException):
                if not failed and not self._fails:
                    log.warning("late checks wait for Kafka: %s: %s", type(result).__name__, result)
                failed.append(late)
            elif not late.sent.done():
                late.sent.set_result(None)
        self._kept.extendleft(reversed(failed))
        self._fails = bool(failed)
        if not self._kept:
            self._came.clear()
        return not failed
