from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile

from detectors.arrays import FloatArray
from detectors.bank import Bank
from detectors.values import Chunk, Score, Side
from tests.shared_data import shared_data

BOTH: tuple[Side, ...] = ("agent", "customer")
AGENT: tuple[Side, ...] = ("agent",)


def recording(*path: str) -> tuple[FloatArray, int]:
    """A recording of the shared data: samples (channels, n), full scale 1.0, and its rate."""
    samples, rate = soundfile.read(shared_data("speech", *path), dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), int(rate)


def call(name: str) -> tuple[FloatArray, dict[str, Any]]:
    """One of the calls with a known schedule: 8 kHz samples (2, n) and the schedule."""
    schedule = json.loads(shared_data("speech", "calls", f"{name}.json").read_text(encoding="utf-8"))
    return recording("calls", f"{name}.flac")[0], schedule


def manifest() -> list[dict[str, Any]]:
    lines = shared_data("speech", "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def cut(
    samples: FloatArray,
    rate: int = 8000,
    piece: int | None = None,
    conversation_id: str = "c-1",
    sides: tuple[Side, ...] = BOTH,
    start_seconds: float = 0.0,
    first_seq: int = 0,
) -> list[Chunk]:
    """`samples` (channels, n) as chunks of `piece` samples, 0.2 s where none is given."""
    piece = piece or rate // 5
    return [
        Chunk(conversation_id, sides, samples[:, at : at + piece], rate, first_seq + i, start_seconds + at / rate)
        for i, at in enumerate(range(0, samples.shape[1], piece))
    ]


def scores_of(chunks: Sequence[Chunk], bank: Bank | None = None, batch: int = 1) -> list[Score]:
    """Every score of `chunks`, pushed `batch` at a time and finished."""
    bank = bank if bank is not None else Bank()
    scores = [score for some in batches(chunks, batch) for score in bank.push(some)]
    for name in dict.fromkeys(chunk.conversation_id for chunk in chunks):
        scores += bank.finish(name)
    return scores


def batches(chunks: Sequence[Chunk], size: int) -> Iterator[Sequence[Chunk]]:
    for at in range(0, len(chunks), size):
        yield chunks[at : at + size]


def column(scores: Sequence[Score], side: Side, metric: str) -> dict[float, float]:
    """Second -> value of one metric, where it is known."""
    values = {score.at_seconds: score.sides[side][metric] for score in scores}
    return {at: value for at, value in values.items() if value is not None}


def assert_same(got: Sequence[Score], wanted: Sequence[Score], within: float = 1e-6) -> None:
    """The same scores at the same times, every value within `within`."""
    assert [(s.conversation_id, s.at_seconds) for s in got] == [(s.conversation_id, s.at_seconds) for s in wanted]
    for mine, other in zip(got, wanted, strict=True):
        assert mine.sides.keys() == other.sides.keys()
        for side, metrics in other.sides.items():
            for name, value in metrics.items():
                found = mine.sides[side][name]
                where = f"{name} of {side} at {other.at_seconds} s"
                if value is None or found is None:
                    assert found is value, where
                else:
                    assert abs(found - value) <= within, f"{where}: {found} instead of {value}"


def tone(hertz: float, seconds: float, level_dbov: float = -20.0, rate: int = 8000) -> FloatArray:
    """A sine (n,) whose RMS is `level_dbov`."""
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(np.sqrt(2) * 10 ** (level_dbov / 20) * np.sin(2 * np.pi * hertz * time), np.float32)


def voice(
    seconds: float,
    f0_hz: float = 150.0,
    syllables_per_second: float = 4.0,
    level_dbov: float = -24.0,
    swing_semitones: float = 1.5,
    rate: int = 8000,
    seed: int = 1,
) -> FloatArray:
    """A made-up voice (n,): harmonics under two formants, one bump of loudness a syllable, a little noise.

    Its pitch swings as a sine of 0.7 Hz, `swing_semitones` up and down: nobody speaks on one note.
    """
    time = np.arange(round(seconds * rate)) / rate
    pitch = f0_hz * 2 ** (swing_semitones * np.sin(2 * np.pi * 0.7 * time) / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sound = np.zeros(len(time))
    for harmonic in range(1, int(3400 / (f0_hz * 2 ** (swing_semitones / 12))) + 1):
        at = f0_hz * harmonic
        weight = 1 / (1 + ((at - 500) / 250) ** 2) + 0.5 / (1 + ((at - 1500) / 350) ** 2)
        sound += weight * np.sin(harmonic * phase)
    sound *= 0.03 + np.sin(np.pi * syllables_per_second * time) ** 2
    sound *= 10 ** (level_dbov / 20) / np.sqrt(np.mean(sound**2))
    noise = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-65 / 20)
    return np.asarray(sound + noise, np.float32)


def two_voices(seconds: float, rate: int = 8000, seed: int = 1) -> FloatArray:
    """Two made-up people who take turns of 3 s and overlap by 1 s."""
    agent, customer = voice(seconds, 180, 4.5, rate=rate, seed=seed), voice(seconds, 110, 3.5, rate=rate, seed=seed + 1)
    second = np.arange(len(agent)) // rate
    agent[second % 6 >= 3] *= 0.001
    customer[(second % 6 < 2) | (second % 6 == 5)] *= 0.001
    return side_by_side(agent, customer)


def silence(seconds: float, rate: int = 8000, level_dbov: float = -65.0, seed: int = 2) -> FloatArray:
    """Line noise (n,)."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return np.asarray(noise * 10 ** (level_dbov / 20), np.float32)


def side_by_side(*parts: FloatArray) -> FloatArray:
    """Channels (n,) of one length as (channels, n)."""
    return np.stack([part[: min(map(len, parts))] for part in parts])
