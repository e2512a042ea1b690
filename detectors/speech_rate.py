"""How fast a side speaks: counts syllable nuclei in the sound."""

from __future__ import annotations

from collections.abc import Sequence

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
    T,
    alive,
    decibels,
    delay,
)

BAND_WEIGHTS = (0.409, 0.234, 0.07, 0.287)
"""Of the dB of `spectrum.BANDS_HZ` in the envelope, with what follows found on the shared recordings, clean, disturbed
and at other tempi: of two bands with one weight each fast speech merged, and every line was worse."""
BANDS = len(BAND_WEIGHTS)
_SMOOTHING = np.hanning(6)[1:-1].astype(np.float32) / np.float32(np.hanning(6).sum())
SMOOTHING_HOPS = len(_SMOOTHING)
FRAME_HOPS = 4
WINDOW_SECONDS = 25

STATE = np.dtype(
    [
        ("bands", "f4", (BANDS, SMOOTHING_HOPS - 1)),
        ("voicing", "f4", (SMOOTHING_HOPS - 1,)),
        ("lost", "?", (FRAME_HOPS - 1,)),
        ("missing", "f4", (SMOOTHING_HOPS - 1,)),
        ("peaks", "f8", (BANDS,)),
        ("follower", "f8"),
        ("floor", "f8"),
        ("sounding", "i4"),
        ("held", "i4"),
        ("climbing", "?"),
        ("extreme", "f4"),
        ("age", "i4"),
        ("peak_voicing", "f4"),
        ("waiting", "f8", (SETTLE_STEPS,)),
        ("syllables", "f8", (WINDOW_SECONDS,)),
        ("steps", "f4", (WINDOW_SECONDS,)),
        ("baseline", BASELINE),  # slow: value in syllables per minute
    ]
)
"""Hops the smoother reaches back to, the dip-peak-dip automaton, syllables not yet settled, and 25 s of counts."""

METRICS = ("speech_rate.syllables_per_second", "speech_rate.spm", "speech_rate.heard_seconds")
BASELINE_METRIC = "speech_rate.spm"

PEAK_HYSTERESIS_DB, DIP_HYSTERESIS_DB = 2.015, 2.08
"""How far it must fall after a peak, and rise after a dip."""
VOICING_WEIGHT = 0.676
"""Of the dB of the smoothed squared voicing: where a voice breaks or is overlaid, a syllable ends though it is loud."""
LEAST_PERIODIC = 0.105
LEAST_VOICING = 0.45
RANGE_DB = 53.5
"""Each band is held at its running peak minus this, so that noise between words makes no dips of its own."""
PEAK_FALLS_DB_PER_HOP = 1 / 128
FOLLOWER_FALLS_DB_PER_HOP = 11 / 1024
FLOOR_RISES_DB_PER_HOP = 47 / 1024
"""Fractions of two: whole sounds are followed at once, and come out to the bit as hop by hop."""
MOST_BELOW_FOLLOWER_DB = 16.8
LEAST_BELOW_FOLLOWER_DB = 2.8
SHARE_OF_RANGE = 0.585
"""A nucleus lies in this upper part of what is between the noise floor and the follower: others' talk lies lower."""
FLOOR_AFTER_HOPS = FRAME_HOPS + SMOOTHING_HOPS
"""The frame and the smoother hold nothing but sound then: digital silence says nothing of a line's noise."""
LEAST_POWER = 1e-9
LEAST_HEARD = 0.05
LONGEST_HELD_HOPS = 10
"""A loss of up to 0.1 s leaves the envelope where it was; a longer one ends the syllable."""
LOOKS_BACK_HOPS = 3
"""A smoothed value stands for the sound this much earlier: 1.5 hops of smoothing, 1.5 of the 40 ms frame."""
WINDOW_STEPS = 10 * STEPS_PER_SECOND
LEAST_STEPS = 3 * STEPS_PER_SECOND
BASELINE_AFTER_SECONDS = 8.0

_UNKNOWN_FLOOR = 200.0
_PEAK_HYSTERESIS, _DIP_HYSTERESIS = np.float32(PEAK_HYSTERESIS_DB), np.float32(DIP_HYSTERESIS_DB)
_LOOP = ("held", "climbing", "extreme", "age", "peak_voicing")
"""The scalars of a row that the automaton moves hop by hop."""


