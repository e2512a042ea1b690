"""How high a side speaks and how much its pitch moves: plain acoustics against the speaker's own usual pitch."""

from __future__ import annotations

import numpy as np

from detectors import spectrum
from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.baselines import BASELINE, follow, value
from detectors.columns import HOPS_PER_STEP, SETTLE_STEPS, Picked, Settled, State, delay

MEDIAN_HOPS = 5
LEAST_AGREEING_HOPS = 3
AGREES = 0.13
"""Share by which one hop may differ from the median: two semitones in 20 ms are the fastest a voice moves."""
LOOKS_BACK_HOPS = 4
"""The median of 5 stands for the sound 2 hops earlier, its frame for 1.5 hops before that."""
RING_HOPS = 1024
WINDOW_SECONDS = 25

STATE = np.dtype(
    [
        ("raw", "f4", (MEDIAN_HOPS - 1,)),
        ("waiting", "f4", (SETTLE_STEPS * HOPS_PER_STEP - LOOKS_BACK_HOPS,)),
        ("ring", "f4", (RING_HOPS,)),
        ("written", "i8"),
        ("hops", "i4", (WINDOW_SECONDS,)),
        ("baseline", BASELINE),  # slow: value in semitones over 100 Hz
    ]
)
"""Pitch not yet settled, the last 10 s of voiced speech in semitones over 100 Hz, and voiced hops of the last 25 s."""

METRICS = ("intonation.f0_hz", "intonation.f0_shift_semitones", "intonation.spread_semitones")
BASELINE_METRIC = "intonation.f0_hz"

F0_SECONDS = 5
LEAST_F0_HOPS = 50
SPREAD_HOPS = 1000
LEAST_SPREAD_HOPS = 300
BASELINE_AFTER_SECONDS = 10.0
BASELINE_STEP_SEMITONES = 2.0
HOP_SECONDS = 0.01
_SIGMA_OF_MAD = 1.4826


def hz(semitones: FloatArray | float) -> FloatArray:
    """Frequency of `semitones` over 100 Hz."""
    return np.asarray(100.0 * 2.0 ** (np.asarray(semitones) / 12))


def semitones(f0_hz: FloatArray | float) -> FloatArray:
    """Semitones of `f0_hz` over 100 Hz."""
    return np.asarray(12 * np.log2(np.asarray(f0_hz) / 100.0))


def contour(state: State, f0_hz: FloatArray, voicing: FloatArray, counts: IntArray) -> FloatArray:
    """(rows, hops): pitch in Hz, the median of the voiced among 5 hops, 0 where their middle one is not voiced.

    At least 3 of the 5 must agree with it: noise also looks periodic now and then, but not with one period.
    """
    voiced = np.where(voicing > spectrum.LEAST_VOICING, f0_hz, np.float32(0))
    both = np.concatenate([state["raw"], voiced], axis=1)
    delay(state["raw"], voiced, counts)
    row, hop = np.nonzero(both[:, MEDIAN_HOPS // 2 : MEDIAN_HOPS // 2 + voiced.shape[1]])
    found = np.zeros_like(voiced)
    if len(row):
        five = np.sort(np.lib.stride_tricks.sliding_window_view(both, MEDIAN_HOPS, axis=1)[row, hop], axis=1)
        unvoiced = (five == 0).sum(axis=1)
        median = five[np.arange(len(row)), (MEDIAN_HOPS + unvoiced) // 2]
        agree = (np.abs(five - median[:, None]) < AGREES * median[:, None]).sum(axis=1)
        found[row, hop] = np.where(agree >= LEAST_AGREEING_HOPS, median, 0)
    return found


def accumulate(state: Picked, pitch_hz: FloatArray, block: Settled) -> None:
    """Keep the pitch of the block's speech; `pitch_hz` (rows, hops) is the contour of what comes in now."""
    settled = delay(state["waiting"], pitch_hz, block.counts * HOPS_PER_STEP)
    use = np.repeat(block.speech, HOPS_PER_STEP, axis=1) & (settled > 0)
    row, hop = np.nonzero(use)
    if not len(row):
        return
    order = np.cumsum(use, axis=1)[row, hop] - 1
    written = state["written"]
    state.put("ring", row, (written[row] + order) % RING_HOPS, semitones(settled[row, hop]))
    fresh = use.sum(axis=1)
    state["written"] = written + fresh
    state["hops"][:, 0] += fresh


def close_second(state: Picked, slow: BoolArray, stand_still: BoolArray) -> dict[str, FloatArray]:
    """Pitch of 5 s and spread of 10 voiced seconds (within 25 s), one per row; NaN where too little is voiced."""
    hops = state["hops"]
    five_count = hops[:, :F0_SECONDS].sum(axis=1)
    five = _median(state, np.where(five_count >= LEAST_F0_HOPS, five_count, 0))
    ten_count = np.minimum(hops.sum(axis=1), SPREAD_HOPS)
    spread = _spread(state, np.where(ten_count >= LEAST_SPREAD_HOPS, ten_count, 0))

    last = _median(state, np.where(slow & ~stand_still, hops[:, 0], 0))
    follow(state["baseline"], last, hops[:, 0] * HOP_SECONDS, BASELINE_STEP_SEMITONES)
    shift = five - value(state["baseline"], BASELINE_AFTER_SECONDS)
    hops[:, 1:] = hops[:, :-1].copy()
    hops[:, 0] = 0
    return {
        "intonation.f0_hz": hz(five),
        "intonation.f0_shift_semitones": shift,
        "intonation.spread_semitones": spread,
    }


def _median(state: Picked, counts: IntArray) -> FloatArray:
    """Median of each row's newest `counts[r]` voiced hops, NaN where there are none."""
    median = np.full(len(counts), np.nan)
    some = np.flatnonzero(counts)
    if len(some):
        median[some] = _median_of_first(_newest(state, some, counts[some]), counts[some])
    return median


def _spread(state: Picked, counts: IntArray) -> FloatArray:
    """1.4826 * MAD of each row's newest `counts[r]` voiced hops, NaN where there are none."""
    spread = np.full(len(counts), np.nan)
    some = np.flatnonzero(counts)
    if len(some):
        n = counts[some]
        newest = _newest(state, some, n)
        median = _median_of_first(newest, n)
        # Infinite past the row's own count, as `newest` is.
        distance = np.abs(newest - median[:, None].astype(np.float32))
        spread[some] = _SIGMA_OF_MAD * _median_of_first(distance, n)
    return spread


def _newest(state: Picked, rows: IntArray, counts: IntArray) -> FloatArray:
    """(rows, most) newest values of `rows`, newest first, infinite past each row's count."""
    back = np.arange(1, int(counts.max()) + 1)
    newest = state.at("ring", rows[:, None], (state["written"][rows][:, None] - back) % RING_HOPS)
    newest[back > counts[:, None]] = np.inf
    return newest


def _median_of_first(values: FloatArray, counts: IntArray) -> FloatArray:
    """Median of each row of `values`, whose last entries past `counts` are infinite."""
    ordered = np.sort(values, axis=1)
    row = np.arange(len(counts))
    return (ordered[row, (counts - 1) // 2].astype(np.float64) + ordered[row, counts // 2]) / 2
