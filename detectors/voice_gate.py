"""Says which 20 ms of a side's sound may be its own voice: a level gate, webrtcvad behind it, the spectrum's word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import webrtcvad

from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.columns import HOPS_PER_STEP, STEP_SAMPLES, STEPS_PER_SECOND, State, alive
from detectors.decode import FULL_SCALE, RATE

MODE = 3
"""webrtcvad's strictest: modes 0-2 hear speech in a colleague's murmur."""
PLAINLY_VOICED = 0.8
"""A period this clear is a voice whatever webrtcvad says: it misses low male voices' beginnings by up to 0.3 s."""
LEAST_IN_BAND = 0.003
"""Share of its power (-25 dB) that any voice has in 250-3200 Hz; mains hum, which webrtcvad takes for one, has none."""
ABOVE_FLOOR_DB = 6.0
BELOW_PEAK_DB = 32.0
PLAIN_ABOVE_FLOOR_DB = 12.0
PLAIN_BELOW_PEAK_DB = 22.0
"""A voiced step this loud needs no webrtcvad; crosstalk at -35 dB stays below it."""
LOWEST_GATE_DBOV = -70.0
FIRST_PEAK_DBOV = -22.0
"""Steps of ordinary speech (active level -26 dBov) reach this; a call starts from it, lest crosstalk open the gate."""
QUIETEST_FIRST_PEAK_DBOV = -40.0
"""What first opens the gate tells the speaker's own level, which may be 20 dB under the ordinary."""
RAISED_TO_PEAK_DBOV = -34.0
MOST_GAIN_DB = 24.0
GAIN_STEP_DB = 6.0
"""webrtcvad's models know speech at the usual levels: 20 dB under them a part of the syllables was no speech to it, so
what comes from a quieter speaker is raised, by whole bits. Raised up to the usual -22 more of them are found, but the
babble behind a quiet speaker passes as well (`benchmarks/audio_accuracy.py`)."""
FIRST_FLOOR_DBOV = -66.0
FLOOR_RISES_DB_PER_SECOND = 1.5
PEAK_FALLS_DB_PER_SECOND = 1.0
PEAK_LEAKS_DB_PER_SECOND = 0.1
PEAK_ATTACK = 0.25
"""Share of the way up in one step: a click of 20 ms must not close the gate behind it."""


def gate(
    state: State, level_dbov: FloatArray, lost: BoolArray, counts: IntArray
) -> tuple[BoolArray, BoolArray, FloatArray]:
    """(rows, steps) thrice: loud enough to be this side's own voice, so loud that it plainly is if voiced, its peak.

    More than 6 dB over the noise floor (a minimum that may rise 1.5 dB/s) and at most 32 dB under the speaker's own
    peak in dBov, so that neither line noise nor the other side's crosstalk passes. `level_dbov` is (rows, steps),
    `lost` too. `state` is voice activity's.
    """
    passes, plain = np.zeros(level_dbov.shape, bool), np.zeros(level_dbov.shape, bool)
    peaks = np.full(level_dbov.shape, RAISED_TO_PEAK_DBOV, np.float32)
    peak, floor, met = state["peak_dbov"].copy(), state["floor_dbov"].copy(), state["met"].copy()
    rise, fall, leak = (
        np.float32(rate / STEPS_PER_SECOND)
        for rate in (FLOOR_RISES_DB_PER_SECOND, PEAK_FALLS_DB_PER_SECOND, PEAK_LEAKS_DB_PER_SECOND)
    )
    for step, n in enumerate(alive(counts, level_dbov.shape[1])):
        level, heard = level_dbov[:n, step], ~lost[:n, step]
        top, bottom = peak[:n], floor[:n]
        limit = np.maximum(np.maximum(bottom + ABOVE_FLOOR_DB, top - BELOW_PEAK_DB), LOWEST_GATE_DBOV)
        open_ = heard & (level > limit)
        passes[:n, step] = open_
        plain[:n, step] = open_ & (level > np.maximum(bottom + PLAIN_ABOVE_FLOOR_DB, top - PLAIN_BELOW_PEAK_DB))
        bottom[heard] = np.clip(np.minimum(level, bottom + rise), -75, -30)[heard]
        first = open_ & ~met[:n]
        if first.any():
            top[first] = np.maximum(level[first], QUIETEST_FIRST_PEAK_DBOV)
            met[:n] |= first
        raised = top + PEAK_ATTACK * np.maximum(level - top, 0)
        lowered = np.where(raised > top, raised, top - np.where(open_, fall, leak))
        top[heard] = np.maximum(lowered, -60)[heard]
        peaks[:n, step] = top
    state["peak_dbov"], state["floor_dbov"], state["met"] = peak, floor, met
    return passes, plain, peaks


def ask_webrtc(vads: Sequence[webrtcvad.Vad], sound: FloatArray, passes: BoolArray, peak_dbov: FloatArray) -> BoolArray:
    """(rows, steps): webrtcvad's word on every step that passed the gate; `sound` is (rows, samples) at 8 kHz.

    `peak_dbov` (rows, steps) is the speaker's own: what is quieter than usual is raised first.
    """
    speech = np.zeros(passes.shape, bool)
    wanted = passes.nonzero()
    if not len(wanted[0]):
        return speech
    steps = sound.reshape(len(sound), -1, STEP_SAMPLES)[wanted]
    below = np.clip(np.float32(RAISED_TO_PEAK_DBOV) - peak_dbov[wanted], 0, MOST_GAIN_DB)
    bits = np.floor(below / np.float32(GAIN_STEP_DB)).astype(np.int32)
    raised = np.rint(np.ldexp(steps, bits[:, None]) * np.float32(FULL_SCALE))
    pcm = np.clip(raised, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16).data.cast("B")
    width = 2 * STEP_SAMPLES
    speech[wanted] = [
        vads[row].is_speech(pcm[at : at + width], RATE, STEP_SAMPLES)
        for row, at in zip(wanted[0].tolist(), range(0, len(pcm), width), strict=True)
    ]
    return speech


def weigh(raw: BoolArray, plain: BoolArray, power: FloatArray, in_band: FloatArray, voicing: FloatArray) -> BoolArray:
    """webrtcvad's word `raw` (rows, steps), corrected by the spectrum of the steps' hops, (rows, hops).

    No speech without power in the voice band; speech where a `plain` (loud) step is plainly voiced.
    """
    hops = (*raw.shape, HOPS_PER_STEP)
    band = in_band > LEAST_IN_BAND * np.repeat(power, HOPS_PER_STEP, axis=1)
    voiced = band & (voicing > PLAINLY_VOICED)
    return np.asarray((raw & band.reshape(hops).any(axis=2)) | (plain & voiced.reshape(hops).any(axis=2)))
