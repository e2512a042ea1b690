"""The envelope that syllables are counted in: four bands' and the voicing's dB, smoothed, and what is too low in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.columns import HOP_SAMPLES, HOPS_PER_STEP, QUIET_DBOV, State, decibels, delay, last

BAND_WEIGHTS = (0.409, 0.234, 0.07, 0.287)
"""Of the dB of `spectrum.BANDS_HZ` in the envelope, with what follows found on the shared recordings, clean, disturbed
and at other tempi: of two bands with one weight each fast speech merged, and every line was worse."""
BANDS = len(BAND_WEIGHTS)
_SMOOTHING = np.hanning(6)[1:-1].astype(np.float32) / np.float32(np.hanning(6).sum())
SMOOTHING_HOPS = len(_SMOOTHING)
FRAME_HOPS = 4

VOICING_WEIGHT = 0.676
"""Of the dB of the smoothed squared voicing: where a voice breaks or is overlaid, a syllable ends though it is loud."""
LEAST_PERIODIC = 0.105
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
LEAST_HEARD = 0.05
"""Of what a smoothed value stands on; with less of it heard it says nothing."""
UNKNOWN_FLOOR_DB = 200.0

_HEARD_BY_HOP = (np.hanning(HOP_SAMPLES * FRAME_HOPS + 1)[:-1] ** 2).reshape(FRAME_HOPS, HOP_SAMPLES).sum(axis=1)
_FRAME_SHARES = (_HEARD_BY_HOP / _HEARD_BY_HOP.sum()).astype(np.float32)
"""What each of a frame's hops has of its weight, the oldest first."""


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


def mix(state: State, bands_db: Sequence[FloatArray], periodic_db: FloatArray, counts: IntArray) -> FloatArray:
    """(rows, hops): the weighted mean of the bands' dB, each held near its running peak, and the voicing's."""
    peaks = (
        _falling(state["peaks"][:, number], band, PEAK_FALLS_DB_PER_HOP, counts) for number, band in enumerate(bands_db)
    )
    return _weighted(bands_db, peaks, periodic_db)


def _weighted(bands_db: Iterable[FloatArray], peaks_db: Iterable[FloatArray], periodic_db: FloatArray) -> FloatArray:
    mixed = periodic_db * np.float32(VOICING_WEIGHT)
    for band, peak, weight in zip(bands_db, peaks_db, BAND_WEIGHTS, strict=True):
        mixed += np.maximum(band, (peak - RANGE_DB).astype(np.float32)) * np.float32(weight)
    return mixed


def limit(state: State, envelope_db: FloatArray, sound: BoolArray, counts: IntArray) -> FloatArray:
    """(rows, hops): what a nucleus must be louder than, in dB of the envelope.

    It lies under a follower of the envelope's peaks, the less the nearer to these the line's noise is. `sound`
    (rows, hops) is False in digital silence.
    """
    follower = _falling(state["follower"], envelope_db, FOLLOWER_FALLS_DB_PER_HOP, counts)
    tells = _run(state["sounding"], sound, counts) > FLOOR_AFTER_HOPS
    rises = np.cumsum(tells, axis=1) * FLOOR_RISES_DB_PER_HOP
    lowest = np.minimum.accumulate(np.where(tells, envelope_db - rises, np.inf), axis=1)
    floor = np.minimum(np.minimum(lowest, state["floor"][:, None]) + rises, UNKNOWN_FLOOR_DB)
    state["floor"] = last(floor, counts)
    range_db = np.where(floor == UNKNOWN_FLOOR_DB, RANGE_DB, follower - floor)
    below = np.clip(SHARE_OF_RANGE * range_db, LEAST_BELOW_FOLLOWER_DB, MOST_BELOW_FOLLOWER_DB)
    return np.asarray(follower - below, np.float32)


def rest(state: State, hisses: BoolArray, hops: IntArray) -> FloatArray:
    """(rows,): what `mix` and `limit` come to after `hops` (rows,) of silence, where the line `hisses` or is dead.

    The envelope of silence only falls, and more slowly than its follower: of both, and of the rising floor, the last
    hop decides. `smoothed` must hold nothing but silence before.
    """
    state["peaks"] = np.maximum(state["peaks"] - PEAK_FALLS_DB_PER_HOP * hops[:, None], QUIET_DBOV)
    silence = np.full(len(hops), QUIET_DBOV, np.float32)
    periodic = np.full(len(hops), LEAST_PERIODIC**2, np.float32)
    mixed = _weighted([silence] * BANDS, state["peaks"].T, decibels(periodic))
    state["follower"] = np.maximum(state["follower"] - FOLLOWER_FALLS_DB_PER_HOP * hops, mixed)
    risen = np.minimum(np.minimum(state["floor"] + FLOOR_RISES_DB_PER_HOP * hops, mixed), UNKNOWN_FLOOR_DB)
    state["floor"] = np.where(hisses, risen, state["floor"])
    state["sounding"] = np.where(hisses, state["sounding"] + hops, 0)
    return mixed


def _falling(before: FloatArray, values: FloatArray, falls: float, counts: IntArray) -> FloatArray:
    """(rows, hops): the running peak that falls by `falls` a hop, from `before` (rows,), which becomes the last."""
    fallen = np.arange(1, values.shape[1] + 1) * falls
    peak = np.maximum(np.maximum.accumulate(values + fallen, axis=1), before[:, None]) - fallen
    before[:] = last(peak, counts)
    return peak


def _run(before: IntArray, flags: BoolArray, counts: IntArray) -> IntArray:
    """(rows, hops): how many hops in a row are True up to each, `before` (rows,) of them earlier; see `_falling`."""
    hop = np.arange(1, flags.shape[1] + 1)
    broken = np.maximum.accumulate(np.where(flags, 0, hop), axis=1)
    run = hop - broken + np.where(broken == 0, before[:, None], 0)
    before[:] = last(run, counts)
    return np.asarray(run)
