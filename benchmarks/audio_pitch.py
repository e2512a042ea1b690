"""Pitch of voices that were made anew with a known contour: gross errors of the live contour, beside Praat's."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import parselmouth
import scipy.linalg
import scipy.signal
import soundfile

from benchmarks.lines import Line
from detectors import intonation, spectrum, voice_activity, voice_gate
from detectors.arrays import FloatArray
from detectors.columns import HOP_SAMPLES, HOPS_PER_STEP, STEP_SAMPLES, decibels
from detectors.decode import RATE, decode, encode_mulaw
from detectors.volume import active_speech_level

GROSS = 0.2
"""An estimate more than this share off is a gross error; counted among frames voiced in truth and estimate."""
BARS = {"clean": 1.0, "300-3400 Hz, µ-law": 2.5, "white noise 10 dB": 1.0}
CLIPS_A_SOURCE = 25
LEAST_SECONDS = 1.0
LEVEL_DBOV = -26.0

_LPC_ORDER = 12
_FRAME, _HOP = 200, 80
_BREATH = 0.05
"""Noise in the source of voiced frames, against its pulses (-26 dB): no voice is perfectly periodic."""


@dataclass(frozen=True)
class Made:
    """A sound whose pitch is known."""

    source: str
    sound: FloatArray
    """(n,) at 8 kHz."""
    f0_hz: FloatArray
    """(n,): of every sample, 0 where it is not voiced."""


def voice_of(samples: FloatArray, base_hz: float, seed: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Make `samples` (n,) at 8 kHz anew: its own vocal tract and voicing, a contour of ours around `base_hz`.

    Linear prediction (order 12, 25 ms) takes the tract from the clip; the source is a pulse train, as harmonics of
    equal strength, whose phase is the integral of the contour: the truth comes from no estimator of pitch. The clip
    counts as voiced where most of its power lies under 1 kHz and is at most 30 dB under its loudest.
    """
    count = len(samples) // _HOP - _FRAME // _HOP
    starts = np.arange(count) * _HOP
    window = np.hanning(_FRAME + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), _FRAME)[starts] * window
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    total = power.sum(axis=1)
    low = power[:, : 512 * 1000 // RATE].sum(axis=1)
    voiced = (low > 0.6 * total) & (total > total.max() * 1e-3)
    voiced = scipy.signal.medfilt(voiced.astype(float), 7) > 0.5

    time = np.arange(len(samples)) / RATE
    # A phrase that falls by 4 semitones in 2.5 s, and accents of 2 to 3 semitones at 0.7 and 1.9 Hz.
    fall = 2 - 4 * ((time + seed.uniform(0, 2.5)) % 2.5) / 2.5
    accents = 2.5 * np.sin(2 * np.pi * (0.7 * time + seed.uniform())) + 1.5 * np.sin(
        2 * np.pi * (1.9 * time + seed.uniform())
    )
    fall = np.convolve(np.pad(fall, 400, mode="edge"), np.hanning(801) / np.hanning(801).sum(), "valid")
    f0_hz = base_hz * 2 ** ((fall + accents) / 12)
    pulses, noise = _pulses(f0_hz), seed.standard_normal(len(samples))

    made = np.zeros(len(samples) + _FRAME * 4)
    is_voiced = np.zeros(len(samples), bool)
    for frame, start, has_voice in zip(frames, starts.tolist(), voiced.tolist(), strict=True):
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frame, 512)) ** 2)[: _LPC_ORDER + 1]
        correlation[0] = correlation[0] * 1.0001 + 1e-9
        tract = scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])
        left = max(correlation[0] - tract @ correlation[1:], 1e-12)
        span = slice(start, start + _FRAME)
        source = pulses[span] + _BREATH * noise[span] if has_voice else noise[span]
        gain = np.sqrt(left / np.sum(window**2))
        excited = np.concatenate([source * window, np.zeros(_FRAME * 2)])
        made[start : start + len(excited)] += gain * scipy.signal.lfilter([1.0], [1.0, *-tract], excited)
        if has_voice:
            middle = start + _FRAME // 2
            is_voiced[middle - _HOP // 2 : middle + _HOP // 2] = True
    return made[: len(samples)].astype(np.float32), np.where(is_voiced, f0_hz, 0).astype(np.float32)


def _pulses(f0_hz: FloatArray) -> FloatArray:
    """Harmonics of equal strength up to 3.8 kHz, power 1: a train of pulses without aliases."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    train, count = np.zeros(len(f0_hz)), np.zeros(len(f0_hz))
    for harmonic in range(1, int(3800 / f0_hz.min()) + 1):
        inside = harmonic * f0_hz < 3800
        train += np.where(inside, np.cos(harmonic * phase), 0)
        count += inside
    return train * np.sqrt(2 / np.maximum(count, 1))


def tones(seed: np.random.Generator) -> list[Made]:
    """Harmonic tones of 90 to 370 Hz, steady and gliding by 8 semitones, with even and with falling harmonics."""
    made = []
    time = np.arange(2 * RATE) / RATE
    for base in np.geomspace(90, 370, 15):
        for glide, falls in ((0.0, 0.0), (4.0, 0.0), (-4.0, 1.0), (0.0, 1.0)):
            f0_hz = base * 2 ** (glide * (time - 1) / 12)
            phase = 2 * np.pi * np.cumsum(f0_hz) / RATE + seed.uniform(0, 6.28)
            sound = sum(
                np.where(n * f0_hz < 3800, np.sin(n * phase) / n**falls, 0) for n in range(1, int(3800 / base) + 12)
            )
            made.append(Made("harmonic tones", np.asarray(sound, np.float32), f0_hz.astype(np.float32)))
    return made


def voices(manifests: Sequence[Path]) -> list[Made]:
    """The single-channel speech of the manifests, up to 25 clips a source, made anew."""
    seed = np.random.default_rng(7)
    by_source: dict[str, list[Path]] = defaultdict(list)
    for manifest in manifests:
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            if row["channels"] == 1 and row["text"] and row["seconds"] >= LEAST_SECONDS:
                by_source[row["source"]].append(manifest.parent / row["path"])
    made = []
    for source, files in sorted(by_source.items()):
        for file in seed.permutation(np.array(files, object))[:CLIPS_A_SOURCE]:
            samples, rate = soundfile.read(file, dtype="float32")
            samples = scipy.signal.resample_poly(samples, RATE, rate) if rate != RATE else samples
            heard = praat(samples)[1]
            # Only the register is the clip's own: a high contour on a deep voice's tract would be nobody.
            if (heard > 0).sum() >= 20:
                sound, f0_hz = voice_of(samples, float(np.median(heard[heard > 0])), seed)
                made.append(Made(source, sound, f0_hz))
    return made


def ours(sound: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Times of the middle of each frame in seconds, and the pitch of the live contour there, 0 where not voiced."""
    steps = len(sound) // STEP_SAMPLES
    blocks = sound[: steps * STEP_SAMPLES].reshape(1, steps, STEP_SAMPLES)
    power = (blocks**2).mean(axis=2) - blocks.mean(axis=2) ** 2
    state = np.zeros(1, voice_activity.STATE)
    voice_activity.begin(state, 0)
    counts = np.array([steps])
    passes = voice_gate.gate(state, decibels(np.maximum(power, 0)), np.zeros((1, steps), bool), counts)[0]
    hops = np.flatnonzero(np.repeat(passes[0], HOPS_PER_STEP))
    padded = np.concatenate([np.zeros(spectrum.TAIL_SAMPLES, np.float32), blocks.reshape(-1)])
    frames = np.lib.stride_tricks.sliding_window_view(padded[None], spectrum.FRAME_SAMPLES, axis=1)[:, ::HOP_SAMPLES]
    voicing, f0_hz = np.zeros((2, 1, steps * HOPS_PER_STEP), np.float32)
    found = spectrum.analyse(frames, np.zeros(len(hops), int), hops)
    voicing[0, hops], f0_hz[0, hops] = found[-2:]
    columns = np.zeros(1, intonation.STATE)
    contour = intonation.contour(columns, f0_hz, voicing, counts * HOPS_PER_STEP)[0]
    back = intonation.MEDIAN_HOPS // 2
    middle = (np.arange(len(contour)) + 1 - back) * HOP_SAMPLES - spectrum.FRAME_SAMPLES // 2
    return middle / RATE, contour


def praat(sound: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same by Praat's autocorrelation method with its standard settings, 75 to 500 Hz."""
    pitch = parselmouth.Sound(sound.astype(np.float64), RATE).to_pitch_ac(
        time_step=HOP_SAMPLES / RATE, pitch_floor=75.0, pitch_ceiling=500.0
    )
    return pitch.xs(), pitch.selected_array["frequency"]


def through_a_telephone(sound: FloatArray) -> FloatArray:
    """300-3400 Hz and µ-law."""
    bins = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    bins[(hertz < 300) | (hertz > 3400)] = 0
    return decode(encode_mulaw(np.fft.irfft(bins, len(sound)).astype(np.float32)), "pcmu", RATE, 1)[0]


def with_noise(sound: FloatArray) -> FloatArray:
    """White noise 10 dB under the active level."""
    noise = np.random.default_rng(11).standard_normal(len(sound)) * 10 ** ((LEVEL_DBOV - 10) / 20)
    return np.asarray(sound + noise, np.float32)


CONDITIONS: dict[str, Callable[[FloatArray], FloatArray]] = dict(
    zip(BARS, (lambda sound: sound, through_a_telephone, with_noise), strict=True)
)


def gross_errors(made: Made, times: FloatArray, f0_hz: FloatArray) -> tuple[int, int, int]:
    """Gross errors, frames voiced in truth and estimate, frames voiced in truth."""
    place = np.round(times * RATE).astype(int)
    inside = (place >= 0) & (place < len(made.f0_hz))
    true, found = made.f0_hz[place[inside]], np.asarray(f0_hz)[inside]
    both = (true > 0) & (found > 0)
    wrong = np.abs(found[both] / true[both] - 1) > GROSS
    return int(wrong.sum()), int(both.sum()), int((true > 0).sum())


def lines(manifests: Sequence[Path]) -> list[Line]:
    told = []
    for kind, made in (("voices", voices(manifests)), ("harmonic tones", tones(np.random.default_rng(5)))):
        for condition, change in CONDITIONS.items():
            totals = {"ours": np.zeros(3, int), "Praat": np.zeros(3, int)}
            sources: dict[str, dict[str, Any]] = defaultdict(
                lambda: {"ours": np.zeros(3, int), "Praat": np.zeros(3, int)}
            )
            for each in made:
                level = active_speech_level(each.sound, RATE)[0]
                sound = change(np.clip(each.sound * np.float32(10 ** ((LEVEL_DBOV - level) / 20)), -1, 1))
                for name, estimator in (("ours", ours), ("Praat", praat)):
                    counted = np.array(gross_errors(each, *estimator(sound)))
                    totals[name] += counted
                    sources[each.source][name] += counted
            for source, counts in sources.items():
                mine, peer = (100 * counts[name][0] / max(counts[name][1], 1) for name in ("ours", "Praat"))
                print(f"  {condition}: {source}: {mine:.2f} %, Praat {peer:.2f} %", file=sys.stderr)
            mine, peer = (100 * totals[name][0] / max(totals[name][1], 1) for name in ("ours", "Praat"))
            heard = 100 * totals["ours"][1] / totals["ours"][2], 100 * totals["Praat"][1] / totals["Praat"][2]
            told += [
                Line(f"pitch of {kind}, {condition}: gross errors", mine, "%", BARS[condition], peer=peer),
                Line(f"pitch of {kind}, {condition}: voiced frames given a pitch", heard[0], "%", peer=heard[1]),
            ]
    return told
