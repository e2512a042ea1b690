"""Puts the chunks of a call in order: drops repeats, mends the order, turns gaps into lost audio or silence."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import webrtcvad

from detectors.arrays import BoolArray, FloatArray
from detectors.columns import BLOCK_STEPS, SETTLE_STEPS, STEP_SAMPLES, STEPS_PER_SECOND
from detectors.decode import RATE
from detectors.values import SIDES_OF_A_CALL, Chunk, Side

JITTER_SECONDS = 0.04
"""Offsets this much late are a publisher's rounding or clock, not silence; drift is made good once it exceeds this."""
LONGEST_GAP_SECONDS = 60
"""Of a longer gap only this much is filled in: every window is empty after it, and a wrong offset costs no more."""
_ZERO = np.float32(0)


class Track:
    """One side's 8 kHz sound on the call's time line, waiting to be cut into 20 ms steps."""

    __slots__ = ("call", "end_sample", "first_step", "lost", "pieces", "row", "side", "step", "vad", "waiting")

    def __init__(self, call: Conversation, side: Side, offset_seconds: float, vad: webrtcvad.Vad) -> None:
        self.call = call
        self.side: Side = side
        self.row = call.row(side)
        self.vad = vad
        self.end_sample = round(offset_seconds * RATE)
        """Time of the next sample that is expected, in samples since the call began."""
        self.first_step = self.step = self.end_sample // STEP_SAMPLES
        """Index of the first step that waits."""
        self.waiting = 0
        """Samples in `pieces`."""
        self.pieces: deque[FloatArray] = deque()
        self.lost: list[tuple[int, int]] = []
        """Spans of samples since the call began that never arrived; `pieces` hold zeros there."""
        before = self.end_sample - self.step * STEP_SAMPLES
        self.end_sample -= before
        self.add(np.broadcast_to(_ZERO, before))

    def add(self, samples: FloatArray) -> None:
        """Append samples (n,), full scale 1.0; they are not copied until they are taken."""
        size = len(samples)
        if size:
            self.pieces.append(samples)
            self.waiting += size
            self.end_sample += size

    def fill(self, samples: int, *, lost: bool) -> None:
        """Append `samples` of silence, or of audio that was lost."""
        if lost:
            self.lost.append((self.end_sample, self.end_sample + samples))
        self.add(np.broadcast_to(_ZERO, samples))

    @property
    def settled(self) -> int:
        """Index of the first step whose label is not final yet."""
        return self.step - SETTLE_STEPS

    @property
    def fills_block(self) -> bool:
        """Whether what waits reaches to the end of the block of steps that is settled next."""
        return self.waiting >= (BLOCK_STEPS - self.settled % BLOCK_STEPS) * STEP_SAMPLES

    @property
    def second(self) -> int:
        """The last whole second that is settled."""
        return self.settled // STEPS_PER_SECOND

    def take(self, steps: int, into: FloatArray) -> BoolArray | None:
        """Move the next `steps` steps to the beginning of `into`; which of them were lost (None: none)."""
        wanted = steps * STEP_SAMPLES
        self.waiting -= wanted
        pieces, at = self.pieces, 0
        while (size := len(pieces[0])) < wanted - at:
            into[at : at + size] = pieces.popleft()
            at += size
        room = wanted - at
        if size == room:
            into[at:wanted] = pieces.popleft()
        else:
            into[at:wanted] = pieces[0][:room]
            pieces[0] = pieces[0][room:]
        if not self.lost:
            self.step += steps
            return None
        lost = np.zeros(steps, bool)
        first = self.step * STEP_SAMPLES
        for start, end in self.lost:
            lost[max(0, start - first) // STEP_SAMPLES : max(0, -(-(end - first) // STEP_SAMPLES))] = True
        self.lost = [span for span in self.lost if span[1] > first + wanted]
        self.step += steps
        return lost

    def skip(self, seconds: int) -> None:
        """Move on by whole seconds without sound; only while less than one step waits."""
        self.step += seconds * STEPS_PER_SECOND
        self.end_sample += seconds * RATE


@dataclass(slots=True)
class Conversation:
    """What the Bank knows of one call besides its rows."""

    index: int
    tracks: dict[Side, Track] = field(default_factory=dict)
    next_seq: dict[tuple[Side, ...], int] = field(default_factory=dict)
    closed: dict[int, dict[Side, tuple[list[float | None], int, int, float]]] = field(default_factory=dict)
    """Seconds not scored yet -> side -> its metrics, its speech bits, its known bits, seconds lost until then."""
    scored_second: int | None = None
    holds: list[tuple[float, bool]] = field(default_factory=list)
    over: dict[Side, set[str]] = field(default_factory=dict)
    kept: dict[Side, Mapping[str, float]] = field(default_factory=dict)
    """Baselines from earlier calls, for sides whose audio has not begun."""
    slow: dict[Side, Mapping[str, float]] = field(default_factory=dict)
    """Slow fields of a call that is read back, until its time passes their `seconds`."""
    slow_turns: Mapping[str, float] | None = None
    skipped_lost: bool = False
    """Whether the seconds that were last skipped were lost, not silent."""
    finished: bool = False

    def row(self, side: Side) -> int:
        """The row of `side` in every audio detector's columns."""
        return 2 * self.index + SIDES_OF_A_CALL.index(side)

    def held(self, second: int) -> BoolArray:
        """(50,): True where the call is on hold in the second that ends at `second`."""
        times = second - 1 + np.arange(STEPS_PER_SECOND) / STEPS_PER_SECOND
        on = np.zeros(STEPS_PER_SECOND, bool)
        for at_seconds, begins in self.holds:
            on[times >= at_seconds] = begins
        return on


def in_order(chunks: list[Chunk]) -> list[Chunk]:
    """The chunks of one conversation by publisher and sequence number, each number once."""
    if len(chunks) == 1:
        return chunks
    ordered = sorted(chunks, key=lambda chunk: (chunk.sides, chunk.seq))
    return [c for i, c in enumerate(ordered) if not i or (c.sides, c.seq) != (ordered[i - 1].sides, ordered[i - 1].seq)]


def gap_before(conversation: Conversation, chunk: Chunk) -> tuple[float, bool] | None:
    """Seconds missing before `chunk` and whether they were lost (else: not sent, silence); None for a repeat.

    An old sequence number is a repeat unless its time is new: then the publisher was restarted and counts from 0.
    """
    expected_seq = conversation.next_seq.get(chunk.sides)
    track = None
    for side in chunk.sides:
        track = conversation.tracks.get(side)
        if track is not None:
            break
    if track is None:
        return 0.0, False
    missing = chunk.offset_seconds - track.end_sample / RATE if math.isfinite(chunk.offset_seconds) else 0.0
    half = chunk.samples.shape[1] / chunk.rate / 2
    if expected_seq is not None and chunk.seq < expected_seq and missing <= -min(half, JITTER_SECONDS):
        return None
    if expected_seq is not None and chunk.seq != expected_seq:
        return max(0.0, missing), True
    return (missing if missing > JITTER_SECONDS else 0.0), False
