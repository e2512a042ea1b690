"""How good the line is: audio lost on the way and samples at full scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray
from detectors.columns import SETTLE_STEPS, STEP_SAMPLES, STEP_SECONDS, STEPS_PER_SECOND, Settled, State, delay, within

WINDOW_SECONDS = 10
CLIPPED = 0.98
"""Of full scale: µ-law's largest value is 0.9804, A-law's 0.9844, and a clipped wave keeps near 1 through a filter."""

STATE = np.dtype(
    [
        ("waiting_clipped", "i2", (SETTLE_STEPS,)),
        ("lost_steps", "f4", (WINDOW_SECONDS,)),
        ("clipped", "f4", (WINDOW_SECONDS,)),
        ("steps", "f4", (WINDOW_SECONDS,)),
        ("start_step", "i8"),
        ("lost_seconds", "f8"),  # slow: of the whole call
    ]
)
"""Clipped samples not yet settled; lost steps, clipped samples and steps heard of the last 10 s, current one first."""

SLOW = ("lost_seconds",)
METRICS = ("signal.lost_seconds", "signal.clipped_share")


def clipped(blocks: FloatArray) -> NDArray[np.int16]:
    """(rows, steps): samples at full scale in `blocks` (rows, steps, samples)."""
    if blocks.max(initial=0) < CLIPPED and blocks.min(initial=0) > -CLIPPED:
        return np.zeros(blocks.shape[:2], np.int16)
    return np.asarray((np.abs(blocks) >= CLIPPED).sum(axis=2), np.int16)


def accumulate(state: State, full_scale: NDArray[np.int16], block: Settled) -> None:
    """Add the block; `full_scale` (rows, steps) counts the samples at full scale of the steps that come in now."""
    settled = delay(state["waiting_clipped"], full_scale, block.counts)
    columns = block.known.shape[1]
    began = block.first_step[:, None] + np.arange(columns) >= state["start_step"][:, None]
    lost = ~block.known & within(block.counts, columns) & began
    state["lost_steps"][:, 0] += lost.sum(axis=1)
    state["clipped"][:, 0] += np.where(block.known, settled, 0).sum(axis=1)
    state["steps"][:, 0] += block.known.sum(axis=1)


def close_second(state: State, slow: BoolArray) -> dict[str, FloatArray]:
    """Lost seconds and clipped share of the last 10 s, one per row."""
    state["lost_seconds"] += np.where(slow, state["lost_steps"][:, 0] * STEP_SECONDS, 0)
    lost = state["lost_steps"].sum(axis=1) / STEPS_PER_SECOND
    heard = state["steps"].sum(axis=1)
    share = np.where(heard > 0, state["clipped"].sum(axis=1) / np.maximum(heard * STEP_SAMPLES, 1), np.nan)
    for name in ("lost_steps", "clipped", "steps"):
        state[name][:, 1:] = state[name][:, :-1].copy()
        state[name][:, 0] = 0
    return {"signal.lost_seconds": np.asarray(lost, np.float64), "signal.clipped_share": share}
