"""The peer: Praat's syllable nuclei, version 3, band-passed, through parselmouth (GPL: never shipped).

After de Jong, Pacilly & Heeren 2021, "PRAAT scripts to measure speed fluency and breakdown fluency in speech
automatically", with that script's own settings.
"""

from __future__ import annotations

import numpy as np
import parselmouth
from parselmouth.praat import call

from detectors.arrays import FloatArray
from detectors.decode import RATE

SILENCE_DB = -25.0
LEAST_DIP_DB = 2.0
LEAST_PAUSE_SECONDS = 0.3
BAND_HZ = (300, 3300)
SHORTEST_SECONDS = 0.2
"""Praat needs 6.4 periods of the lowest pitch it looks for."""


def syllables(samples: FloatArray) -> int:
    """Nuclei in a recording (n,) at 8 kHz: peaks of intensity between dips, voiced and within sounding parts."""
    sound = parselmouth.Sound(np.asarray(samples, np.float64), RATE)
    if sound.duration < SHORTEST_SECONDS:
        return 0
    sound = call(sound, "Filter (pass Hann band)", *BAND_HZ, 100)
    intensity = sound.to_intensity(50, subtract_mean=True)
    lowest, highest = (call(intensity, f"Get {end}", 0, 0, "Parabolic") for end in ("minimum", "maximum"))
    usual = call(intensity, "Get quantile", 0, 0, 0.99)
    silence = SILENCE_DB - (highest - usual)
    pauses = call(intensity, "To TextGrid (silences)", silence, LEAST_PAUSE_SECONDS, 0.1, "silent", "sounding")
    pitch = sound.to_pitch_ac(0.02, 30, 4, False, 0.03, 0.25, 0.01, 0.35, 0.25, 450)
    tier = call(intensity, "To IntensityTier (peaks)")
    times = [call(tier, "Get time from index", i + 1) for i in range(call(tier, "Get number of points"))]
    levels = [call(tier, "Get value at index", i + 1) for i in range(len(times))]
    threshold = max(usual + SILENCE_DB, lowest)
    peaks = [
        p for p in zip(times, levels, strict=True) if p[1] > threshold and not np.isnan(pitch.get_value_at_time(p[0]))
    ]
    edges = [0.0, *(time for time, _ in peaks), sound.duration]
    dips = [call(intensity, "Get minimum", *pair, "Parabolic") for pair in zip(edges, edges[1:], strict=False)]
    nuclei = _between_dips(peaks, dips)
    return sum(_sounding(pauses, time) for time in nuclei)


def _between_dips(peaks: list[tuple[float, float]], dips: list[float]) -> list[float]:
    """Times of the highest peaks that rise from one dip and fall to the next by more than 2 dB."""
    nuclei, lowest, best = [], dips[0], None
    for peak, dip in zip(peaks, dips[1:], strict=True):
        if peak[1] > (lowest + LEAST_DIP_DB if best is None else best[1]):
            best = peak
        if best is not None and dip < best[1] - LEAST_DIP_DB:
            nuclei.append(best[0])
            best, lowest = None, dip
        elif best is None:
            lowest = min(lowest, dip)
    return nuclei


def _sounding(pauses: parselmouth.TextGrid, time: float) -> bool:
    return bool(call(pauses, "Get label of interval", 1, call(pauses, "Get interval at time", 1, time)) == "sounding")
