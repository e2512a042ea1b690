"""Says for every 20 ms of one side whether its speaker talks: what the gate says, if a voice is in it, smoothed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.columns import HOPS_PER_STEP, SETTLE_STEPS, STEPS_PER_SECOND, Settled, State, alive, last, within
from detectors.voice_gate import FIRST_FLOOR_DBOV, FIRST_PEAK_DBOV

STATE = np.dtype(
    [
        ("peak_dbov", "f4"),  # slow
        ("floor_dbov", "f4"),  # slow
        ("met", "?"),  # slow
        ("run", "i4"),
        ("loud_run", "i4"),
        ("quiet_run", "i4"),
        ("pause", "i4"),
        ("talks", "?"),
        ("nucleus", "i4"),
        ("since_voice", "i4"),
        ("drone_semitones", "f4"),
        ("drone", "i4"),
        ("mean_dbov", "f4"),
        ("variance_db2", "f4"),
        ("labels", "u8"),
        ("unknown", "u8"),
        ("second_speech", "u8"),
        ("second_known", "u8"),
        ("speech_seconds", "f8"),  # slow: of the whole call
    ]
)
"""The gate's followers, whether it ever opened, the smoother's counters, how long a voice is heard and since when not,
the pitch that stays and for how many steps, the level's mean and variance, and the last 64 labels, newest in bit 0."""

SLOW = ("peak_dbov", "floor_dbov", "met", "speech_seconds")
METRICS = ("speech.active",)

SHORTEST_SPEECH_STEPS = 5
LONGEST_FILLED_STEPS = 10
LONGEST_EDGE_STEPS = 10
"""Speech is drawn out over 0.2 s of steps that pass the gate: webrtcvad misses s, f and the breath of a beginning."""
LONGEST_DIP_STEPS = 2
"""What dies away wavers about the gate: 40 ms under it end no stretch of sound that edges are drawn from. With none
allowed a sentence of the shared calls ended 0.4 s early."""
NUCLEUS_STEPS = 3
VOICE_LASTS_STEPS = 25
"""webrtcvad takes steady noise for speech. Speech has a vowel: 60 ms of one pitch, and in none of the shared recordings
of speakers is there 0.5 s without; white and pink noise have none at all."""
DRONE_SEMITONES = 0.5
DRONE_STEPS = 40
LONGEST_DRONE_STEPS = 50
"""0.8 s of one pitch are an engine's or a tone's: in the shared recordings no speaker keeps to one for 0.55 s."""
DRONE_FOLLOWS = 0.1
LEAST_SPREAD_DB = 2.4
SPREAD_STEPS = 25
"""Syllables come and go: over 0.5 s the level of speech spreads by 5 dB and more (standard deviation), by 2.5 when it
was compressed to half its range in dB, by 3.3 in white noise at 10 dB; that of fans, hiss and lines by 0.5 to 1.8."""
FIRST_VARIANCE_DB2 = 60.0
FORGETS_DB2 = 0.5
REST_STEPS = 25
"""As long as anything reaches back: labels and syllables wait for 15 steps, pitch for 13, smoothing for 3."""


def begin(state: NDArray[np.void], row: int) -> None:
    """Set a new row: nothing heard, everything before it unknown."""
    state[row] = np.zeros((), STATE)
    state[row]["peak_dbov"], state[row]["floor_dbov"] = FIRST_PEAK_DBOV, FIRST_FLOOR_DBOV
    state[row]["unknown"] = np.uint64(2**64 - 1)
    state[row]["pause"] = LONGEST_FILLED_STEPS + 1
    state[row]["quiet_run"] = LONGEST_DIP_STEPS + 1
    state[row]["since_voice"] = VOICE_LASTS_STEPS + 1
    state[row]["variance_db2"] = FIRST_VARIANCE_DB2


