"""What others get of a call's scores: one record on `qa.scores` for every second, best effort."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

import orjson

from detectors.values import Score, Side
from stream.app import App
from stream.calls import Call
from stream.outlet import Outgoing
from stream.topics import topic_name

logger = logging.getLogger(__name__)

TELL_SECONDS = 2.0
"""How long scores may take to reach the broker before the next are more worth telling."""

Baselines = Mapping[Side, Mapping[str, tuple[float, bool]]]
"""Side -> metric -> (value, True while provisional), as the Bank gives them."""


def score_record(call: Call, score: Score, baselines: Baselines) -> bytes:
    """Return the JSON of `qa.scores`."""
    who = call.conversation
    return orjson.dumps(
        {
            "conversation_id": score.conversation_id,
            "at_ms": round(score.at_seconds * 1000),
            "agent_id": who.agent_id,
            "agent_name": who.agent_name,
            "team": who.team,
            "language": who.language,
            "sides": score.sides,
            "baselines": {
                side: {
                    metric: {"value": value, "provisional": is_provisional}
                    for metric, (value, is_provisional) in known.items()
                }
                for side, known in baselines.items()
            },
            "lag_ms": next((metrics.get("signal.lag_ms") for metrics in score.sides.values()), None),
            "lost_ms": round(score.lost_seconds * 1000),
            "hold": call.on_hold,
            "degraded": time.time() < call.degraded_until,
        }
    )


class ScoreFeed:
    """Publishes scores; what does not go out in time is dropped, for the next second brings new ones."""

    def __init__(self, app: App) -> None:
        self._outlet = app.outlet
        self._topic = topic_name(app.tonewatch, "qa.scores")
        self._telling: asyncio.Task[None] | None = None

    async def tell(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Publish (conversation_id, JSON) each, once those before are delivered; their own delivery is not awaited."""
        if self._telling is not None:
            await self._telling
        self._telling = asyncio.create_task(self._tell(records))

    async def _tell(self, records: Sequence[tuple[str, bytes]]) -> None:
        headers = [("content-type", b"application/json"), ("ce_specversion", b"1.0"), ("ce_type", b"qa.score")]
        try:
            async with asyncio.timeout(TELL_SECONDS):
                await self._outlet.send(
                    [Outgoing(self._topic, name.encode(), value, headers) for name, value in records]
                )
        except Exception as error:
            logger.warning("%d scores could not be told: %s", len(records), error)
