"""What the live counter says of recordings: all of them pushed through one Bank, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.audio_clips import Clip
from detectors.arrays import FloatArray
from detectors.bank import Bank
from detectors.columns import STEPS_PER_SECOND
from detectors.decode import RATE
from detectors.values import Chunk

BEFORE_SECONDS, AFTER_SECONDS = 0.5, 1.0
"""Silence around a recording: a line is open before somebody speaks, and stays so."""
AT_ONCE_SECONDS = 10
"""Less than the window in which the Bank keeps the syllables of each second."""


def counted(clips: Sequence[Clip]) -> tuple[FloatArray, FloatArray]:
    """(clips,) twice: syllables and speech seconds that the Bank finds, a packet that was lost as a gap in `seq`."""
    bank = Bank(2 * len(clips))
    waiting = {str(i): _chunks(str(i), clip) for i, clip in enumerate(clips)}
    found = np.zeros((2, len(clips)))
    closed = np.zeros(len(clips), int)
    for end in range(AT_ONCE_SECONDS, AT_ONCE_SECONDS + 10**6, AT_ONCE_SECONDS):
        now = [
            chunk
            for chunks in waiting.values()
            for chunk in chunks
            if end - AT_ONCE_SECONDS <= chunk.offset_seconds < end
        ]
        if not now:
            break
        bank.push(now)
        for i in {int(chunk.conversation_id) for chunk in now}:
            track = bank._calls[str(i)].tracks["agent"]
            fresh = max(0, track.second) - closed[i]
            state = bank._rows.columns["speech_rate"][track.row]
            found[:, i] += [state[name][1 : 1 + fresh].sum() for name in ("syllables", "steps")]
            closed[i] += fresh
    for i in range(len(clips)):
        track = bank._calls[str(i)].tracks["agent"]
        bank.finish(str(i))
        state = bank._rows.columns["speech_rate"][track.row]
        found[:, i] += [state[name][: 1 + max(0, track.second) - closed[i]].sum() for name in ("syllables", "steps")]
    return found[0], found[1] / STEPS_PER_SECOND


def _chunks(name: str, clip: Clip) -> list[Chunk]:
    sound = np.pad(clip.sound, (int(BEFORE_SECONDS * RATE), int(AFTER_SECONDS * RATE)))[None]
    if clip.lost is None:
        size, lost = RATE, np.zeros(len(sound[0]) // RATE + 1, bool)
    else:
        size = RATE // STEPS_PER_SECOND
        lost = np.zeros(-(-len(sound[0]) // size), bool)
        first = int(BEFORE_SECONDS * STEPS_PER_SECOND)
        lost[first : first + len(clip.lost)] = clip.lost
    return [
        Chunk(name, ("agent",), sound[:, at : at + size], RATE, seq, at / RATE)
        for seq, at in enumerate(range(0, len(sound[0]), size))
        if not lost[seq]
    ]
