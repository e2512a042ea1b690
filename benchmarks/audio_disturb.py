"""What happens to a voice on its way, by a seeded recipe: noise, babble, lost packets, tempo, a narrow band, µ-law."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from scipy.signal import butter, sosfiltfilt

from benchmarks.audio_clips import Clip
from detectors.arrays import FloatArray
from detectors.decode import RATE, decode, encode_mulaw

SPEAKERS = 6
PACKET_SAMPLES = RATE // 50
TEMPI = (0.70, 0.85, 1.00, 1.15, 1.30, 1.50)
_BAND = butter(6, (300, 3400), "bandpass", fs=RATE, output="sos")
_FRAME, _SEARCH = 240, 80
"""WSOLA of 30 ms frames that may move by 10 ms: longer than the longest period, shorter than a sound of speech."""


def _chance(clip: Clip, what: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{what} {clip.name}".encode()))


def telephone_band(clip: Clip) -> Clip:
    return clip.heard_as(sosfiltfilt(_BAND, clip.sound))


def mulaw(clip: Clip) -> Clip:
    return clip.heard_as(decode(encode_mulaw(clip.sound), "pcmu", RATE, 1)[0])


def quieter(clip: Clip, decibels: float) -> Clip:
    return clip.heard_as(clip.sound * 10 ** (-decibels / 20))


def white_noise(clip: Clip, snr_db: float) -> Clip:
    return _under(clip, _chance(clip, "white").standard_normal(len(clip.sound)), snr_db)


def babble(clip: Clip, clips: Sequence[Clip], snr_db: float) -> Clip:
    """Six recordings of other speakers at one level, each from a place of its own and over again.

    As many different speakers as there are, in turn; only a folder of a single speaker takes that one's other clips.
    """
    chance = _chance(clip, "babble")
    others = [other for other in clips if other.speaker != clip.speaker]
    others = others or [other for other in clips if other.name != clip.name] or [clip]
    by_speaker: dict[str, list[Clip]] = {}
    for index in chance.permutation(len(others)):
        by_speaker.setdefault(others[index].speaker, []).append(others[index])
    turns = [other for turn in range(len(others)) for mine in by_speaker.values() for other in mine[turn : turn + 1]]
    talk = np.zeros(len(clip.sound))
    for other in turns[:SPEAKERS]:
        start = chance.integers(len(other.sound))
        talk += np.resize(np.roll(other.sound, -start), len(talk)) * 10 ** (-other.level_dbov / 20)
    return _under(clip, talk, snr_db)


def _under(clip: Clip, noise: FloatArray, snr_db: float) -> Clip:
    """`noise` added so far under the active level of the clip's speech."""
    power = float(np.mean(noise**2))
    return clip.heard_as(clip.sound + noise * 10 ** ((clip.level_dbov - snr_db) / 20) / np.sqrt(max(power, 1e-12)))


def lose_packets(clip: Clip, share: float) -> Clip:
    """Packets of 20 ms lost one by one, each with the probability `share`."""
    packets = -(-len(clip.sound) // PACKET_SAMPLES)
    lost = _chance(clip, "lost").random(packets) < share
    return clip.heard_as(np.where(np.repeat(lost, PACKET_SAMPLES)[: len(clip.sound)], 0, clip.sound), lost)


def tempo(clip: Clip, factor: float) -> Clip:
    """`factor` times as fast at the same pitch: WSOLA, after Verhelst & Roelands 1993."""
    if factor == 1.0:
        return clip
    hop = _FRAME // 2
    window = np.hanning(_FRAME + 1)[:-1]
    frames = max(1, round(len(clip.sound) / factor / hop))
    padded = np.pad(clip.sound.astype(np.float64), (_SEARCH, _FRAME + hop + 2 * _SEARCH))
    out = np.zeros((frames + 1) * hop)
    follows = padded[_SEARCH : _SEARCH + _FRAME]
    for frame in range(frames):
        start = min(round(frame * hop * factor), len(clip.sound))
        near = padded[start : start + _FRAME + 2 * _SEARCH]
        energy = np.convolve(near**2, np.ones(_FRAME), "valid")
        at = start + int(np.argmax(np.correlate(near, follows, "valid") / np.sqrt(energy + 1e-9)))
        out[frame * hop : frame * hop + _FRAME] += padded[at : at + _FRAME] * window
        follows = padded[at + hop : at + hop + _FRAME]
    return clip.heard_as(out)
