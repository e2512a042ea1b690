"""What is usual for one speaker: a slow average that loud seconds cannot drag along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import FloatArray

BASELINE = np.dtype([("value", "f8"), ("seconds", "f8"), ("kept", "?")])
"""The average, how much speech it rests on (seconds), and whether it was kept from the speaker's earlier calls."""

REMEMBERS_SECONDS = 60.0
"""Speech the average forgets over: shorter follows a speaker who grows loud, longer never learns a new headset."""


def follow(state: NDArray[np.void], seen: FloatArray, weight_seconds: FloatArray, largest_step: float) -> None:
    """Draw each row's average towards `seen` (rows,), NaN to stand still, by a Huber mean.

    A difference counts as at most `largest_step`, so that an outlier and a slightly raised second weigh the same.
    """
    use = np.isfinite(seen)
    seconds = state["seconds"] + np.where(use, weight_seconds, 0)
    first = use & (state["seconds"] == 0)
    difference = np.where(use, seen - state["value"], 0)
    step = np.clip(difference, -largest_step, largest_step) * weight_seconds / np.maximum(seconds, 1e-9)
    state["value"] = np.where(first, seen, state["value"] + np.where(use, step, 0))
    state["seconds"] = np.minimum(seconds, REMEMBERS_SECONDS)


def value(state: NDArray[np.void], after_seconds: float) -> FloatArray:
    """(rows,): the baseline, NaN until it was kept from earlier calls or rests on `after_seconds` of speech."""
    return np.where(state["kept"] | (state["seconds"] >= after_seconds), state["value"], np.nan)
