"""Finds what two sides do to each other in their speech labels: silences, both talking, interruptions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors import turns
from detectors.arrays import BoolArray
from detectors.columns import STEP_SECONDS, STEPS_PER_SECOND
from detectors.values import SIDES_OF_A_CALL
from stream.report.values import Event, Interruption, Span, Talk

DEAD_AIR_SECONDS = 3.0
"""From here on silence of both counts as non-talk time in Amazon Connect's guide; pauses between turns are shorter."""

NO_TALK = Talk((), (), 0.0, None)


def runs(flags: BoolArray) -> list[tuple[int, int]]:
    """[first, end) of every stretch of True in `flags` (n,)."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def talk_of(speech: BoolArray, holds: Sequence[Span], seconds: float) -> Talk:
    """What happens between agent and customer; `speech` is (2, steps) of 20 ms, of a call of `seconds`."""
    steps = min(speech.shape[1], round(seconds / STEP_SECONDS))
    speech = speech[:, :steps]
    held = np.zeros(steps, bool)
    for begins, ends in holds:
        held[round(begins / STEP_SECONDS) : round(ends / STEP_SECONDS)] = True
    both: BoolArray = np.logical_and(speech[0], speech[1])
    overlaps = overtalk(both)
    silent = _longest_first(runs(~speech.any(axis=0) & ~held))
    events = [Event("hold", begins, min(ends, seconds)) for begins, ends in holds if begins < seconds]
    events += [Event("overtalk", a * STEP_SECONDS, b * STEP_SECONDS) for a, b in overlaps]
    events += [
        Event("dead_air", a * STEP_SECONDS, b * STEP_SECONDS)
        for a, b in silent
        if (b - a) * STEP_SECONDS >= DEAD_AIR_SECONDS
    ]
    return Talk(
        events=tuple(sorted(events, key=lambda event: event.begins)),
        interruptions=tuple(_interruptions(speech, held, overlaps)),
        overtalk_seconds=sum(int(both[a:b].sum()) for a, b in overlaps) * STEP_SECONDS,
        longest_silence=(silent[0][0] * STEP_SECONDS, silent[0][1] * STEP_SECONDS) if silent else None,
    )


def overtalk(both: BoolArray) -> list[tuple[int, int]]:
    """Stretches [first, end) of steps that count as overtalk: `both` (n,) for 0.5 s in all, breaths of 0.5 s within."""
    joined: list[tuple[int, int]] = []
    for first, end in runs(both):
        if joined and first - joined[-1][1] <= turns.BREATH_STEPS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return [(first, end) for first, end in joined if both[first:end].sum() >= turns.OVERTALK_STEPS]


def _longest_first(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(stretches, key=lambda stretch: stretch[0] - stretch[1])


def _interruptions(speech: BoolArray, held: BoolArray, overlaps: list[tuple[int, int]]) -> list[Interruption]:
    """Who cut in where, as the live detector counts it: it is run once more, second by second."""
    if not overlaps:
        return []
    state = np.zeros(1, turns.STATE)
    turns.begin(state, 0)
    both: BoolArray = np.logical_and(speech[0], speech[1])
    counted_at = [(first, first + int(np.flatnonzero(np.cumsum(both[first:end]) >= turns.OVERTALK_STEPS)[0]))
                  for first, end in overlaps]  # fmt: skip
    found = []
    for second in range(-(-speech.shape[1] // STEPS_PER_SECOND)):
        part = slice(second * STEPS_PER_SECOND, (second + 1) * STEPS_PER_SECOND)
        missing = STEPS_PER_SECOND - speech[:, part].shape[1]
        now = np.pad(speech[:, part], ((0, 0), (0, missing)))[None]
        turns.follow(state, now, np.ones_like(now), np.pad(held[part], (0, missing))[None])
        here = [first for first, at in counted_at if second * STEPS_PER_SECOND <= at < (second + 1) * STEPS_PER_SECOND]
        # Two overlaps of half a second each cannot be counted in one second, nor one on both sides.
        for index, side in enumerate(SIDES_OF_A_CALL):
            if state["interruptions"][0, 0, index] and here:
                found.append(Interruption(side, here[0] * STEP_SECONDS))
    return found
