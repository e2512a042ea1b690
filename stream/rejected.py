"""Poison: what cannot be used goes to `<topic>.rejected` as it came, with the reason, and is counted."""

from __future__ import annotations

from collections.abc import Sequence

from stream.app import App
from stream.inbox import Item
from stream.metrics import REJECTED
from stream.outlet import Outgoing
from stream.records import REJECT_HEADERS, BadRecord, header_map
from stream.topics import rejected_name

LONGEST_ERROR = 500
"""Characters of the explanation that go into the header."""


class Rejects:
    """Sends poison away; the caller acknowledges it afterwards like any other event."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(self, bad: Sequence[tuple[Item, BadRecord]]) -> None:
        """Publish each record with headers `reason`, `error`, `topic`, `partition`, `offset`, and await delivery."""
        records = []
        for item, error in bad:
            message = item.event.message
            came = [(name, value) for name, value in header_map(message.headers).items() if name not in REJECT_HEADERS]
            headers = came + [
                ("reason", error.reason.encode()),
                ("error", str(error)[:LONGEST_ERROR].encode("utf-8", "replace")),
                ("topic", message.topic.encode()),
                ("partition", b"%d" % message.partition),
                ("offset", b"%d" % message.offset),
            ]
            # aiokafka sends no record without key and value, though others do: it would be tried for ever.
            value = b"" if message.key is None and message.value is None else message.value
            records.append(Outgoing(rejected_name(message.topic), message.key, value, headers))
        await self._app.outlet.send(records)
        for item, error in bad:
            REJECTED.labels(topic=item.topic, reason=error.reason).inc()