def steady(state: State, level_dbov: FloatArray, passes: BoolArray, counts: IntArray) -> BoolArray:
    """(rows, steps): the level has hardly moved for half a second of what passed the gate."""
    still = np.zeros(passes.shape, bool)
    mean, variance = state["mean_dbov"].copy(), state["variance_db2"].copy()
    for step, n in enumerate(alive(counts, passes.shape[1])):
        level, loud = level_dbov[:n, step], passes[:n, step]
        # A pause between words is as good as a dip: the next word begins with what is usual for words.
        away = np.where(loud, level - mean[:n], 0)
        mean[:n] = np.where(loud, mean[:n] + away / SPREAD_STEPS, level)
        change = np.where(loud, (away**2 - variance[:n]) / SPREAD_STEPS, FORGETS_DB2)
        variance[:n] = np.minimum(variance[:n] + change, FIRST_VARIANCE_DB2)
        still[:n, step] = variance[:n] < LEAST_SPREAD_DB**2
    state["mean_dbov"], state["variance_db2"] = mean, variance
    return still


def voice(state: State, pitch_hz: FloatArray, counts: IntArray) -> BoolArray:
    """(rows, steps): a vowel was heard within the last 0.5 s, and what is heard is no drone.

    `pitch_hz` (rows, hops) is the contour, 0 where nothing is voiced.
    """
    pitch = pitch_hz.reshape(len(pitch_hz), -1, HOPS_PER_STEP).max(axis=2)
    near = 12 * np.log2(np.maximum(pitch, 1))
    heard = np.zeros(pitch.shape, bool)
    nucleus, since, drone = state["nucleus"].copy(), state["since_voice"].copy(), state["drone"].copy()
    steady = state["drone_semitones"].copy()
    for step, n in enumerate(alive(counts, pitch.shape[1])):
        voiced, semitones = pitch[:n, step] > 0, near[:n, step]
        nucleus[:n] = np.where(voiced, np.minimum(nucleus[:n] + 1, NUCLEUS_STEPS), 0)
        since[:n] = np.where(nucleus[:n] == NUCLEUS_STEPS, 0, np.minimum(since[:n] + 1, VOICE_LASTS_STEPS + 1))
        stays = voiced & (np.abs(semitones - steady[:n]) < DRONE_SEMITONES)
        moves = voiced & ~stays
        drone[:n] = np.where(stays, np.minimum(drone[:n] + 1, LONGEST_DRONE_STEPS), drone[:n] - 2 * moves)
        anew = moves & (drone[:n] <= 0)
        drone[:n][anew] = 1
        steady[:n] = np.where(anew, semitones, steady[:n] + DRONE_FOLLOWS * stays * (semitones - steady[:n]))
        heard[:n, step] = (since[:n] <= VOICE_LASTS_STEPS) & (drone[:n] < DRONE_STEPS)
    state["nucleus"], state["since_voice"], state["drone"], state["drone_semitones"] = nucleus, since, drone, steady
    return heard


def settle(
    state: State,
    raw: BoolArray,
    voiced: BoolArray,
    passes: BoolArray,
    lost: BoolArray,
    counts: IntArray,
    first_step: IntArray,
) -> Settled:
    """Labels of the steps that are final now, 0.3 s behind `raw` (rows, steps).

    Speech counts when it lasts 100 ms and a voice is in it (then from its beginning, as far as that is not final); a
    pause of at most 200 ms inside it is filled. `voiced` (rows, steps) is what `voice` says.
    """
    through, known = np.zeros(raw.shape, bool), np.zeros(raw.shape, bool)
    run, loud_run, pause = state["run"].copy(), state["loud_run"].copy(), state["pause"].copy()
    talks, quiet_run = state["talks"].copy(), state["quiet_run"].copy()
    labels, unknown = state["labels"].copy(), state["unknown"].copy()
    settled_bit = np.uint64(1 << SETTLE_STEPS)
    one = np.uint64(1)
    for step, n in enumerate(alive(counts, raw.shape[1])):
        heard = raw[:n, step]
        # What was lost neither makes a run nor breaks it.
        run[:n] = np.where(heard, run[:n] + 1, np.where(lost[:n, step] & (run[:n] > 0), run[:n], 0))
        quiet_run[:n] = np.where(passes[:n, step], 0, np.minimum(quiet_run[:n] + 1, 1000))
        loud_run[:n] = np.where(quiet_run[:n] <= LONGEST_DIP_STEPS, np.minimum(loud_run[:n] + 1, 1000), 0)
        labels[:n] <<= one
        unknown[:n] = (unknown[:n] << one) | lost[:n, step]
        trails = passes[:n, step] & (loud_run[:n] > pause[:n]) & (pause[:n] < LONGEST_EDGE_STEPS)
        going = (run[:n] >= SHORTEST_SPEECH_STEPS) & voiced[:n, step]
        starts = going & ~talks[:n]
        labels[:n] |= going | trails
        if starts.any():
            begun = run[:n][starts]
            gap = pause[:n][starts] - (begun - 1)
            edge = np.minimum(loud_run[:n][starts] - begun, LONGEST_EDGE_STEPS)
            reach = np.clip(begun + np.where(gap <= LONGEST_FILLED_STEPS, gap, edge), 1, 63)
            labels[:n][starts] |= (one << reach.astype(np.uint64)) - one
        talks[:n] = going
        pause[:n] = np.where(going, 0, np.minimum(pause[:n] + 1, 1000))
        known[:n, step] = (unknown[:n] & settled_bit) == 0
        through[:n, step] = (labels[:n] & settled_bit) != 0
    state["run"], state["loud_run"], state["pause"], state["talks"] = run, loud_run, pause, talks
    state["quiet_run"] = quiet_run
    state["labels"], state["unknown"] = labels, unknown
    return Settled(counts, first_step, known, through & known, through)


