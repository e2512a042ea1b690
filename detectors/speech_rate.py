"""How fast a side speaks: counts syllable nuclei in the sound, or characters and words in a transcript."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from detectors.baselines import BASELINE, follow
from detectors.columns import HOPS_PER_STEP, SETTLE_STEPS, STEPS_PER_SECOND, Settled, alive, decibels, delay
from detectors.values import BoolArray, FloatArray, IntArray

_SMOOTHING = np.hanning(7)[1:-1].astype(np.float32) / np.float32(np.hanning(7).sum())
SMOOTHING_HOPS = len(_SMOOTHING)
VOICING_HOPS = 4
WINDOW_SECONDS = 25

STATE = np.dtype(
    [
        ("low", "f4", (SMOOTHING_HOPS - 1,)),
        ("high", "f4", (SMOOTHING_HOPS - 1,)),
        ("voicing", "f4", (VOICING_HOPS,)),
        ("low_peak", "f4"),
        ("high_peak", "f4"),
        ("follower", "f4"),
        ("climbing", "?"),
        ("extreme", "f4"),
        ("age", "i4"),
        ("peak_voicing", "f4"),
        ("waiting", "i1", (SETTLE_STEPS,)),
        ("syllables", "f4", (WINDOW_SECONDS,)),
        ("steps", "f4", (WINDOW_SECONDS,)),
        ("baseline", BASELINE),  # slow: value in syllables per minute
    ]
)
"""Hops the smoother reaches back to, the dip-peak-dip automaton, syllables not yet settled, and 25 s of counts."""

METRICS = ("speech_rate.syllables_per_second", "speech_rate.spm")
BASELINE_METRIC = "speech_rate.spm"

HYSTERESIS_DB = 2.0
LEAST_VOICING = 0.5
BELOW_FOLLOWER_DB = 20.0
FOLLOWER_FALLS_DB_PER_HOP = 0.06
RANGE_DB = 40.0
"""Each band is held at its running peak minus this, so that noise between words makes no dips of its own."""
PEAK_FALLS_DB_PER_HOP = 0.01
LOOKS_BACK_HOPS = 4
"""A smoothed value stands for the sound this much earlier: 2 hops of smoothing, 1.5 of the 40 ms frame."""
WINDOW_STEPS = 10 * STEPS_PER_SECOND
LEAST_STEPS = 3 * STEPS_PER_SECOND
BASELINE_AFTER_SECONDS = 8.0
SHORTEST_TURN_SECONDS = 0.3

_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af]")
_WORD = re.compile(r"[^\W_]+(?:[’'-][^\W_]+|(?<=\d)[.,:]\d+)*")


def begin(state: NDArray[np.void], row: int) -> None:
    """Set a new row as after a long silence."""
    state[row] = np.zeros((), STATE)
    for name in ("low_peak", "high_peak", "follower", "extreme"):
        state[row][name] = -100.0


def envelope(state: NDArray[np.void], low: FloatArray, high: FloatArray, counts: IntArray) -> tuple[FloatArray, ...]:
    """(rows, hops) in dB, each band: the last 5 hops' energies, smoothed. `state` keeps the hops it needs next."""
    bands = []
    for name, fresh in (("low", low), ("high", high)):
        both = np.concatenate([state[name], fresh], axis=1)
        delay(state[name], fresh, counts)
        smooth = sum(both[:, lag : lag + fresh.shape[1]] * weight for lag, weight in enumerate(_SMOOTHING))
        bands.append(decibels(np.asarray(smooth)))
    return tuple(bands)


