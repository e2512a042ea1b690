"""One windowed FFT per 10 ms hop, from which syllables take their energies and pitch its period."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from detectors.arrays import FloatArray, IntArray
from detectors.columns import HOP_SAMPLES
from detectors.decode import RATE

FRAME_SAMPLES = 320
FFT_SAMPLES = 512
TAIL_SAMPLES = FRAME_SAMPLES - HOP_SAMPLES

STATE = np.dtype([("tail", "f4", (TAIL_SAMPLES,))])
"""The samples before the next hop that its 40 ms frame reaches back to."""

BANDS_HZ = ((250.0, 550.0), (550.0, 950.0), (950.0, 1700.0), (1700.0, 3200.0))
"""About where the first formant of close and of open vowels lies, and the second of back and of front ones."""
SHORTEST_LAG = 17
LONGEST_LAG = 114
"""480 to 70 Hz at 8 kHz."""
OCTAVE_COST = 0.03
"""What a period an octave longer must be clearer by to be taken for the voicing; Boersma 1993."""
LEAST_VOICING = 0.5
"""What is less periodic has no pitch that would mean anything, and none is looked for."""
PITCH_OCTAVE_COST = 0.04
LONGER_STANDS_OUT = 0.06
"""What a period must stand out by over its half, both measured between samples, not to be taken for two of it."""
BESIDE_PEAK = 0.3
"""A sample beside a narrow peak lies up to this much under it."""
LEAST_PEAK = 0.07
"""A period that stands out less, of the root spectrum's, is noise's: peaks are low there, 0.1 to 0.6 for a voice."""
FADES_HZ = (1500.0, 3500.0)
"""Pitch is read from what lies under these: higher harmonics move with every irregularity, and peaks grow narrow."""
_BLIND_BINS = 4
"""Bins under 55 Hz are dropped: DC and mains hum would read as a perfect period."""
_FRAMES_AT_ONCE = 512
"""About 2 MB of buffers: larger blocks fall out of the L2 cache and cost a third more."""

_HANN = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)


def _bins(band_hz: tuple[float, float]) -> slice:
    return slice(*(round(edge * FFT_SAMPLES / RATE) for edge in band_hz))


def _window_correlation() -> NDArray[np.float32]:
    """The window's own autocorrelation at the lags we look at and one on either side, lag 0 = 1."""
    power = np.abs(np.fft.rfft(_HANN.astype(np.float64), 1024)) ** 2
    correlation = np.fft.irfft(power)
    return np.asarray(correlation[SHORTEST_LAG - 1 : LONGEST_LAG + 2] / correlation[0], np.float32)


def _fading() -> NDArray[np.float32]:
    """Weights of the bins up to where the pitch's band ends."""
    hertz = np.arange(_bins(FADES_HZ).stop) * RATE / FFT_SAMPLES
    return np.asarray(np.clip((FADES_HZ[1] - hertz) / (FADES_HZ[1] - FADES_HZ[0]), 0, 1), np.float32)


_BANDS = [_bins(band) for band in BANDS_HZ]
_FADING = _fading()
_RADIANS = (2 * np.pi / FFT_SAMPLES * np.arange(len(_FADING))).astype(np.float32)
"""What each bin of the pitch's band turns in a sample."""
_UNBIAS = 1 / _window_correlation()
_OCTAVES = np.log2(np.arange(SHORTEST_LAG, LONGEST_LAG + 1) / SHORTEST_LAG).astype(np.float32)


def analyse(frames: FloatArray, row: IntArray, hop: IntArray) -> FloatArray:
    """(6, n) of four BANDS, VOICING, F0 for the frames `frames[row, hop]`, each of 320 samples, full scale 1.0.

    BANDS are the mean squares in BANDS_HZ. VOICING is the height of the best period, 0 none to
    1 perfectly periodic: autocorrelation of the windowed frame divided by the window's own, after Boersma 1993
    ("Accurate short-term analysis of the fundamental frequency"), periods of 17 to 114 samples. F0 in Hz, 0 where
    VOICING is at most 0.5, is the best period of the same with the root of the magnitudes for the power (a generalised
    autocorrelation, Tolonen & Karjalainen 2000): it hears the harmonics alike, be they in a formant or not, so that a
    telephone that takes the fundamental, or a strong first formant, does not double the pitch.
    """
    out = np.zeros((len(BANDS_HZ) + 2, len(row)), np.float32)
    for start in range(0, len(row), _FRAMES_AT_ONCE):
        some = slice(start, start + _FRAMES_AT_ONCE)
        _analyse_some(frames[row[some], hop[some]], out[:, some])
    return out


