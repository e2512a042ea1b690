"""Recordings in the format of the shared manifest: which of them have a rate, at 8 kHz, and in windows of 20 s."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.decode import RATE
from detectors.volume import active_speech_level

SHARED = Path(__file__).parents[2] / "shared" / "data" / "speech" / "manifest.jsonl"
LEAST_SYLLABLES = 4
"""Fewer make no rate: one syllable more or less is already 25 %."""
SINGLE_DIGITS = "fsdd"
WINDOW_SECONDS = 20.0
ORDERS = 20
"""Seeded orders of the clips that windows are cut from: one order has some 26 windows, and luck."""


@dataclass(frozen=True)
class Clip:
    """A recording of known text at 8 kHz, full scale 1.0."""

    name: str
    sound: FloatArray
    syllables: int
    language: str
    source: str
    speaker: str
    """As the manifest says; where it says nothing, the source, so that two of one source are never two speakers."""
    level_dbov: float
    """Active level (P.56) of the recording as it came."""
    lost: BoolArray | None = None
    """20-ms packets that never arrive; `sound` holds zeros there."""

    @property
    def seconds(self) -> float:
        return len(self.sound) / RATE

    def heard_as(self, sound: FloatArray, lost: BoolArray | None = None) -> Clip:
        """The same words, disturbed: 16 bit as on any line."""
        whole = np.clip(np.rint(np.asarray(sound, np.float64) * 32768), -32768, 32767) / 32768
        return replace(self, sound=whole.astype(np.float32), lost=lost)


def clips_of(manifests: Iterable[Path]) -> list[Clip]:
    """Every single-channel recording with at least 4 syllables in its text, without the single digits of fsdd."""
    return [clip for manifest in manifests for clip in _clips(manifest)]


def _clips(manifest: Path) -> Iterable[Clip]:
    for line in manifest.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        counted = (row.get("syllables") or 0) >= LEAST_SYLLABLES and row["source"] != SINGLE_DIGITS
        if counted and row.get("channels", 1) == 1:
            sound = at_8k(manifest.parent / row["path"])[0]
            level = active_speech_level(sound, RATE)[0]
            speaker = str(row.get("speaker") or row["source"])
            yield Clip(row["path"], sound, row["syllables"], row["language"], row["source"], speaker, level)


def at_8k(path: Path) -> FloatArray:
    """A file's samples (channels, n) at 8 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != RATE:
        both = gcd(int(rate), RATE)
        samples = resample_poly(samples, RATE // both, rate // both, axis=0)
    return np.ascontiguousarray(samples.T, np.float32)


def windows_of(clips: Sequence[Clip], seed: int) -> list[IntArray]:
    """Indices of clips of one source that, joined in a seeded order, last at least 20 s; a rest is left out."""
    windows, open_ = [], defaultdict(list)
    for index in np.random.default_rng(seed).permutation(len(clips)):
        mine = open_[clips[index].source]
        mine.append(int(index))
        if sum(clips[i].seconds for i in mine) >= WINDOW_SECONDS:
            windows.append(np.array(open_.pop(clips[index].source)))
    return windows
