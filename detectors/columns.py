"""The pieces every detector works on: a block of rows and 20 ms steps, and the wait until a step is settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.values import BoolArray, FloatArray, IntArray

T = TypeVar("T", bound=np.generic)

HOP_SAMPLES = 80
HOPS_PER_STEP = 2
STEP_SAMPLES = HOP_SAMPLES * HOPS_PER_STEP
STEP_SECONDS = 0.02
STEPS_PER_SECOND = 50
SETTLE_STEPS = 15
"""A step's label is final 0.3 s later: 200 ms that a pause may still be filled, 100 ms that speech must last."""
QUIET_DBOV = -100.0
"""Stands for digital silence where a logarithm would be minus infinity."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The steps of a block whose labels are final: (rows, steps); row r has `counts[r]` of them, all of one second."""

    counts: IntArray
    first_step: IntArray
    """Absolute index of each row's first step; time = index * 0.02 s. Negative before a call's beginning."""
    known: BoolArray
    """False where audio was lost, before the row began, and past `counts`."""
    speech: BoolArray
    """True where this side speaks; never where not `known`."""
    through: BoolArray
    """`speech`, and the losses of at most 0.2 s inside it, so that a rate is not interrupted by a lost packet."""


def delay(waiting: NDArray[T], fresh: NDArray[T], counts: IntArray) -> NDArray[T]:
    """Push `fresh` (rows, n) through the queue `waiting` (rows, length): returns what comes out, (rows, n).

    Row r takes part with its first `counts[r]` values; what comes out past them is meaningless. `waiting` is changed.
    """
    both = np.concatenate([waiting, fresh], axis=1)
    keep = counts[:, None] + np.arange(waiting.shape[1])
    waiting[:] = np.take_along_axis(both, keep, axis=1)
    return both[:, : fresh.shape[1]]


def decibels(power: FloatArray) -> FloatArray:
    """10 * log10 of a mean square, float32, never below -100."""
    return np.asarray(10 * np.log10(np.maximum(power, np.float32(1e-10))), np.float32)


def within(counts: IntArray, columns: int) -> BoolArray:
    """(rows, columns): True where the column lies before the row's count."""
    return np.asarray(np.arange(columns) < counts[:, None])


def alive(counts: IntArray, columns: int) -> list[int]:
    """How many leading rows take part in each column, for rows sorted by falling count."""
    return [int(n) for n in np.searchsorted(-counts, -np.arange(columns), side="left")]
