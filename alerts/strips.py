"""The last two minutes of every live call, in memory: what the live floor draws when it is opened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT_SECONDS = 120.0
FORGET_SECONDS = 90.0
"""A call without a score for this long is not live; the sweep closes its alerts at the same time."""
STRIP_METRICS = ("speech_rate.spm", "volume.over_baseline_db", "intonation.f0_shift_semitones")
"""What a row of the agent wall draws."""
_KEPT_METRICS = (*STRIP_METRICS, "volume.level_dbov", "speech.active")
_SIDES = ("agent", "customer")

# Numbers in one block a call: 1,000 calls are 11 MB that stay where they are. As records they took 300, as tuples of
# floats 50, in small pieces between what comes and goes, and the process grew by its holes for as long as it ran.
_MOMENTS = round(KEPT_SECONDS) + 1


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@dataclass(slots=True)
class Strip:
    """One live call: its newest record whole, and a few metrics of the last two minutes."""

    latest: Mapping[str, Any]
    """The newest record of `qa.scores`."""
    heard_at: float
    """Unix time when it came."""
    _times: NDArray[np.float64] = field(default_factory=lambda: np.full(_MOMENTS, -math.inf))
    """(moment,): seconds into the call, the newest last."""
    _values: NDArray[np.float64] = field(
        default_factory=lambda: np.full((_MOMENTS, len(_SIDES), len(_KEPT_METRICS)), math.nan)
    )
    """(moment, side, metric), NaN where it was not known."""

    def add(self, record: Mapping[str, Any], now: float) -> None:
        """Take the next record; one that is not newer than the last (a redelivery) changes nothing."""
        at = record["at_ms"] / 1000.0
        if at <= self._times[-1]:
            return
        sides = record.get("sides") or {}
        known = [[(sides.get(side) or {}).get(name) for name in _KEPT_METRICS] for side in _SIDES]
        values = np.array(known, np.float64)  # raises where it is no number, before anything is moved
        self._times[:-1], self._values[:-1] = self._times[1:], self._values[1:]
        self._times[-1], self._values[-1] = at, values
        self.latest, self.heard_at = record, now

    @property
    def at_seconds(self) -> float:
        """Time in the call of the newest record."""
        return float(self.latest["at_ms"]) / 1000.0

    def points(self, metric: str, seconds: float, side: str = "agent") -> list[tuple[float, float | None]]:
        """Return (time in the call, value) of the last `seconds`, None where it was not known."""
        asked = self._times > self.at_seconds - seconds
        values = self._values[asked, _SIDES.index(side), _KEPT_METRICS.index(metric)]
        return list(zip(self._times[asked].tolist(), map(_known, values.tolist()), strict=True))

    def moments(self) -> list[dict[str, Any]]:
        """Return the kept metrics of both sides, second by second."""
        asked = self._times >= self.at_seconds - KEPT_SECONDS
        return [
            {
                "at_seconds": at,
                "sides": {
                    side: dict(zip(_KEPT_METRICS, map(_known, row), strict=True))
                    for side, row in zip(_SIDES, rows, strict=True)
                },
            }
            for at, rows in zip(self._times[asked].tolist(), self._values[asked].tolist(), strict=True)
        ]


class Strips:
    """All live calls that this process has heard of on `qa.scores`."""

    def __init__(self) -> None:
        self._calls: dict[str, Strip] = {}

    def add(self, record: Mapping[str, Any], now: float) -> None:
        """Take one record of `qa.scores` at Unix time `now`."""
        name = record["conversation_id"]
        strip = self._calls.setdefault(name, Strip(record, now))
        strip.add(record, now)

    def get(self, conversation_id: str) -> Strip | None:
        """Return one call, None where nothing is known of it."""
        return self._calls.get(conversation_id)

    def live(self, now: float) -> Iterator[Strip]:
        """Give the calls that were heard lately, and forget the others."""
        for name in [name for name, strip in self._calls.items() if strip.heard_at < now - FORGET_SECONDS]:
            del self._calls[name]
        yield from self._calls.values()

    def lag_seconds(self, now: float, scored_within: float) -> float:
        """Return how late the audio is scored: of 20 calls, 19 are not later than this; 0 while nobody speaks.

        Not the latest of all: one bad line shows its own lag in its row.
        """
        lags = sorted(
            float(strip.latest.get("lag_ms") or 0.0) / 1000.0
            for strip in self.live(now)
            if strip.heard_at >= now - scored_within
        )
        return lags[len(lags) * 19 // 20] if lags else 0.0