_HEARD_BY_HOP = (np.hanning(HOP_SAMPLES * FRAME_HOPS + 1)[:-1] ** 2).reshape(FRAME_HOPS, HOP_SAMPLES).sum(axis=1)
_FRAME_SHARES = (_HEARD_BY_HOP / _HEARD_BY_HOP.sum()).astype(np.float32)
"""What each of a frame's hops has of its weight, the oldest first."""


def begin(state: NDArray[np.void], row: int) -> None:
    """Set a new row as after a long silence."""
    state[row] = np.zeros((), STATE)
    for name in ("peaks", "follower", "extreme"):
        state[row][name] = -100.0
    state[row]["floor"] = _UNKNOWN_FLOOR


def smoothed(
    state: State, bands: Sequence[FloatArray], voicing: FloatArray, lost: BoolArray, counts: IntArray
) -> tuple[list[FloatArray], FloatArray, FloatArray]:
    """Bands and the squared voicing in dB, and the share of the smoothed sound that was heard; (rows, hops) each.

    Each is the mean of the last 4 hops, weighted by what of a hop's frame was heard: a lost packet makes no dip.
    `state` keeps the hops it needs next.
    """
    missing = _missing(state, lost, counts)
    whole = not missing.any() and not state["missing"].any()
    before = [state["bands"][:, number] for number in range(BANDS)]
    smooth = [_smooth(np.concatenate([late, fresh], axis=1)) for late, fresh in zip(before, bands, strict=True)]
    told = np.concatenate([np.square(state["voicing"]), np.square(voicing)], axis=1)
    heard = np.ones(voicing.shape, np.float32)
    if whole:
        smooth.append(_smooth(told))
    else:
        gone = np.concatenate([state["missing"], missing], axis=1)
        smooth.append(_smooth(told * (1 - gone)))
        heard -= _smooth(gone)
        smooth = [band / np.where((heard < 1) & (heard >= LEAST_HEARD), heard, 1) for band in smooth]
    for late, fresh in zip(before, bands, strict=True):
        delay(late, fresh, counts)
    delay(state["missing"], missing, counts)
    periodic = np.maximum(smooth.pop(), np.float32(LEAST_PERIODIC**2))
    return [decibels(band) for band in smooth], decibels(periodic), heard


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


def envelope(state: State, bands_db: Sequence[FloatArray], periodic_db: FloatArray, counts: IntArray) -> FloatArray:
    """(rows, hops): the weighted mean of the bands' dB, each held near its running peak, and the voicing's."""
    mix = periodic_db * np.float32(VOICING_WEIGHT)
    for number, band in enumerate(bands_db):
        peak = _falling(state["peaks"][:, number], band, PEAK_FALLS_DB_PER_HOP, counts)
        mix += np.maximum(band, (peak - RANGE_DB).astype(np.float32)) * np.float32(BAND_WEIGHTS[number])
    return mix


def gate(state: State, envelope_db: FloatArray, sound: BoolArray, counts: IntArray) -> FloatArray:
    """(rows, hops): what a nucleus must be louder than, in dB of the envelope.

    It lies under a follower of the envelope's peaks, the less the nearer to these the line's noise is. `sound`
    (rows, hops) is False in digital silence.
    """
    follower = _falling(state["follower"], envelope_db, FOLLOWER_FALLS_DB_PER_HOP, counts)
    tells = _run(state["sounding"], sound, counts) > FLOOR_AFTER_HOPS
    rises = np.cumsum(tells, axis=1) * FLOOR_RISES_DB_PER_HOP
    lowest = np.minimum.accumulate(np.where(tells, envelope_db - rises, np.inf), axis=1)
    floor = np.minimum(np.minimum(lowest, state["floor"][:, None]) + rises, _UNKNOWN_FLOOR)
    state["floor"] = _last(floor, counts)
    range_db = np.where(floor == _UNKNOWN_FLOOR, RANGE_DB, follower - floor)
    below = np.clip(SHARE_OF_RANGE * range_db, LEAST_BELOW_FOLLOWER_DB, MOST_BELOW_FOLLOWER_DB)
    return np.asarray(follower - below, np.float32)


