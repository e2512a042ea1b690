"""What a report holds: plain numbers of one recording, from which the page and the picture are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray
from detectors.columns import STEP_SECONDS
from detectors.values import Severity, Side

Series = NDArray[np.float64]
"""One value a second of the call, NaN where it is not known; index i is the score at second i + 1."""
Span = tuple[float, float]
"""[from, to) in seconds of the call."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a rule begins to look at a metric: the dashed line of its chart."""

    metric: str
    value: float
    is_upper: bool
    rule_name: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """An alert as the live floor would have raised it."""

    rule_id: str
    rule_name: Mapping[str, str]
    severity: Severity
    """The gravest it reached."""
    rises: tuple[tuple[Severity, float], ...]
    """Each severity it was raised to, and when."""
    begins: float
    ends: float | None
    """None where it was still open when the recording ended."""
    side: Side | None
    metric: str | None
    worst: float | None
    """The value furthest past the limit."""
    limit: float | None
    unit: str | None
    is_lower: bool
    """Whether the limit is one to stay above."""

    def within(self, seconds: float) -> Span:
        """From when to when it stood, in a call of that length."""
        return self.begins, seconds if self.ends is None else self.ends


@dataclass(frozen=True, slots=True)
class SideReport:
    """One side of the call."""

    side: Side
    wave: NDArray[np.float32]
    """(steps, 2): smallest and largest sample of every 20 ms, full scale 1.0."""
    speech: BoolArray
    """(steps,): whether the side speaks, one value a 20 ms."""
    metrics: Mapping[str, Series]
    """Every audio metric of the catalogue."""
    pitch_hz: Series
    """(steps,): pitch contour by pYIN, NaN where not voiced."""
    level_dbov: float
    """Active speech level of the whole recording, ITU-T P.56."""
    limits: tuple[Limit, ...]

    @property
    def speech_seconds(self) -> float:
        """How long the side speaks."""
        return float(self.speech.sum()) * STEP_SECONDS


@dataclass(frozen=True, slots=True)
class Event:
    """Something between the two sides that has a beginning and an end."""

    kind: Literal["dead_air", "overtalk", "hold"]
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Interruption:
    """One side cut into the other's talk."""

    side: Side
    """Who did."""
    at: float


@dataclass(frozen=True, slots=True)
class Talk:
    """What the two sides do to each other; empty where only one side was recorded."""

    events: tuple[Event, ...]
    interruptions: tuple[Interruption, ...]
    overtalk_seconds: float
    longest_silence: Span | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown of one recording."""

    file_name: str
    file_time: float
    """Unix time the file was last written: recordings carry no date of their own."""
    seconds: float
    sides: tuple[SideReport, ...]
    talk: Talk
    alerts: tuple[AlertSpan, ...]
    version: str
    """Of the product that made it."""
