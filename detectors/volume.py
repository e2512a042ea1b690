"""How loud a side speaks: the level of its speech over 1 s and 3 s, and over its own usual level."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from detectors.baselines import BASELINE, follow, value
from detectors.columns import SETTLE_STEPS, STEPS_PER_SECOND, Settled, State, decibels, delay
from detectors.values import BoolArray, FloatArray

STATE = np.dtype(
    [
        ("waiting_power", "f4", (SETTLE_STEPS,)),
        ("power", "f8", (3,)),
        ("steps", "f8", (3,)),
        ("baseline", BASELINE),  # slow
    ]
)
"""Step powers not yet settled; summed power and number of speech steps of the last 3 s, the current one first."""

METRICS = ("volume.level_dbov", "volume.level_3s_dbov", "volume.score", "volume.over_baseline_db")
BASELINE_METRIC = "volume.level_3s_dbov"

LEAST_SPEECH_STEPS = 10
"""0.2 s of speech before a 1-s level is given, 0.6 s before a 3-s one: single syllables differ by 10 dB."""
LEAST_SPEECH_STEPS_3S = 30
BASELINE_AFTER_SECONDS = 8.0
BASELINE_STEP_DB = 3.0
"""What one second may differ from the baseline at most: a shout of 20 dB moves it no more than a raised 3 dB."""


def accumulate(state: State, power: FloatArray, block: Settled) -> None:
    """Add the block's speech steps; `power` (rows, steps) is the mean square of the steps that come in now."""
    settled = delay(state["waiting_power"], power, block.counts)
    state["power"][:, 0] += np.where(block.speech, settled, 0).sum(axis=1, dtype=np.float64)
    state["steps"][:, 0] += block.speech.sum(axis=1)


def close_second(state: State, slow: BoolArray, stand_still: BoolArray) -> dict[str, FloatArray]:
    """Levels of the windows that end now, one per row, NaN where there is too little speech.

    The level is the RMS over speech steps, the live stand-in for ITU-T P.56 (+0.11 +- 0.28 dB over 422 clips).
    """
    power, steps = state["power"], state["steps"]
    one = _level(power[:, 0], steps[:, 0], LEAST_SPEECH_STEPS)
    three = _level(power.sum(axis=1), steps.sum(axis=1), LEAST_SPEECH_STEPS_3S)
    follow(
        state["baseline"],
        np.where(slow & ~stand_still, one, np.nan),
        steps[:, 0] / STEPS_PER_SECOND,
        BASELINE_STEP_DB,
    )
    over = three - value(state["baseline"], BASELINE_AFTER_SECONDS)
    power[:, 1:], steps[:, 1:] = power[:, :-1].copy(), steps[:, :-1].copy()
    power[:, 0] = steps[:, 0] = 0
    return {
        "volume.level_dbov": one,
        "volume.level_3s_dbov": three,
        "volume.score": np.clip((one + 60) * 100 / 60, 0, 100),
        "volume.over_baseline_db": over,
    }


def _level(power: FloatArray, steps: FloatArray, least: int) -> FloatArray:
    level = decibels((power / np.maximum(steps, 1)).astype(np.float32))
    return np.where(steps >= least, level, np.nan)


def active_speech_level(samples: FloatArray, rate: int) -> tuple[float, float]:
    """ITU-T P.56 (method B) of a whole recording: active speech level in dBov and the share of time it is active.

    `samples` is (n,), full scale 1.0. Two-pole envelope of 30 ms, thresholds 6 dB apart, hangover 0.2 s, margin
    15.9 dB. Silence gives (-100.0, 0.0); an empty recording raises ValueError.
    """
    if not len(samples):
        raise ValueError("the recording is empty; P.56 needs at least one sample")
    track = np.asarray(samples, np.float64)
    energy = float(np.dot(track, track))
    if energy == 0:
        return -100.0, 0.0
    envelope = _envelope(np.abs(track), rate)
    hangover = int(np.ceil(0.2 * rate))
    thresholds = 0.5 ** np.arange(15, 0, -1)
    difference = np.full(len(thresholds), -np.inf)
    level = np.full(len(thresholds), -np.inf)
    for index, threshold in enumerate(thresholds):
        above = np.flatnonzero(envelope >= threshold)
        if not len(above):
            break
        reach = np.minimum(np.diff(above, append=len(track)), hangover + 1)
        level[index] = 10 * np.log10(energy / reach.sum())
        difference[index] = level[index] - 20 * np.log10(threshold)
    crossing = np.flatnonzero(difference <= 15.9)
    if not len(crossing) or crossing[0] == 0 or not np.isfinite(level[crossing[0]]):
        loudest = level[np.isfinite(level)]
        active_level = float(loudest[0]) if len(loudest) else 10 * np.log10(energy / len(track))
    else:
        after = int(crossing[0])
        share = (difference[after - 1] - 15.9) / (difference[after - 1] - difference[after])
        active_level = float(level[after - 1] + share * (level[after] - level[after - 1]))
    return active_level, float(min(1.0, energy / len(track) / 10 ** (active_level / 10)))


def _envelope(rectified: FloatArray, rate: int) -> FloatArray:
    """Two one-pole smoothers of 30 ms in a row, as one FFT convolution with their impulse response."""
    pole = np.exp(-1 / (0.03 * rate))
    taps = np.arange(int(0.9 * rate))
    response = (1 - pole) ** 2 * (taps + 1) * pole**taps
    size = scipy.fft.next_fast_len(len(rectified) + len(response), real=True)
    product = scipy.fft.rfft(rectified, size) * scipy.fft.rfft(response, size)
    return np.asarray(scipy.fft.irfft(product, size)[: len(rectified)], np.float64)
