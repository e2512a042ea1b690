"""Speech rate against the text of recordings, beside Praat on the same samples: clean, disturbed, faster and slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import audio_praat
from benchmarks.audio_bank import counted
from benchmarks.audio_clips import ORDERS, Clip, clips_of, windows_of
from benchmarks.audio_disturb import TEMPI, babble, lose_packets, mulaw, quieter, telephone_band, tempo, white_noise
from benchmarks.lines import Line
from detectors.arrays import FloatArray, IntArray

RESAMPLINGS = 2000


@dataclass(frozen=True)
class Counts:
    """What was counted in one recording each, over the whole file."""

    true: FloatArray
    ours: FloatArray
    praat: FloatArray
    seconds: FloatArray

    def joined(self, groups: Sequence[IntArray]) -> Counts:
        return Counts(*(np.array([column[group].sum() for group in groups]) for column in self._columns()))

    def only(self, these: IntArray) -> Counts:
        return Counts(*(column[these] for column in self._columns()))

    def _columns(self) -> tuple[FloatArray, ...]:
        return self.true, self.ours, self.praat, self.seconds

    def errors(self) -> tuple[FloatArray, FloatArray]:
        """Relative errors of the rate in percent, ours and Praat's."""
        return tuple(100 * np.abs(found - self.true) / self.true for found in (self.ours, self.praat))

    def correlations(self) -> tuple[float, float]:
        """Of the rates, ours and Praat's; 0 where the rates do not differ."""
        rates = [found / self.seconds for found in (self.true, self.ours, self.praat)]
        with np.errstate(invalid="ignore"):
            both = np.nan_to_num(np.corrcoef(rates))
        return float(both[0, 1]), float(both[0, 2])


def measure(clips: Sequence[Clip]) -> Counts:
    true = np.array([clip.syllables for clip in clips], float)
    praat = np.array([audio_praat.syllables(clip.sound) for clip in clips], float)
    return Counts(true, counted(clips)[0], praat, np.array([clip.seconds for clip in clips]))


def error_line(what: str, counts: Counts, bar: float | None = None) -> Line:
    """Mean relative error, and the 95 % interval of the difference to Praat over resampled recordings."""
    ours, praat = counts.errors()
    chosen = np.random.default_rng(1).integers(len(ours), size=(RESAMPLINGS, len(ours)))
    low, high = np.percentile((ours - praat)[chosen].mean(axis=1), (2.5, 97.5))
    note = f"n {len(ours)}, ours − Praat {low:+.1f} … {high:+.1f}"
    return Line(what, float(ours.mean()), "%", bar, peer=float(praat.mean()), note=note)


def lines(manifests: Sequence[Path]) -> list[Line]:
    """Every line of the rate; measuring takes about 0.2 s a second of audio."""
    clips = clips_of(manifests)
    clean = measure(clips)
    r, of_praat = clean.correlations()
    found = [Line("clips: rate r", r, "", 0.83, at_least=True, peer=of_praat), error_line("clips: error", clean, 7.2)]
    for what, key in (("language", lambda clip: clip.language), ("source", lambda clip: clip.source)):
        for name in sorted({key(clip) for clip in clips}):
            some = np.array([i for i, clip in enumerate(clips) if key(clip) == name])
            found.append(error_line(f"{what} {name}: error", clean.only(some), 5.0 if name == "zh" else None))
    found += _windows(clips, clean)
    for what, disturb, bar in _disturbances(clips):
        found.append(error_line(f"{what}: error", measure([disturb(clip) for clip in clips]), bar))
    return found + _tempi(clips, clean)


def _windows(clips: Sequence[Clip], clean: Counts) -> list[Line]:
    """Means over seeded orders of the clips."""
    orders = [clean.joined(groups) for seed in range(ORDERS) if len(groups := windows_of(clips, seed)) > 2]
    if not orders:
        return []
    (r, of_praat), (ours, praat) = (
        np.mean([[np.mean(value) for value in measured(counts)] for counts in orders], axis=0)
        for measured in (Counts.correlations, Counts.errors)
    )
    note = f"about {np.mean([len(counts.true) for counts in orders]):.0f} windows, mean of {len(orders)} orders"
    return [
        Line("20-s windows: rate r", float(r), "", 0.91, at_least=True, peer=float(of_praat), note=note),
        Line("20-s windows: error", float(ours), "%", 3.5, peer=float(praat), note=note),
    ]


def _disturbances(clips: Sequence[Clip]) -> list[tuple[str, Callable[[Clip], Clip], float]]:
    return [
        ("300-3400 Hz", telephone_band, 8.0),
        ("µ-law", mulaw, 8.0),
        ("20 dB quieter", partial(quieter, decibels=20), 8.0),
        ("white noise 20 dB", partial(white_noise, snr_db=20), 8.5),
        ("white noise 10 dB", partial(white_noise, snr_db=10), 9.0),
        ("babble 20 dB", partial(babble, clips=clips, snr_db=20), 11.0),
        ("babble 10 dB", partial(babble, clips=clips, snr_db=10), 17.0),
        ("5 % of packets lost", partial(lose_packets, share=0.05), 9.5),
    ]


def _tempi(clips: Sequence[Clip], clean: Counts) -> list[Line]:
    """Counted of all recordings against ×1.00: the farthest from 1, and whether the rate rises with every step."""
    ratios, rates = [], []
    for factor in TEMPI:
        counts = clean if factor == 1.0 else measure([tempo(clip, factor) for clip in clips])
        ratios.append((counts.ours.sum() / clean.ours.sum(), counts.praat.sum() / clean.praat.sum()))
        rates.append(counts.ours.sum() / counts.seconds.sum())
    told = [Line(f"tempo ×{f:.2f}: count", ours, peer=praat) for f, (ours, praat) in zip(TEMPI, ratios, strict=True)]
    ours, praat = np.abs(np.array(ratios) - 1).max(axis=0)
    steps = float(np.diff(rates).min())
    return [
        *told,
        Line("tempo: farthest from 1", float(ours), "", 0.05, peer=float(praat)),
        Line("tempo: smallest step of the rate", steps, "syl/s", 0.0, at_least=True),
    ]