def rests(state: State, passes: BoolArray, lost: BoolArray) -> BoolArray:
    """(rows,): nothing passes the gate, and in the half second before nothing did nor was lost: all labels are silence.

    `passes` and `lost` are (rows, steps). Nothing of what any detector still waits for is speech then.
    """
    heard_all = (state["unknown"] << np.uint64(64 - REST_STEPS)) == 0
    return np.asarray(heard_all & (state["quiet_run"] >= REST_STEPS) & ~(passes | lost).any(axis=1))


def rest(state: State, level_dbov: FloatArray, counts: IntArray, first_step: IntArray) -> Settled:
    """What `steady`, `voice` and `settle` come to for rows that rest."""
    for name in ("quiet_run", "pause"):
        state[name] = np.minimum(state[name] + counts, 1000)
    for name in ("labels", "unknown"):
        state[name] <<= counts.astype(np.uint64)
    state["since_voice"] = np.minimum(state["since_voice"] + counts, VOICE_LASTS_STEPS + 1)
    state["mean_dbov"] = last(level_dbov, counts)
    state["variance_db2"] = np.minimum(state["variance_db2"] + FORGETS_DB2 * counts, FIRST_VARIANCE_DB2)
    known = within(counts, level_dbov.shape[1])
    silent = np.zeros_like(known)
    return Settled(counts, first_step, known, silent, silent)


def accumulate(state: State, block: Settled) -> None:
    """Write the block's steps into the current second's bits: bit i is the second's step i."""
    columns = np.arange(block.speech.shape[1])
    place = ((block.first_step % STEPS_PER_SECOND)[:, None] + columns).astype(np.uint64)
    inside = within(block.counts, len(columns))
    for name, flags in (("second_speech", block.speech), ("second_known", block.known)):
        if not flags.any():
            continue
        bits = (flags & inside).astype(np.uint64) << np.where(inside, place, 0).astype(np.uint64)
        state[name] |= np.bitwise_or.reduce(bits, axis=1)


def bits_of(words: NDArray[np.uint64]) -> BoolArray:
    """(n,) words to (n, 50) flags, step 0 of the second first."""
    return ((words[:, None] >> np.arange(STEPS_PER_SECOND, dtype=np.uint64)) & np.uint64(1)).astype(bool)


def close_second(state: State, slow: BoolArray) -> dict[str, FloatArray]:
    """Values of the second that ends now, one per row, NaN where nothing of it is known; then a new second begins.

    `slow` (rows,) is False where the second is already in the totals (a call that is read back).
    """
    speech = bits_of(state["second_speech"]).sum(axis=1)
    known = bits_of(state["second_known"]).sum(axis=1)
    state["speech_seconds"] += np.where(slow, speech / STEPS_PER_SECOND, 0)
    state["second_speech"] = state["second_known"] = 0
    return {"speech.active": np.where(known > 0, speech / np.maximum(known, 1), np.nan)}
