"""How good the line is: audio lost on the way, samples at full scale, and how far the voice is above the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray
from detectors.columns import (
    SETTLE_STEPS,
    STEP_SAMPLES,
    STEP_SECONDS,
    STEPS_PER_SECOND,
    Settled,
    State,
    decibels,
    delay,
    within,
)

WINDOW_SECONDS = 10
CLIPPED = 0.98
"""Of full scale: µ-law's largest value is 0.9804, A-law's 0.9844, and a clipped wave keeps near 1 through a filter."""
LEAST_SPEECH_STEPS = 30
LEAST_QUIET_STEPS = 5
"""Of one second, that its noise is known: 0.1 s between words."""
LEAST_NOISE = 1e-9
"""Digital silence stands for -90 dBov of noise: the last of 16 bits."""

STATE = np.dtype(
    [
        ("waiting_clipped", "i2", (SETTLE_STEPS,)),
        ("lost_steps", "f4", (WINDOW_SECONDS,)),
        ("clipped", "f4", (WINDOW_SECONDS,)),
        ("steps", "f4", (WINDOW_SECONDS,)),
        ("speech_power", "f8", (WINDOW_SECONDS,)),
        ("speech_steps", "f8", (WINDOW_SECONDS,)),
        ("quiet_power", "f8", (WINDOW_SECONDS,)),
        ("quiet_steps", "f8", (WINDOW_SECONDS,)),
        ("start_step", "i8"),
        ("lost_seconds", "f8"),  # slow: of the whole call
    ]
)
"""Clipped samples not yet settled; of the last 10 s, current one first: lost steps, clipped samples, steps heard, and
the summed power and number of those with this side's speech and of those without."""

SLOW = ("lost_seconds",)
METRICS = ("signal.lost_seconds", "signal.clipped_share", "signal.snr_db")
_WINDOWS = ("lost_steps", "clipped", "steps", "speech_power", "speech_steps", "quiet_power", "quiet_steps")


def clipped(blocks: FloatArray) -> NDArray[np.int16]:
    """(rows, steps): samples at full scale in `blocks` (rows, steps, samples)."""
    if blocks.max(initial=0) < CLIPPED and blocks.min(initial=0) > -CLIPPED:
        return np.zeros(blocks.shape[:2], np.int16)
    return np.asarray((np.abs(blocks) >= CLIPPED).sum(axis=2), np.int16)


def accumulate(state: State, full_scale: NDArray[np.int16], power: FloatArray, block: Settled) -> None:
    """Add the block; `full_scale` (rows, steps) counts the samples at full scale of the steps that come in now.

    `power` (rows, steps) is the mean square of the steps that settle now.
    """
    settled = delay(state["waiting_clipped"], full_scale, block.counts)
    columns = block.known.shape[1]
    began = block.first_step[:, None] + np.arange(columns) >= state["start_step"][:, None]
    lost = ~block.known & within(block.counts, columns) & began
    state["lost_steps"][:, 0] += lost.sum(axis=1)
    if settled.any():
        state["clipped"][:, 0] += np.where(block.known, settled, 0).sum(axis=1)
    state["steps"][:, 0] += block.known.sum(axis=1)
    for name, these in (("speech", block.speech), ("quiet", block.known & ~block.speech)):
        if these.any():
            state[f"{name}_power"][:, 0] += np.where(these, power, 0).sum(axis=1, dtype=np.float64)
            state[f"{name}_steps"][:, 0] += these.sum(axis=1)


def close_second(state: State, slow: BoolArray) -> dict[str, FloatArray]:
    """Lost seconds, clipped share and signal-to-noise ratio of the last 10 s, one per row."""
    state["lost_seconds"] += np.where(slow, state["lost_steps"][:, 0] * STEP_SECONDS, 0)
    lost = state["lost_steps"].sum(axis=1) / STEPS_PER_SECOND
    heard = state["steps"].sum(axis=1)
    share = np.where(heard > 0, state["clipped"].sum(axis=1) / np.maximum(heard * STEP_SAMPLES, 1), np.nan)
    snr_db = _snr_db(state)
    for name in _WINDOWS:
        state[name][:, 1:] = state[name][:, :-1].copy()
        state[name][:, 0] = 0
    return {
        "signal.lost_seconds": np.asarray(lost, np.float64),
        "signal.clipped_share": share,
        "signal.snr_db": snr_db,
    }


def _snr_db(state: State) -> FloatArray:
    """Power of the speech over the noise's, in dB; NaN where there is too little of either.

    The noise is that of the quietest second between words: in the others words die away and the room rings.
    """
    quiet, speech = state["quiet_steps"], state["speech_steps"].sum(axis=1)
    means = state["quiet_power"] / np.maximum(quiet, 1)
    noise = np.maximum(np.where(quiet >= LEAST_QUIET_STEPS, means, np.inf).min(axis=1), LEAST_NOISE)
    both = state["speech_power"].sum(axis=1) / np.maximum(speech, 1)
    # What is heard while somebody speaks is voice and noise together; never less than 20 dB under the noise is said.
    ratio = np.maximum(both / noise - 1, 0.01)
    known = (speech >= LEAST_SPEECH_STEPS) & np.isfinite(noise)
    return np.where(known, decibels(np.where(known, ratio, 1)), np.nan)
