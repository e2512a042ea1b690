"""The pitch contour of a recording by pYIN: slow and thorough, for one file; the live path has its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from detectors.arrays import BoolArray
from detectors.columns import STEP_SAMPLES
from detectors.decode import FULL_SCALE, RATE
from detectors.spectrum import LONGEST_LAG, SHORTEST_LAG
from stream.recordings import RecordingError, Track
from stream.report.talk import runs
from stream.report.values import Series

FRAME_SAMPLES = 512
"""64 ms: four periods of the lowest voice."""
AROUND_STEPS = 5
"""0.1 s of sound on either side of speech: pYIN follows a path and needs to get into it."""
LONGEST_STEPS = 1500
"""30 s at once: its tables grow with the length."""


def contour(sound: Track, speech: BoolArray, progressed: Callable[[float], None]) -> Series:
    """Pitch in Hz, one value in 20 ms, NaN where nothing is voiced; sought only where `speech` (steps,) is.

    `sound` is (n,) int16 at 8 kHz. pYIN after Mauch and Dixon 2014, as librosa has it, over the range of the live
    detector; `progressed` is told how many steps are done.
    """
    try:
        import librosa
    except ImportError:
        raise RecordingError(
            "the pitch contour is librosa's; run: pip install 'tonewatch[offline]' (in a checkout: make setup)"
        ) from None
    pitch = np.full(len(speech), np.nan)
    near = np.convolve(speech, np.ones(2 * AROUND_STEPS + 1), mode="same") > 0.5
    for first, end in _pieces(near):
        part = sound[first * STEP_SAMPLES : end * STEP_SAMPLES].astype(np.float32) / np.float32(FULL_SCALE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependencies' deprecations are no business of who reads a report
            found, _, _ = librosa.pyin(
                part,
                fmin=RATE / LONGEST_LAG,
                fmax=RATE / SHORTEST_LAG,
                sr=RATE,
                frame_length=FRAME_SAMPLES,
                hop_length=STEP_SAMPLES,
            )
        kept = min(len(found), end - first)
        pitch[first : first + kept] = found[:kept]
        progressed(float(end))
    pitch[~speech] = np.nan
    return pitch


def _pieces(flags: BoolArray) -> list[tuple[int, int]]:
    """The stretches of `flags`, none longer than 30 s."""
    return [
        (first, min(first + LONGEST_STEPS, end))
        for begin, end in runs(flags)
        for first in range(begin, end, LONGEST_STEPS)
    ]