def _falling(before: FloatArray, values: FloatArray, falls: float, counts: IntArray) -> FloatArray:
    """(rows, hops): the running peak that falls by `falls` a hop, from `before` (rows,), which becomes the last."""
    fallen = np.arange(1, values.shape[1] + 1) * falls
    peak = np.maximum(np.maximum.accumulate(values + fallen, axis=1), before[:, None]) - fallen
    before[:] = _last(peak, counts)
    return peak


def _run(before: IntArray, flags: BoolArray, counts: IntArray) -> IntArray:
    """(rows, hops): how many hops in a row are True up to each, `before` (rows,) of them earlier; see `_falling`."""
    hop = np.arange(1, flags.shape[1] + 1)
    broken = np.maximum.accumulate(np.where(flags, 0, hop), axis=1)
    run = hop - broken + np.where(broken == 0, before[:, None], 0)
    before[:] = _last(run, counts)
    return np.asarray(run)


def _last(values: NDArray[T], counts: IntArray) -> NDArray[T]:
    """(rows,): each row's value at its last hop."""
    return values[np.arange(len(values)), counts - 1]


def nuclei(
    state: State,
    bands: Sequence[FloatArray],
    voicing: FloatArray,
    power: FloatArray,
    lost: BoolArray,
    counts: IntArray,
) -> IntArray:
    """(rows, hops): 0, or 1 + how many hops ago the syllable nucleus that is certain now was.

    After de Jong & Wempe 2009, as a stream: a nucleus is dip-peak-dip with 2 dB on both sides of an envelope, the
    mean of four bands' dB and the voicing's; it is voiced and not too far under a follower of the envelope. No least
    distance: it would lose fast speech. `bands`: mean squares, `voicing`: 0-1, all (rows, hops); `power`: mean
    squares, `lost`, (rows, steps); rows sorted by falling `counts` of hops, at least one each.
    """
    bands_db, periodic_db, heard = smoothed(state, bands, voicing, lost, counts)
    mix = envelope(state, bands_db, periodic_db, counts)
    sound = np.repeat(power > LEAST_POWER, HOPS_PER_STEP, axis=1)
    limit = gate(state, mix, sound, counts)
    both = np.concatenate([state["voicing"], voicing], axis=1)
    delay(state["voicing"], voicing, counts)
    hops = voicing.shape[1]
    around = np.maximum(np.maximum(both[:, :hops], both[:, 1 : hops + 1]), both[:, 2 : hops + 2])
    gaps = heard < LEAST_HEARD
    any_gap = np.asarray(gaps.any(axis=0))

    found = np.zeros(voicing.shape, np.int32)
    mine = {name: state[name].copy() for name in _LOOP}
    held, climbing, extreme, age, peak_voicing = mine.values()
    for hop, n in enumerate(alive(counts, hops)):
        d, up, best = mix[:n, hop], climbing[:n], extreme[:n]
        beyond = np.where(up, d - best, best - d)
        further, turns = beyond > 0, -beyond >= np.where(up, _PEAK_HYSTERESIS, _DIP_HYSTERESIS)
        if any_gap[hop]:
            held[:n] = np.where(gaps[:n, hop], held[:n] + 1, 0)
            still = (held[:n] > 0) & (held[:n] <= LONGEST_HELD_HOPS)
            further &= ~still
            turns &= ~still
        age[:n] += 1
        ends = np.flatnonzero(turns & up & (peak_voicing[:n] > LEAST_VOICING) & (best > limit[:n, hop]))
        found[ends, hop] = age[ends] + 1
        moved = further | turns
        extreme[:n] = np.where(moved, d, best)
        age[:n] = np.where(moved, 0, age[:n])
        peak_voicing[:n] = np.where(moved, around[:n, hop], peak_voicing[:n])
        climbing[:n] = up ^ turns
    for name, column in mine.items():
        state[name] = column
    return found


def accumulate(state: State, found: IntArray, block: Settled) -> None:
    """Add the block's syllables and speech steps; a nucleus counts where its peak lies in speech."""
    rows, steps = block.speech.shape
    both = np.concatenate([state["waiting"], np.zeros((rows, steps))], axis=1)
    row, hop = np.nonzero(found)
    step = SETTLE_STEPS + (hop - LOOKS_BACK_HOPS - (found[row, hop] - 1)) // HOPS_PER_STEP
    np.add.at(both, (row, np.maximum(step, 0)), 1)
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