def _analyse_some(frames: FloatArray, out: FloatArray) -> None:
    spectrum = scipy.fft.rfft(np.multiply(frames, _HANN, out=frames), FFT_SAMPLES, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    power[:, :_BLIND_BINS] = 0.0
    scale = np.float32(2 / (FFT_SAMPLES * float(np.sum(_HANN.astype(np.float64) ** 2))))
    for band, bins in zip(out, _BANDS, strict=False):
        np.multiply(power[:, bins].sum(axis=1), scale, out=band)
    voicing, f0_hz = out[-2:]

    around, strength = _periods(power, OCTAVE_COST)
    row = np.arange(len(frames))
    best = np.argmax(strength, axis=1)
    voicing[:] = np.where(strength[row, best] > 0, np.clip(around[row, best + 1], 0, 1), 0)

    voiced = np.flatnonzero(voicing > LEAST_VOICING)
    root = power[voiced]
    flat = root[:, : len(_FADING)]
    np.sqrt(flat, out=flat)
    np.sqrt(flat, out=flat)
    flat *= _FADING
    root[:, len(_FADING) :] = 0
    around, strength = _periods(root, PITCH_OCTAVE_COST)
    best = np.argmax(strength, axis=1)
    lag, height = _peak(around, best)
    # Twice a short period comes nearer to a whole number of samples than the period itself, and looks higher for it.
    half = np.maximum((best - SHORTEST_LAG) // 2, 0)
    near = half[:, None] + np.arange(3)
    beside = np.take_along_axis(strength, near, axis=1).max(axis=1)
    some = np.flatnonzero((best >= SHORTEST_LAG) & (beside > height - BESIDE_PEAK))
    octave = _height(root[some], lag[some] / 2) + np.float32(LONGER_STANDS_OUT) > height[some]
    lag[some[octave]] /= 2
    known = (strength[np.arange(len(best)), best] > 0) & (height > LEAST_PEAK)
    f0_hz[voiced] = np.where(known, RATE / lag, 0)


def _peak(around: FloatArray, place: IntArray) -> tuple[FloatArray, FloatArray]:
    """Lag and height of the peak at column `place` of the lags we look at: a parabola through three samples."""
    row = np.arange(len(place))
    before, peak, after = around[row, place], around[row, place + 1], around[row, place + 2]
    bend = before - 2 * peak + after
    bend = np.where(np.abs(bend) < 1e-9, -1, bend)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return place + SHORTEST_LAG + shift, peak - 0.25 * (before - after) * shift


def _height(power: FloatArray, lag: FloatArray) -> FloatArray:
    """Autocorrelation of each frame at its own `lag` (n,), which may lie between samples; as `_periods` gives it."""
    half = power[:, : len(_FADING)]
    waves = np.cos(lag[:, None].astype(np.float32) * _RADIANS)
    unbias = np.interp(lag, np.arange(SHORTEST_LAG - 1, LONGEST_LAG + 2), _UNBIAS)
    return np.asarray(np.einsum("nk,nk->n", half, waves) / np.maximum(half.sum(axis=1), 1e-12) * unbias, np.float32)


def _periods(power: FloatArray, octave_cost: float) -> tuple[FloatArray, FloatArray]:
    """Autocorrelation at every lag and one on either side; how well each lag stands as the period, -1 if no peak."""
    # The power is real and even, and a cosine transform of it costs half of an inverse FFT.
    correlation = scipy.fft.dct(power, type=1, axis=1)
    around = correlation[:, SHORTEST_LAG - 1 : LONGEST_LAG + 2] * _UNBIAS
    around /= np.maximum(correlation[:, :1], np.float32(1e-12))
    middle, left, right = around[:, 1:-1], around[:, :-2], around[:, 2:]
    # Only peaks count: without this the slope down from lag 0 reads as a very high voice.
    strength = middle - _OCTAVES * np.float32(octave_cost)
    np.copyto(strength, np.float32(-1), where=(middle < left) | (middle <= right))
    return around, strength
