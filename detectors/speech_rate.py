"""How fast a side speaks: counts syllable nuclei in the sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.baselines import BASELINE, follow
from detectors.columns import (
    HOP_SAMPLES,
    HOPS_PER_STEP,
    SETTLE_STEPS,
    STEPS_PER_SECOND,
    Settled,
    State,
    alive,
    decibels,
    delay,
)

_SMOOTHING = np.hanning(7)[1:-1].astype(np.float32) / np.float32(np.hanning(7).sum())
SMOOTHING_HOPS = len(_SMOOTHING)
VOICING_HOPS = 4
FRAME_HOPS = 4
WINDOW_SECONDS = 25
INTERVALS_REMEMBERED = 12

STATE = np.dtype(
    [
        ("low", "f4", (SMOOTHING_HOPS - 1,)),
        ("high", "f4", (SMOOTHING_HOPS - 1,)),
        ("voicing", "f4", (VOICING_HOPS,)),
        ("lost", "?", (FRAME_HOPS - 1,)),
        ("missing", "f4", (SMOOTHING_HOPS - 1,)),
        ("low_peak", "f4"),
        ("high_peak", "f4"),
        ("follower", "f4"),
        ("floor", "f4"),
        ("sounding", "i4"),
        ("held", "i4"),
        ("climbing", "?"),
        ("extreme", "f4"),
        ("age", "i4"),
        ("peak_voicing", "f4"),
        ("since_nucleus", "i4"),
        ("intervals", "f4", (INTERVALS_REMEMBERED,)),
        ("waiting", "f8", (SETTLE_STEPS,)),
        ("syllables", "f8", (WINDOW_SECONDS,)),
        ("steps", "f4", (WINDOW_SECONDS,)),
        ("baseline", BASELINE),  # slow: value in syllables per minute
    ]
)
"""Hops the smoother reaches back to, the dip-peak-dip automaton, syllables not yet settled, and 25 s of counts."""

METRICS = ("speech_rate.syllables_per_second", "speech_rate.spm", "speech_rate.heard_seconds")
BASELINE_METRIC = "speech_rate.spm"

HYSTERESIS_DB = 1.95
VOICING_WEIGHT = 0.67
"""Of the dB of the smoothed squared voicing: where a voice breaks or is overlaid, a syllable ends though it is loud."""
LEAST_PERIODIC = 0.1
LEAST_VOICING = 0.35
RANGE_DB = 40.0
"""Each band is held at its running peak minus this, so that noise between words makes no dips of its own."""
PEAK_FALLS_DB_PER_HOP = 0.01
FOLLOWER_FALLS_DB_PER_HOP = 0.01
FLOOR_RISES_DB_PER_HOP = 0.05
MOST_BELOW_FOLLOWER_DB = 21.5
LEAST_BELOW_FOLLOWER_DB = 5.0
SHARE_OF_RANGE = 0.62
"""A nucleus lies in this upper part of what is between the noise floor and the follower: others' talk lies lower."""
FLOOR_AFTER_HOPS = 9
"""The frame and the smoother hold nothing but sound then: digital silence says nothing of a line's noise."""
LEAST_POWER = 1e-9
LEAST_HEARD = 0.05
LONGEST_HELD_HOPS = 10
"""A loss of up to 0.1 s leaves the envelope where it was; a longer one ends the syllable."""
USUAL_INTERVAL_HOPS = 28.0
LONGEST_INTERVAL_HOPS = 60
EXPANSION = 0.16
LEAST_SYLLABLES, MOST_SYLLABLES = 0.88, 1.03
"""Syllables a nucleus stands for: (28 hops / mean interval of the last 12 nuclei) ** 0.16, within these bounds, for
slow speech splits some and fast speech merges some: without it 1.08 of the count at ×0.70 and 0.94 at ×1.50. The bound
above is what a clear voice, of which nothing merges, is overcounted by; a memory of 24 nuclei and an exponent of 0.35
kept every tempo within 5 %, but read a made-up voice of 7 syllables a second as 8.4, and outlived the 30 s that
another worker hears again."""
LOOKS_BACK_HOPS = 4
"""A smoothed value stands for the sound this much earlier: 2 hops of smoothing, 1.5 of the 40 ms frame."""
WINDOW_STEPS = 10 * STEPS_PER_SECOND
LEAST_STEPS = 3 * STEPS_PER_SECOND
BASELINE_AFTER_SECONDS = 8.0

_UNKNOWN_FLOOR = 200.0
_LOOP = (
    *("low_peak", "high_peak", "follower", "floor", "sounding", "held"),
    *("climbing", "extreme", "age", "peak_voicing", "since_nucleus"),
)
"""The scalars of a row that the automaton moves hop by hop."""