def nuclei(
    state: NDArray[np.void], low: FloatArray, high: FloatArray, voicing: FloatArray, counts: IntArray
) -> IntArray:
    """(rows, hops): 0, or 1 + how many hops ago the syllable that is certain now had its peak.

    After de Jong & Wempe 2009, as a stream: a syllable is dip-peak-dip with 2 dB on both sides on the mean of two
    bands' dB, its peak voiced and at most 20 dB under a follower that falls 6 dB/s. No least distance: it would
    lose fast speech. `low`, `high`: mean squares, `voicing`: 0-1, all (rows, hops), rows sorted by falling `counts`.
    """
    low_db, high_db = envelope(state, low, high, counts)
    both = np.concatenate([state["voicing"], voicing], axis=1)
    delay(state["voicing"], voicing, counts)
    hops = voicing.shape[1]
    near = np.maximum(np.maximum(both[:, :hops], both[:, 1 : hops + 1]), both[:, 2 : hops + 2])

    found = np.zeros(voicing.shape, np.int32)
    low_peak, high_peak, follower = (state[name].copy() for name in ("low_peak", "high_peak", "follower"))
    climbing, extreme, age, peak_voicing = (state[n].copy() for n in ("climbing", "extreme", "age", "peak_voicing"))
    for hop, n in enumerate(alive(counts, hops)):
        a, b = low_db[:n, hop], high_db[:n, hop]
        low_peak[:n] = np.maximum(a, low_peak[:n] - PEAK_FALLS_DB_PER_HOP)
        high_peak[:n] = np.maximum(b, high_peak[:n] - PEAK_FALLS_DB_PER_HOP)
        d = (np.maximum(a, low_peak[:n] - RANGE_DB) + np.maximum(b, high_peak[:n] - RANGE_DB)) * np.float32(0.5)
        follower[:n] = np.maximum(d, follower[:n] - FOLLOWER_FALLS_DB_PER_HOP)
        up, best = climbing[:n], extreme[:n]
        further = np.where(up, d > best, d < best)
        turns = np.abs(d - best) >= HYSTERESIS_DB
        turns &= ~further
        ends = turns & up & (peak_voicing[:n] > LEAST_VOICING) & (best > follower[:n] - BELOW_FOLLOWER_DB)
        age[:n] += 1
        found[:n, hop] = np.where(ends, age[:n] + 1, 0)
        moved = further | turns
        extreme[:n] = np.where(moved, d, best)
        age[:n] = np.where(moved, 0, age[:n])
        peak_voicing[:n] = np.where(moved, near[:n, hop], peak_voicing[:n])
        climbing[:n] = up ^ turns
    for name, column in (
        ("low_peak", low_peak),
        ("high_peak", high_peak),
        ("follower", follower),
        ("climbing", climbing),
        ("extreme", extreme),
        ("age", age),
        ("peak_voicing", peak_voicing),
    ):
        state[name] = column
    return found


def accumulate(state: NDArray[np.void], found: IntArray, block: Settled) -> None:
    """Add the block's syllables and speech steps; a syllable counts where its peak lies in speech."""
    rows, steps = block.speech.shape
    both = np.concatenate([state["waiting"], np.zeros((rows, steps), np.int8)], axis=1)
    row, hop = np.nonzero(found)
    step = SETTLE_STEPS + (hop - LOOKS_BACK_HOPS - (found[row, hop] - 1)) // HOPS_PER_STEP
    np.add.at(both, (row, np.maximum(step, 0)), 1)
    state["waiting"] = np.take_along_axis(both, block.counts[:, None] + np.arange(SETTLE_STEPS), axis=1)
    state["syllables"][:, 0] += np.where(block.speech, both[:, :steps], 0).sum(axis=1)
    state["steps"][:, 0] += block.speech.sum(axis=1)


def close_second(state: NDArray[np.void], slow: BoolArray, stand_still: BoolArray) -> dict[str, FloatArray]:
    """Articulation rate over the last 10 s of speech within 25 s, one per row; NaN before 3 s of speech."""
    syllables, steps = state["syllables"], state["steps"]
    wanted = np.cumsum(steps, axis=1) - steps < WINDOW_STEPS
    speech = np.where(wanted, steps, 0).sum(axis=1)
    rate = np.where(wanted, syllables, 0).sum(axis=1) * STEPS_PER_SECOND / np.maximum(speech, 1)
    rate = np.where(speech >= LEAST_STEPS, rate, np.nan)
    # Weighted by speech seconds this mean is syllables / seconds of all of them; single seconds hold 0 to 8 syllables.
    seconds = steps[:, 0] / STEPS_PER_SECOND
    seen = np.where(slow & ~stand_still & (seconds > 0), syllables[:, 0] * 60 / np.maximum(seconds, 0.02), np.nan)
    follow(state["baseline"], seen, seconds, np.inf)
    syllables[:, 1:], steps[:, 1:] = syllables[:, :-1].copy(), steps[:, :-1].copy()
    syllables[:, 0] = steps[:, 0] = 0
    return {"speech_rate.syllables_per_second": rate, "speech_rate.spm": rate * 60}


def rate_from_words(text: str, start_seconds: float, end_seconds: float) -> float | None:
    """Characters (字) or words a minute of one transcript turn; None when it is empty or shorter than 0.3 s.

    A text with Chinese, Japanese or Korean characters is counted in characters (letters and digits, no spaces, no
    punctuation), any other in words: "don't", "well-known" and "1,200" are one each.
    """
    seconds = end_seconds - start_seconds
    if seconds < SHORTEST_TURN_SECONDS:
        return None
    count = sum(map(str.isalnum, text)) if _CJK.search(text) else len(_WORD.findall(text))
    return count * 60 / seconds if count else None
