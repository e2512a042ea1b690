"""Reads a recording of a call piece by piece: WAV, FLAC and the like come out at 8 kHz, one channel a side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from detectors.decode import RATE, to_pcm16
from detectors.values import Side

SHORTEST_SAMPLES = RATE // 50
"""20 ms: nothing can be said of less."""
AUDIO_SUFFIXES = (".wav", ".flac")
_PIECE_SECONDS = 10
"""Two hours of stereo at 48 kHz are 2.8 GB as floats; a piece of them is 4 MB."""

Track = NDArray[np.int16]
"""Shape (channels, n), 8 kHz: two hours of a call are 230 MB."""


class RecordingError(ValueError):
    """What is wrong with a recording, and what to write instead."""


def usual_sides(path: Path) -> tuple[Side, ...]:
    """Return who is on which channel when nobody says: the agent first, then the customer. Raises RecordingError."""
    return ("agent",) if _opened(path).channels == 1 else ("agent", "customer")


def read_recording(
    path: Path, sides: tuple[str, ...], progressed: Callable[[float, float], None] | None = None
) -> Track:
    """Return a recording at 8 kHz, one channel a side; `progressed` is told (seconds, of). Raises RecordingError."""
    known = get_args(Side)
    if not sides or len(set(sides)) != len(sides) or any(side not in known for side in sides):
        raise RecordingError(f"the sides are {','.join(sides) or 'empty'}; write one of {', '.join(known)} per channel")
    source = _opened(path)
    with source:
        if source.channels != len(sides):
            advice = "agent" if source.channels == 1 else "agent,customer"
            raise RecordingError(
                f"{path} has {source.channels} channel(s) and --sides names {len(sides)}; "
                + (
                    f"write for example --sides {advice}"
                    if source.channels <= 2
                    else "mix it down to two channels first"
                )
            )
        if source.frames < source.samplerate * SHORTEST_SAMPLES / RATE:
            raise RecordingError(f"{path} is shorter than 20 ms; there is nothing in it")
        try:
            return _at_8k(source, progressed or (lambda _done, _of: None))
        except RuntimeError as error:  # soundfile's errors are RuntimeErrors: here the rest of the file is broken
            raise RecordingError(f"{path} cannot be read to its end: {error}; copy or convert it again") from None


def _opened(path: Path) -> Any:
    """Return the file as soundfile's SoundFile."""
    if not path.is_file():
        raise RecordingError(f"{path} is not there; write the path of a WAV or FLAC file")
    try:
        # Imported here: only a recording needs it.
        import soundfile
    except ImportError:
        raise RecordingError(
            "recordings are read by soundfile; run: pip install 'tonewatch[offline]' (in a checkout: make setup)"
        ) from None
    try:
        return soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as error:
        raise RecordingError(f"{path} is not audio: {error.error_string} Write a WAV or FLAC file") from None


def _at_8k(source: Any, progressed: Callable[[float, float], None]) -> Track:
    """Return all of an open file, resampled as a stream."""
    import soxr

    rate, seconds = source.samplerate, source.frames / source.samplerate
    track = np.zeros((source.channels, -(-source.frames * RATE // rate)), np.int16)
    resample = soxr.ResampleStream(rate, RATE, source.channels, dtype="float32") if rate != RATE else None
    read = written = 0
    for samples in source.blocks(_PIECE_SECONDS * rate, dtype="float32", always_2d=True):
        read += len(samples)
        if resample is not None:
            samples = resample.resample_chunk(samples, last=read >= source.frames)
        piece = to_pcm16(samples.T)[:, : track.shape[1] - written]
        track[:, written : written + piece.shape[1]] = piece
        written += piece.shape[1]
        progressed(read / rate, seconds)
    return track
