"""What two sides do to each other: dead air, both talking, interruptions and who talks how much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray
from detectors.columns import STEP_SECONDS, STEPS_PER_SECOND

WINDOW_SECONDS = 60

STATE = np.dtype(
    [
        ("silent_steps", "i8"),  # slow
        ("talked_steps", "i4", (2,)),
        ("pause_steps", "i4", (2,)),
        ("both_steps", "i4"),
        ("apart_steps", "i4"),
        ("interrupter", "i1"),
        ("overtalk_steps", "u1", (WINDOW_SECONDS,)),  # slow
        ("interruptions", "u1", (WINDOW_SECONDS, 2)),  # slow
        ("speech_seconds", "f8", (2,)),  # slow
    ]
)
"""One row per conversation. Counters in 20 ms steps; side 0 is the agent; 60 s of results, the newest second first."""

METRICS = ("turns.dead_air_seconds", "turns.overtalk_seconds", "turns.interruptions", "turns.talk_share")

OVERTALK_STEPS = 25
"""Both must speak for 0.5 s: shorter is a listener's "mhm" or a turn that changes a little early."""
INTO_TALK_STEPS = 50
"""The other has spoken for 1.0 s when an interruption begins."""
BREATH_STEPS = 25
"""A pause up to 0.5 s ends neither a turn nor an overlap: people breathe in the middle of what they say."""
LONGEST_PAUSE_STEPS = 1000
NOBODY = -1


def begin(state: NDArray[np.void], row: int) -> None:
    """Set a new conversation: nobody has spoken."""
    state[row] = np.zeros((), STATE)
    state[row]["interrupter"] = NOBODY


def follow(state: NDArray[np.void], speech: BoolArray, known: BoolArray, held: BoolArray) -> dict[str, FloatArray]:
    """One second of every row: `speech` and `known` (rows, 2, 50), `held` (rows, 50) true while the call is on hold.

    Returns (rows, 2) per metric, one column per side. Dead air stands still on hold and over lost audio; an
    interruption is an onset at least 1.0 s into the other's talk whose overlap lasts 0.5 s.
    """
    quiet = ~speech.any(axis=(1, 2)) & known.all(axis=(1, 2))
    if quiet.any():
        state[quiet] = _follow_silence(state[quiet], held[quiet])
    busy = ~quiet
    if busy.any():
        state[busy] = _follow_talk(state[busy], speech[busy], known[busy], held[busy])
    return results(state)


def _follow_silence(state: NDArray[np.void], held: BoolArray) -> NDArray[np.void]:
    """What `_follow_talk` comes to where nobody speaks for the whole second and all of it was heard."""
    state["silent_steps"] += (~held).sum(axis=1)
    state["talked_steps"] = state["both_steps"] = 0
    state["pause_steps"] = np.minimum(state["pause_steps"] + STEPS_PER_SECOND, LONGEST_PAUSE_STEPS)
    state["apart_steps"] = BREATH_STEPS + 1
    for name in ("overtalk_steps", "interruptions"):
        state[name][:, 1:] = state[name][:, :-1].copy()
        state[name][:, 0] = 0
    return state


def _follow_talk(state: NDArray[np.void], speech: BoolArray, known: BoolArray, held: BoolArray) -> NDArray[np.void]:
    """The second, step by step."""
    silent, talked, pause = (state[name].copy() for name in ("silent_steps", "talked_steps", "pause_steps"))
    both_steps, apart, interrupter = (
        state["both_steps"].copy(),
        state["apart_steps"].copy(),
        state["interrupter"].copy(),
    )
    overtalk = np.zeros(len(state), np.int64)
    interruptions = np.zeros((len(state), 2), np.int64)
    for step in range(STEPS_PER_SECOND):
        now, heard = speech[:, :, step], known[:, :, step]
        anyone, both = now.any(axis=1), now.all(axis=1)
        silent = np.where(anyone, 0, silent + (heard.all(axis=1) & ~held[:, step]))

        starts = both & (both_steps == 0)
        # Who was not speaking has just come in; that interrupts when the other was well under way.
        cuts_in = now & (talked == 0) & (talked >= INTO_TALK_STEPS)[:, ::-1]
        who = np.where(cuts_in[:, 0], 0, np.where(cuts_in[:, 1], 1, NOBODY))
        interrupter = np.where(starts, who, interrupter)
        both_steps = np.minimum(both_steps + both, OVERTALK_STEPS + 1)
        overtalk += both * np.where(both_steps == OVERTALK_STEPS, OVERTALK_STEPS, both_steps > OVERTALK_STEPS)
        counted = both & (both_steps == OVERTALK_STEPS) & (interrupter != NOBODY)
        interruptions[counted, interrupter[counted]] += 1

        apart = np.where(both, 0, np.minimum(apart + 1, BREATH_STEPS + 1))
        both_steps = np.where(apart > BREATH_STEPS, 0, both_steps)
        pause = np.where(now, 0, pause + heard)
        talked = np.where(now, np.minimum(talked + 1, 10 * INTO_TALK_STEPS), np.where(pause > BREATH_STEPS, 0, talked))

    state["silent_steps"], state["talked_steps"], state["pause_steps"] = (
        silent,
        talked,
        np.minimum(pause, LONGEST_PAUSE_STEPS),
    )
    state["both_steps"], state["apart_steps"], state["interrupter"] = both_steps, apart, interrupter
    for name, fresh in (("overtalk_steps", overtalk), ("interruptions", interruptions)):
        state[name][:, 1:] = state[name][:, :-1].copy()
        state[name][:, 0] = fresh
    state["speech_seconds"] += speech.sum(axis=2) * STEP_SECONDS
    return state


def results(state: NDArray[np.void]) -> dict[str, FloatArray]:
    """The metrics as they stand, (rows, 2); talk share is NaN before anybody has spoken."""
    spoken = state["speech_seconds"]
    total = spoken.sum(axis=1, keepdims=True)
    share = np.where(total > 0, spoken / np.maximum(total, STEP_SECONDS), np.nan)
    alike = np.ones((1, 2))
    return {
        "turns.dead_air_seconds": state["silent_steps"][:, None] / STEPS_PER_SECOND * alike,
        "turns.overtalk_seconds": state["overtalk_steps"].sum(axis=1)[:, None] / STEPS_PER_SECOND * alike,
        "turns.interruptions": state["interruptions"].sum(axis=1).astype(np.float64),
        "turns.talk_share": share,
    }
