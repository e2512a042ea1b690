"""P.56 against signals and recordings whose level is known, and the live level against P.56, clip by clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.signal
import soundfile

from benchmarks.lines import Line
from detectors.arrays import FloatArray
from detectors.bank import Bank
from detectors.decode import RATE
from detectors.values import Chunk
from detectors.volume import MARGIN_DB, ActiveSpeechMeter, active_speech_level

P56_DB = 0.10
LIVE_DB = 0.5
LEAST_SECONDS = 1.5
ACTLEV_DBOV = {
    ("auto_repairs_40", 0): -17.0,
    ("auto_repairs_40", 1): -17.8,
    ("auto_repairs_49", 0): -18.1,
    ("auto_repairs_49", 1): -16.8,
}
"""Read by ITU's own actlev, noted with one decimal: file name begins with, channel."""
_ENVELOPE_SECONDS = 0.03
_HANGOVER_SECONDS = 0.2


def bursts(on_seconds: float, off_seconds: float, level_dbov: float, count: int = 8) -> FloatArray:
    """(n,): a 1 kHz tone that comes and goes, its RMS while it sounds `level_dbov`."""
    time = np.arange(round(on_seconds * RATE)) / RATE
    tone = np.sqrt(2) * 10 ** (level_dbov / 20) * np.sin(2 * np.pi * 1000 * time)
    return np.tile(np.concatenate([tone, np.zeros(round(off_seconds * RATE))]), count)


def level_of_bursts(on_seconds: float, level_dbov: float) -> float:
    """What P.56 says of bursts, by its definition: energy over the time the envelope is above the level less 15.9 dB.

    The envelope of a tone of amplitude a is 2a/pi through two poles of 30 ms: it rises as 1 - (1 + u) exp(-u) and
    falls as (1 + u) exp(-u), u in units of 30 ms; 0.2 s of hangover follow. Pauses must be longer than that.
    """
    mean = np.sqrt(2) * 10 ** (level_dbov / 20) * 2 / np.pi

    def falls_to(share: float) -> float:
        return float(scipy.optimize.brentq(lambda u: (1 + u) * np.exp(-u) - share, 0, 50))

    def error(active_dbov: float) -> float:
        share = 10 ** ((active_dbov - MARGIN_DB) / 20) / mean
        late = falls_to(1 - share) * _ENVELOPE_SECONDS
        tail = falls_to(share) * _ENVELOPE_SECONDS + _HANGOVER_SECONDS
        return level_dbov + 10 * np.log10(on_seconds / (on_seconds - late + tail)) - active_dbov

    return float(scipy.optimize.brentq(error, level_dbov - 8, level_dbov))


def known_signals() -> tuple[float, float]:
    """Largest difference in dB over bursts of many lengths and levels; largest difference a cut in pieces makes."""
    worst = cuts = 0.0
    for on_seconds in (0.5, 1.0, 2.0, 4.0):
        for off_seconds in (0.8, 2.0):
            for level_dbov in np.arange(-40.0, -9.0, 3.1):
                sound = bursts(on_seconds, off_seconds, level_dbov)
                found = active_speech_level(sound, RATE)[0]
                worst = max(worst, abs(found - level_of_bursts(on_seconds, level_dbov)))
        meter = ActiveSpeechMeter(RATE)
        for at in range(0, len(sound), 777):
            meter.push(sound[at : at + 777])
        cuts = max(cuts, abs(meter.finish()[0] - found))
    return worst, cuts


def live_level(sound: FloatArray) -> float:
    """Level over the speech of `sound` (n,) at 8 kHz as the bank's scores give it, second by second."""
    rest = np.zeros(-len(sound) % RATE + RATE, np.float32)
    bank = Bank(2)
    padded = np.concatenate([sound, rest])[None]
    size = RATE // 5
    pieces = range(0, padded.shape[1], size)
    chunks = [Chunk("c", ("agent",), padded[:, at : at + size], RATE, i, at / RATE) for i, at in enumerate(pieces)]
    energy = weight = 0.0
    for score in [*bank.push(chunks), *bank.finish("c")]:
        level, active = (score.sides["agent"][name] for name in ("volume.level_dbov", "speech.active"))
        if level is not None and active:
            energy += active * 10 ** (level / 10)
            weight += active
    return float(10 * np.log10(energy / weight)) if weight else np.nan


def lines(manifests: Sequence[Path]) -> list[Line]:
    differences, against_actlev = [], []
    for manifest in manifests:
        for row in map(json.loads, manifest.read_text(encoding="utf-8").splitlines()):
            file = manifest.parent / row["path"]
            named = [(channel, dbov) for (name, channel), dbov in ACTLEV_DBOV.items() if file.name.startswith(name)]
            is_clip = row["channels"] == 1 and row["text"] and row["seconds"] >= LEAST_SECONDS
            if not named and not is_clip:
                continue
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
            against_actlev += [abs(active_speech_level(samples[:, c], rate)[0] - dbov) for c, dbov in named]
            if is_clip:
                sound = samples[:, 0] if rate == RATE else scipy.signal.resample_poly(samples[:, 0], RATE, rate)
                sound = np.asarray(sound, np.float32)
                differences.append(live_level(sound) - active_speech_level(sound, RATE)[0])
    worst, cuts = known_signals()
    told = [
        Line("P.56 of tone bursts, largest difference to the definition", worst, "dB", P56_DB),
        Line("P.56 in pieces, largest difference to the whole", cuts, "dB", 1e-6),
    ]
    if against_actlev:
        told.append(Line("P.56 of recordings, largest difference to actlev", max(against_actlev), "dB", P56_DB))
    found = np.array(differences)[np.isfinite(differences)]
    return [
        *told,
        Line("clips without a live level", len(differences) - len(found), "clips", 0.0),
        Line(f"live level less P.56, mean of {len(found)} clips", float(found.mean()), "dB"),
        Line("live level less P.56, 1 sigma over clips", float(found.std()), "dB", LIVE_DB),
        Line("live level less P.56, largest of a clip", float(np.abs(found).max()), "dB", 2.0),
    ]
