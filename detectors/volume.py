"""How loud a side speaks: the level of its speech over 1 s and 3 s, and over its own usual level."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray
from detectors.baselines import BASELINE, follow, value
from detectors.columns import SETTLE_STEPS, STEPS_PER_SECOND, Settled, State, decibels, delay

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

BLOCK_SECONDS = 4
THRESHOLDS = 0.5 ** np.arange(15, 0, -1)
MARGIN_DB = 15.9
"""ITU-T P.56, method B: amplitudes from which on sound may be active, and how far under its level they lie."""


def accumulate(state: State, power: FloatArray, block: Settled) -> FloatArray:
    """Add the block's speech steps; `power` (rows, steps) is the mean square of the steps that come in now.

    Returned is that of the steps that settle.
    """
    settled = delay(state["waiting_power"], power, block.counts)
    if block.speech.any():
        state["power"][:, 0] += np.where(block.speech, settled, 0).sum(axis=1, dtype=np.float64)
        state["steps"][:, 0] += block.speech.sum(axis=1)
    return settled


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

    `samples` is (n,), full scale 1.0. Silence gives (-100.0, 0.0); an empty recording raises ValueError.
    """
    meter = ActiveSpeechMeter(rate)
    meter.push(samples)
    return meter.finish()


class ActiveSpeechMeter:
    """ITU-T P.56 (method B) of a recording that comes in pieces; however it is cut, the figures are the same.

    Two-pole envelope of 30 ms, thresholds 6 dB apart, hangover 0.2 s, margin 15.9 dB. It keeps some seconds of sound.
    """

    def __init__(self, rate: int) -> None:
        pole = np.exp(-1 / (0.03 * rate))
        taps = np.arange(int(0.9 * rate))
        self._response = (1 - pole) ** 2 * (taps + 1) * pole**taps
        self._block = BLOCK_SECONDS * rate
        size = scipy.fft.next_fast_len(self._block + len(taps), real=True)
        self._size, self._spectrum = size, scipy.fft.rfft(self._response, size)
        self._hangover = int(np.ceil(0.2 * rate))
        self._before = np.zeros(len(taps) - 1)
        self._waiting: list[NDArray[np.float64]] = []
        self._waits = self._heard = 0
        self._energy = 0.0
        self._active = np.zeros(len(THRESHOLDS), np.int64)
        self._last_above = np.full(len(THRESHOLDS), -1, np.int64)

    def push(self, samples: FloatArray) -> None:
        """Hear `samples` (n,), full scale 1.0."""
        self._waiting.append(np.array(samples, np.float64))
        self._waits += len(samples)
        if self._waits >= self._block:
            track = np.concatenate(self._waiting)
            whole = len(track) // self._block * self._block
            for start in range(0, whole, self._block):
                self._hear(track[start : start + self._block])
            self._waiting = [track[whole:]]
            self._waits = len(track) - whole

    def finish(self) -> tuple[float, float]:
        """Active speech level in dBov and share of time; (-100.0, 0.0) of silence. ValueError if nothing was heard."""
        if self._waits:
            self._hear(np.concatenate(self._waiting))
            self._waiting, self._waits = [], 0
        if not self._heard:
            raise ValueError("the recording is empty; P.56 needs at least one sample")
        if self._energy == 0:
            return -100.0, 0.0
        passed = self._last_above >= 0
        trailing = np.minimum(self._heard - self._last_above, self._hangover + 1)
        active = np.where(passed, self._active + trailing, 1)
        level = np.where(passed, 10 * np.log10(self._energy / active), -np.inf)
        difference = level - 20 * np.log10(THRESHOLDS)
        crossing = np.flatnonzero(difference <= MARGIN_DB)
        if not len(crossing) or crossing[0] == 0 or not passed[crossing[0]]:
            found = float(level[0]) if passed[0] else 10 * np.log10(self._energy / self._heard)
        else:
            after = int(crossing[0])
            share = (difference[after - 1] - MARGIN_DB) / (difference[after - 1] - difference[after])
            found = float(level[after - 1] + share * (level[after] - level[after - 1]))
        return found, float(min(1.0, self._energy / self._heard / 10 ** (found / 10)))

    def _hear(self, block: NDArray[np.float64]) -> None:
        """Count, of every threshold, the samples at which the envelope is over it or was so at most 0.2 s ago."""
        self._energy += float(np.dot(block, block))
        both = np.concatenate([self._before, np.abs(block)])
        product = scipy.fft.rfft(both, self._size) * self._spectrum
        envelope = scipy.fft.irfft(product, self._size)[len(self._before) : len(both)]
        for index, threshold in enumerate(THRESHOLDS):
            above = np.flatnonzero(envelope >= threshold)
            if not len(above):
                break
            above += self._heard
            earlier = self._last_above[index : index + 1]
            reach = np.diff(above, prepend=earlier if earlier[0] >= 0 else above[:1])
            self._active[index] += np.minimum(reach, self._hangover + 1).sum()
            self._last_above[index] = above[-1]
        self._heard += len(block)
        self._before = both[len(both) - len(self._before) :]
