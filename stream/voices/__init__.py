"""The demo's voices: short clips of our own sentences, read from the package into memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detectors.decode import decode

RATE = 8000
"""Samples per second of every clip."""
MULAW_FORMAT = 7


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One sentence as one voice speaks it, at -26 dBov active level (ITU-T P.56)."""

    voice: str
    side: Literal["agent", "customer"]
    language: str
    sentence: str
    manner: str
    """normal, fast or high."""
    text: str
    seconds: float
    samples: NDArray[np.float32]
    """Shape (n,), full scale = 1.0, 8 kHz."""


Clips = Mapping[tuple[str, str, str], Clip]
"""By (voice, sentence, manner)."""


@cache
def clips() -> Clips:
    """Every clip of the package."""
    folder = resources.files(__name__)
    book: dict[str, Any] = json.loads(folder.joinpath("voices.json").read_text(encoding="utf-8"))
    found: dict[tuple[str, str, str], Clip] = {}
    for entry in book["clips"]:
        payload = mulaw_payload(folder.joinpath(entry["file"]).read_bytes(), entry["file"])
        samples = decode(payload, "pcmu", RATE, 1)[0]
        clip = Clip(
            entry["speaker"],
            entry["side"],
            entry["language"],
            entry["sentence"],
            entry["manner"],
            entry["text"],
            entry["seconds"],
            samples,
        )
        found[clip.voice, clip.sentence, clip.manner] = clip
    return found


def mulaw_payload(data: bytes, name: str) -> bytes:
    """Return the samples of a mono 8 kHz µ-law WAV file. Raises ValueError where it is none.

    The standard library's `wave` reads PCM only, and soundfile is not installed with the demo.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{name} is no WAV file; make the voices anew with scripts/make_voices.py")
    at, form = 12, (0, 0, 0)
    while at + 8 <= len(data):
        chunk, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if chunk == b"fmt ":
            form = (
                int.from_bytes(body[0:2], "little"),
                int.from_bytes(body[2:4], "little"),
                int.from_bytes(body[4:8], "little"),
            )
        if chunk == b"data" and form == (MULAW_FORMAT, 1, RATE):
            return body
        at += 8 + size + size % 2
    raise ValueError(
        f"{name} has (format, channels, rate) {form} instead of {(MULAW_FORMAT, 1, RATE)}; "
        "make the voices anew with scripts/make_voices.py"
    )
