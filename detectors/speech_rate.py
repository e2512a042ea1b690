"""How fast a side speaks: counts syllable nuclei in the sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors import envelope
from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.baselines import BASELINE, follow
from detectors.columns import HOPS_PER_STEP, SETTLE_STEPS, STEPS_PER_SECOND, Settled, State, alive, delay, stretch
from detectors.envelope import BANDS, FLOOR_AFTER_HOPS, FRAME_HOPS, LEAST_HEARD, SMOOTHING_HOPS, UNKNOWN_FLOOR_DB

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
LEAST_VOICING = 0.45
LEAST_POWER = 1e-9
LONGEST_HELD_HOPS = 10
"""A loss of up to 0.1 s leaves the envelope where it was; a longer one ends the syllable."""
LOOKS_BACK_HOPS = 3
"""A smoothed value stands for the sound this much earlier: 1.5 hops of smoothing, 1.5 of the 40 ms frame."""
WINDOW_STEPS = 10 * STEPS_PER_SECOND
LEAST_STEPS = 3 * STEPS_PER_SECOND
BASELINE_AFTER_SECONDS = 8.0

_PEAK_HYSTERESIS, _DIP_HYSTERESIS = np.float32(PEAK_HYSTERESIS_DB), np.float32(DIP_HYSTERESIS_DB)
_LOOP = ("held", "climbing", "extreme", "age", "peak_voicing")
"""The scalars of a row that the automaton moves hop by hop."""


def begin(state: NDArray[np.void], row: int) -> None:
    """Set a new row as after a long silence."""
    state[row] = np.zeros((), STATE)
    for name in ("peaks", "follower", "extreme"):
        state[row][name] = -100.0
    state[row]["floor"] = UNKNOWN_FLOOR_DB


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
    bands_db, periodic_db, heard = envelope.smoothed(state, bands, voicing, lost, counts)
    mix = envelope.mix(state, bands_db, periodic_db, counts)
    sound = np.repeat(power > LEAST_POWER, HOPS_PER_STEP, axis=1)
    limit = envelope.limit(state, mix, sound, counts)
    both = np.concatenate([state["voicing"], voicing], axis=1)
    delay(state["voicing"], voicing, counts)
    hops = voicing.shape[1]
    around = np.maximum(np.maximum(both[:, :hops], both[:, 1 : hops + 1]), both[:, 2 : hops + 2])
    gaps = heard < LEAST_HEARD
    any_gap = np.asarray(gaps.any(axis=0))

    found = np.zeros(voicing.shape, np.int32)
    mine = {name: state[name].copy() for name in _LOOP}
    held, climbing, extreme, age, peak_voicing = mine.values()
    holding = bool(held.any())
    for hop, n in enumerate(alive(counts, hops)):
        d, up, best = mix[:n, hop], climbing[:n], extreme[:n]
        beyond = np.where(up, d - best, best - d)
        further, turns = beyond > 0, -beyond >= np.where(up, _PEAK_HYSTERESIS, _DIP_HYSTERESIS)
        if any_gap[hop] or holding:
            held[:n] = np.where(gaps[:n, hop], held[:n] + 1, 0)
            holding = bool(held.any())
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


def rests(state: State, power: FloatArray, counts: IntArray) -> BoolArray:
    """(rows,): whether a row that voice activity lets rest may do so here: its line hisses on, or is digitally silent.

    `power` (rows, steps), `counts` in steps.
    """
    sounding = (power > LEAST_POWER).sum(axis=1)
    return np.asarray((sounding == 0) | (sounding == counts) & (state["sounding"] >= FLOOR_AFTER_HOPS))


def rest(state: State, power: FloatArray, counts: IntArray) -> None:
    """What `nuclei` comes to for rows that rest, `counts` in steps: while the envelope falls no peak begins."""
    hops = counts * HOPS_PER_STEP
    mixed = envelope.rest(state, power[:, 0] > LEAST_POWER, hops)
    state["climbing"] &= state["extreme"] - mixed < _PEAK_HYSTERESIS
    state["extreme"] = np.where(state["climbing"], state["extreme"], np.minimum(state["extreme"], mixed))
    state["age"] += hops


def accumulate(state: State, found: IntArray, block: Settled) -> None:
    """Add the block's syllables and speech steps; a nucleus counts where its peak lies in speech."""
    rows, steps = block.speech.shape
    both = np.concatenate([state["waiting"], np.zeros((rows, steps))], axis=1)
    row, hop = np.nonzero(found)
    step = SETTLE_STEPS + (hop - LOOKS_BACK_HOPS - (found[row, hop] - 1)) // HOPS_PER_STEP
    np.add.at(both, (row, np.maximum(step, 0)), 1)
    state["waiting"] = stretch(both, block.counts, SETTLE_STEPS)
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
