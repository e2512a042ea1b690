"""Turns the bytes of a record into sound: PCM16, µ-law or A-law at 8 to 48 kHz, brought down to 8 kHz."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import FloatArray

Encoding = Literal["s16le", "s16be", "pcmu", "pcma"]
_ENCODINGS = get_args(Encoding)
RATE = 8000
RATES = (8000, 16000, 32000, 48000)
FULL_SCALE = 32768.0
LARGEST = 32767 / FULL_SCALE

STATE = np.dtype([("rate", "i4"), ("phase", "i4"), ("tail", "f4", (96,))])
"""A row's decimator: the rate it is set for, samples until the next kept one, and the input it still needs."""

_TAPS_PER_FACTOR = 16
"""Length 16 * factor + 1: flat to 3.3 kHz, more than 45 dB down from 4.6 kHz; 1 ms of delay at any rate."""
_CUTOFF_HZ = 3800.0


def _mulaw_table() -> NDArray[np.float32]:
    """G.711 µ-law: 256 codes to samples, full scale 32124/32768."""
    code = ~np.arange(256, dtype=np.int64) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return (np.where(code & 0x80, -size, size) / FULL_SCALE).astype(np.float32)


def _alaw_table() -> NDArray[np.float32]:
    """G.711 A-law: 256 codes to samples, full scale 32256/32768."""
    code = np.arange(256, dtype=np.int64) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, size, -size) / FULL_SCALE).astype(np.float32)


_MULAW = _mulaw_table()
_ALAW = _alaw_table()


def decode(payload: bytes, encoding: Encoding, rate: int, channels: int) -> FloatArray:
    """Samples of interleaved `payload`: float32 of shape (channels, n), full scale 1.0, at `rate`.

    Raises ValueError with a sentence when the bytes do not hold whole samples of every channel, or when encoding,
    rate or channel count is none that we take.
    """
    if encoding not in _ENCODINGS:
        raise ValueError(f"the encoding is {encoding!r}; write one of {', '.join(_ENCODINGS)}")
    if rate not in RATES:
        raise ValueError(f"the rate is {rate} Hz; write one of {', '.join(map(str, RATES))}")
    if channels not in (1, 2):
        raise ValueError(f"the audio has {channels} channels; send 1 or 2")
    width = 2 if encoding.startswith("s16") else 1
    if len(payload) % (width * channels):
        raise ValueError(
            f"{len(payload)} bytes are not whole {encoding} samples of {channels} channel(s); "
            f"send a multiple of {width * channels} bytes"
        )
    if encoding == "pcmu":
        samples = _MULAW.take(np.frombuffer(payload, np.uint8))
    elif encoding == "pcma":
        samples = _ALAW.take(np.frombuffer(payload, np.uint8))
    else:
        samples = np.frombuffer(payload, "<i2" if encoding == "s16le" else ">i2").astype(np.float32)
        samples *= np.float32(1 / FULL_SCALE)
    return np.ascontiguousarray(samples.reshape(-1, channels).T)


def to_pcm16(samples: FloatArray) -> NDArray[np.int16]:
    """The same samples as int16 of the same shape; NaN becomes 0, beyond full scale is clipped."""
    scaled = samples * np.float32(FULL_SCALE)
    if np.isnan(scaled.min(initial=0.0)):
        scaled = np.nan_to_num(scaled, nan=0.0)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, 32767, out=scaled)
    np.maximum(scaled, -32768, out=scaled)
    return np.asarray(scaled.astype(np.int16))


def limit(samples: FloatArray) -> bool:
    """Bring float32 samples, in place, into what 16 bits hold, full scale 1.0; what is no number becomes 0.

    Returns whether there was anything to do.
    """
    if samples.min(initial=0) >= -1 and samples.max(initial=0) <= LARGEST:
        return False
    np.nan_to_num(samples, copy=False, nan=0.0)
    np.clip(samples, -1, LARGEST, out=samples)
    return True


def encode_mulaw(samples: FloatArray) -> bytes:
    """G.711 µ-law of one channel, shape (n,); each sample becomes the code whose value is nearest below in size."""
    pcm = to_pcm16(samples).astype(np.int32)
    size = np.minimum(np.abs(pcm), 32635) + 0x84
    exponent = np.frexp(size.astype(np.float32))[1] - 8
    mantissa = (size >> (exponent + 3)) & 0x0F
    sign = np.where(pcm < 0, 0x80, 0)
    code = ~(sign | (exponent << 4) | mantissa) & 0xFF
    return np.asarray(code, np.uint8).tobytes()


def _lowpass(factor: int) -> NDArray[np.float64]:
    """A Kaiser-windowed sinc (beta 5) of 16 * factor + 1 taps that passes the telephone band, sum 1."""
    taps = np.arange(-_TAPS_PER_FACTOR * factor // 2, _TAPS_PER_FACTOR * factor // 2 + 1)
    response = np.sinc(2 * _CUTOFF_HZ / (RATE * factor) * taps) * np.kaiser(len(taps), 5.0)
    return np.asarray(response / response.sum(), np.float64)


_LOWPASS = {RATE * factor: _lowpass(factor) for factor in (2, 4, 6)}


def to_8k(state: NDArray[np.void], row: int, samples: FloatArray, rate: int) -> NDArray[np.int16]:
    """What `samples` (shape (n,), at `rate`) add to the row's 8 kHz track, as int16.

    int16 because every source is 16-bit or less, webrtcvad takes nothing else, and rounding makes the track
    the same to the bit however the call was cut. A row whose rate changes starts with an empty filter.
    """
    if rate == RATE or not len(samples):
        return to_pcm16(samples)
    taps = _LOWPASS[rate]
    factor = rate // RATE
    mine = state[row]
    if mine["rate"] != rate:
        mine["rate"], mine["phase"], mine["tail"] = rate, 0, 0.0
    kept = len(taps) - 1
    track = np.concatenate([mine["tail"][-kept:], np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)])
    windows = np.lib.stride_tricks.sliding_window_view(track, len(taps))[mine["phase"] :: factor]
    mine["phase"] = (mine["phase"] - len(samples)) % factor
    mine["tail"][-kept:] = track[-kept:]
    return to_pcm16((windows @ taps).astype(np.float32))