_HEARD_BY_HOP = (np.hanning(HOP_SAMPLES * FRAME_HOPS + 1)[:-1] ** 2).reshape(FRAME_HOPS, HOP_SAMPLES).sum(axis=1)
_FRAME_SHARES = (_HEARD_BY_HOP / _HEARD_BY_HOP.sum()).astype(np.float32)
"""What each of a frame's hops has of its weight, the oldest first."""


def begin(state: NDArray[np.void], row: int) -> None:
    """Set a new row as after a long silence."""
    state[row] = np.zeros((), STATE)
    for name in ("low_peak", "high_peak", "follower", "extreme"):
        state[row][name] = -100.0
    state[row]["floor"] = _UNKNOWN_FLOOR
    state[row]["since_nucleus"] = LONGEST_INTERVAL_HOPS
    state[row]["intervals"] = USUAL_INTERVAL_HOPS


def envelope(
    state: State, low: FloatArray, high: FloatArray, voicing: FloatArray, lost: BoolArray, counts: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(rows, hops) each: two bands and the squared voicing in dB, and the share of the smoothed sound that was heard.

    Each is the mean of the last 5 hops, weighted by what of a hop's frame was heard: a lost packet makes no dip.
    `state` keeps the hops it needs next.
    """
    missing = _missing(state, lost, counts)
    whole = not missing.any() and not state["missing"].any()
    heard_voicing = np.square(voicing) * (1 - missing)
    smooth = [
        _smooth(np.concatenate([before, fresh], axis=1))
        for before, fresh in (
            (state["low"], low),
            (state["high"], high),
            (np.square(state["voicing"]) * (1 - state["missing"]), heard_voicing),
        )
    ]
    heard = np.ones(low.shape, np.float32)
    if not whole:
        heard -= _smooth(np.concatenate([state["missing"], missing], axis=1))
        smooth = [band / np.where((heard < 1) & (heard >= LEAST_HEARD), heard, 1) for band in smooth]
    for name, fresh in (("low", low), ("high", high), ("missing", missing)):
        delay(state[name], fresh, counts)
    periodic = np.maximum(smooth[2], np.float32(LEAST_PERIODIC**2))
    return decibels(smooth[0]), decibels(smooth[1]), decibels(periodic), heard


def _smooth(values: FloatArray) -> FloatArray:
    hops = values.shape[1] - SMOOTHING_HOPS + 1
    return np.asarray(sum(values[:, lag : lag + hops] * weight for lag, weight in enumerate(_SMOOTHING)), np.float32)


def _missing(state: State, lost: BoolArray, counts: IntArray) -> NDArray[np.float32]:
    """(rows, hops): the share of each hop's frame that was lost."""
    hops = np.repeat(lost, HOPS_PER_STEP, axis=1)
    if not hops.any() and not state["lost"].any():
        return np.zeros(hops.shape, np.float32)
    both = np.concatenate([state["lost"], hops], axis=1)
    delay(state["lost"], hops, counts)
    share = sum(both[:, at : at + hops.shape[1]] * weight for at, weight in enumerate(_FRAME_SHARES))
    return np.asarray(share, np.float32)


def nuclei(
    state: State,
    low: FloatArray,
    high: FloatArray,
    voicing: FloatArray,
    power: FloatArray,
    lost: BoolArray,
    counts: IntArray,
) -> tuple[IntArray, FloatArray]:
    """(rows, hops) twice: 0, or 1 + how many hops ago the nucleus that is certain now was, and its syllables.

    After de Jong & Wempe 2009, as a stream: a nucleus is dip-peak-dip with 1.95 dB on both sides of an envelope, the
    mean of two bands' dB and the voicing's; it is voiced and not too far under a follower of the envelope. No least
    distance: it would lose fast speech. `low`, `high`: mean squares, `voicing`: 0-1, all (rows, hops); `power`: mean
    squares, `lost`, (rows, steps); rows sorted by falling `counts` of hops.
    """
    low_db, high_db, periodic_db, heard = envelope(state, low, high, voicing, lost, counts)
    both = np.concatenate([state["voicing"], voicing], axis=1)
    delay(state["voicing"], voicing, counts)
    hops = voicing.shape[1]
    around = np.maximum(np.maximum(both[:, :hops], both[:, 1 : hops + 1]), both[:, 2 : hops + 2])
    sound = np.repeat(power > LEAST_POWER, HOPS_PER_STEP, axis=1)
    gaps = heard < LEAST_HEARD
    any_gap = np.asarray(gaps.any(axis=0))

    found, syllables = np.zeros(voicing.shape, np.int32), np.zeros(voicing.shape)
    mine = {name: state[name].copy() for name in _LOOP}
    low_peak, high_peak, follower, floor, sounding, held = (mine[name] for name in _LOOP[:6])
    climbing, extreme, age, peak_voicing, since = (mine[name] for name in _LOOP[6:])
    intervals = state["intervals"]
    for hop, n in enumerate(alive(counts, hops)):
        a, b = low_db[:n, hop], high_db[:n, hop]
        low_peak[:n] = np.maximum(a, low_peak[:n] - PEAK_FALLS_DB_PER_HOP)
        high_peak[:n] = np.maximum(b, high_peak[:n] - PEAK_FALLS_DB_PER_HOP)
        d = (np.maximum(a, low_peak[:n] - RANGE_DB) + np.maximum(b, high_peak[:n] - RANGE_DB)) * np.float32(0.5)
        d += periodic_db[:n, hop] * np.float32(VOICING_WEIGHT)
        up, best = climbing[:n], extreme[:n]
        further = np.where(up, d > best, d < best)
        turns = np.abs(d - best) >= HYSTERESIS_DB
        turns &= ~further
        sounding[:n] = np.where(sound[:n, hop], sounding[:n] + 1, 0)
        if any_gap[hop]:
            held[:n] = np.where(gaps[:n, hop], held[:n] + 1, 0)
            still = (held[:n] > 0) & (held[:n] <= LONGEST_HELD_HOPS)
            further &= ~still
            turns &= ~still
        follower[:n] = np.maximum(d, follower[:n] - FOLLOWER_FALLS_DB_PER_HOP)
        lower = np.minimum(d, floor[:n] + FLOOR_RISES_DB_PER_HOP)
        floor[:n] = np.where(sounding[:n] > FLOOR_AFTER_HOPS, lower, floor[:n])
        age[:n] += 1
        since[:n] += 1
        ends = np.flatnonzero(turns & up & (peak_voicing[:n] > LEAST_VOICING))
        if len(ends):
            range_db = np.where(floor[ends] == _UNKNOWN_FLOOR, RANGE_DB, follower[ends] - floor[ends])
            below = np.clip(SHARE_OF_RANGE * range_db, LEAST_BELOW_FOLLOWER_DB, MOST_BELOW_FOLLOWER_DB)
            ends = ends[best[ends] > follower[ends] - below]
            passed = since[ends] - age[ends]
            near = passed < LONGEST_INTERVAL_HOPS
            told = ends[near]
            intervals[told] = np.column_stack([passed[near], intervals[told, :-1]])
            since[ends] = age[ends]
            found[ends, hop] = age[ends] + 1
            stands_for = (USUAL_INTERVAL_HOPS / intervals[ends].mean(axis=1)) ** EXPANSION
            syllables[ends, hop] = np.clip(stands_for, LEAST_SYLLABLES, MOST_SYLLABLES)
        moved = further | turns
        extreme[:n] = np.where(moved, d, best)
        age[:n] = np.where(moved, 0, age[:n])
        peak_voicing[:n] = np.where(moved, around[:n, hop], peak_voicing[:n])
        climbing[:n] = up ^ turns
    for name, column in mine.items():
        state[name] = column
    return found, syllables


def accumulate(state: State, found: IntArray, syllables: FloatArray, block: Settled) -> None:
    """Add the block's syllables and speech steps; a nucleus counts where its peak lies in speech."""
    rows, steps = block.speech.shape
    both = np.concatenate([state["waiting"], np.zeros((rows, steps))], axis=1)
    row, hop = np.nonzero(found)
    step = SETTLE_STEPS + (hop - LOOKS_BACK_HOPS - (found[row, hop] - 1)) // HOPS_PER_STEP
    np.add.at(both, (row, np.maximum(step, 0)), syllables[row, hop])
    state["waiting"] = np.take_along_axis(both, block.counts[:, None] + np.arange(SETTLE_STEPS), axis=1)
    state["syllables"][:, 0] += np.where(block.through, both[:, :steps], 0).sum(axis=1)
    state["steps"][:, 0] += block.through.sum(axis=1)


def close_second(state: State, slow: BoolArray, stand_still: BoolArray) -> dict[str, FloatArray]:
    """Articulation rate over the last 10 s of speech within 25 s, one per row; NaN before 3 s of speech.

    With it the seconds of speech that it stands on: of 3 s it is wrong by 9 % on average, of 10 s by half of that.
    """
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
    return {
        "speech_rate.syllables_per_second": rate,
        "speech_rate.spm": rate * 60,
        "speech_rate.heard_seconds": speech / STEPS_PER_SECOND,
    }
