"""The columns of every audio detector, and the pass that takes a block of rows through all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from detectors import decode, intonation, losses, spectrum, speech_rate, turns, voice_activity, voice_gate, volume
from detectors.arrays import BoolArray, FloatArray, IntArray
from detectors.columns import (
    BLOCK_STEPS,
    HOP_SAMPLES,
    HOPS_PER_STEP,
    SETTLE_STEPS,
    STEP_SAMPLES,
    STEPS_PER_SECOND,
    Picked,
    Settled,
    decibels,
    stretch,
)
from detectors.tracks import Track

DETECTORS: dict[str, ModuleType] = {
    "losses": losses,
    "voice_activity": voice_activity,
    "volume": volume,
    "speech_rate": speech_rate,
    "intonation": intonation,
}
"""Detectors that have one row per (conversation, side); `turns` has one per conversation. Order of their metrics."""

SIDE_METRICS = tuple(name for detector in DETECTORS.values() for name in detector.METRICS)
ROWS_AT_ONCE = 1024
"""The more rows a pass has, the less numpy's overhead costs each: what goes step by step costs a call of it each."""
ROWS_IN_CACHE = 64
"""Rows whose samples are worked on together: 64 of 0.5 s are 1 MB, more fall out of the cache between two looks."""

_HOP = HOP_SAMPLES
_TAIL = spectrum.TAIL_SAMPLES


@dataclass(frozen=True, slots=True)
class Block:
    """What was heard of some rows in some steps: (rows,) thrice, then (rows, steps); see `Rows` for each."""

    rows: IntArray
    counts: IntArray
    first_step: IntArray
    power: FloatArray
    level_dbov: FloatArray
    full_scale: NDArray[np.int16]
    lost: BoolArray
    passes: BoolArray
    plain: BoolArray

    def of(self, some: IntArray) -> Block:
        """The block of these of its rows alone."""
        return Block(*(getattr(self, field.name)[some] for field in fields(self)))


class Rows:
    """Preallocated columns that grow by doubling."""

    def __init__(self, capacity: int) -> None:
        self.capacity = max(2, capacity + capacity % 2)
        self.columns = {
            name: np.zeros(self.capacity, module.STATE)
            for name, module in {**DETECTORS, "spectrum": spectrum, "decode": decode}.items()
        }
        self.turns = np.zeros(self.capacity // 2, turns.STATE)
        self.still = {metric: np.zeros(self.capacity, bool) for metric in ("volume", "speech_rate", "intonation")}
        """Rows whose baseline stands still, per detector: their metric is over its limit."""
        self._sound = np.zeros((0, _TAIL + BLOCK_STEPS * STEP_SAMPLES), np.float32)

    def grow(self) -> None:
        """Double the number of rows."""
        self.columns = {name: np.concatenate([rows, np.zeros_like(rows)]) for name, rows in self.columns.items()}
        self.still = {name: np.concatenate([rows, np.zeros_like(rows)]) for name, rows in self.still.items()}
        self.turns = np.concatenate([self.turns, np.zeros_like(self.turns)])
        self.capacity *= 2

    def begin(self, row: int, start_step: int) -> None:
        """Set a row for a side whose audio begins at `start_step`."""
        for name, module in DETECTORS.items():
            if hasattr(module, "begin"):
                module.begin(self.columns[name], row)
            else:
                self.columns[name][row] = np.zeros((), module.STATE)
        self.columns["spectrum"][row] = np.zeros((), spectrum.STATE)
        self.columns["decode"][row] = np.zeros((), decode.STATE)
        self.columns["losses"][row]["start_step"] = start_step
        for flags in self.still.values():
            flags[row] = False

    def advance(self, tracks: Sequence[Track]) -> list[Track]:
        """Take each track on by the steps it has, at most to the end of its block.

        Returned are those of which a second is settled now in which something was heard.
        """
        room = np.array([t.waiting for t in tracks]) // STEP_SAMPLES
        settled = np.array([t.step for t in tracks]) - SETTLE_STEPS
        room = np.minimum(room, BLOCK_STEPS - settled % BLOCK_STEPS)
        order = np.argsort(-room, kind="stable")
        for start in range(0, len(order), ROWS_AT_ONCE):
            some = order[start : start + ROWS_AT_ONCE]
            self._pass([tracks[i] for i in some.tolist()], room[some], settled[some])
        ended = (tracks[i] for i in np.flatnonzero((settled + room) % STEPS_PER_SECOND == 0).tolist())
        return [track for track in ended if track.settled > track.first_step]

    def _pass(self, tracks: list[Track], counts: IntArray, first_step: IntArray) -> None:
        """One block: rows sorted by falling `counts` of steps, the first of them settling `first_step`."""
        rows = np.array([track.row for track in tracks])
        sound, power, full_scale, lost = self._hear(tracks, rows, counts)
        level_dbov = decibels(power)
        active = Picked(self.columns["voice_activity"], rows)
        passes, plain, peak = voice_gate.gate(active, level_dbov, lost, counts)
        rests = voice_activity.rests(active, passes, lost)
        rests &= speech_rate.rests(Picked(self.columns["speech_rate"], rows), power, counts)
        active.put_back()
        block = Block(rows, counts, first_step, power, level_dbov, full_scale, lost, passes, plain)
        if rests.all():
            self._rest(block)
            return
        if rests.any():
            self._rest(block.of(np.flatnonzero(rests)))
        awake = np.flatnonzero(~rests)
        said = voice_gate.ask_webrtc([track.vad for track in tracks], sound[:, _TAIL:], passes, peak)
        self._listen(block.of(awake), said[awake], sound, awake)

    def _rest(self, block: Block) -> None:
        """Take rows on in which nothing is heard but the line."""
        mine = self._picked(block.rows, ("voice_activity", "volume", "speech_rate", "losses"))
        settled = voice_activity.rest(mine["voice_activity"], block.level_dbov, block.counts, block.first_step)
        speech_rate.rest(mine["speech_rate"], block.power, block.counts)
        _accumulate(mine, block, settled)

    def _listen(self, block: Block, said: BoolArray, sound: FloatArray, places: IntArray) -> None:
        """Take rows on of which any step may be speech: `said` is webrtcvad's word, row r is `sound[places[r]]`."""
        mine = self._picked(block.rows, DETECTORS)
        active, rate, pitch = mine["voice_activity"], mine["speech_rate"], mine["intonation"]
        counts, lost, passes = block.counts, block.lost, block.passes
        # The frames of the first two lost steps reach back to what was heard before; there is nothing in the others.
        begins = lost.copy()
        begins[:, 2:] &= ~(lost[:, 1:-1] & lost[:, :-2])
        *bands, voicing, f0_hz = _frames(sound, places, np.repeat(passes | begins, HOPS_PER_STEP, axis=1))
        raw = voice_gate.weigh(said, block.plain, block.power, sum(bands), voicing)
        hops = counts * HOPS_PER_STEP
        pitch_hz = intonation.contour(pitch, f0_hz, np.where(np.repeat(lost, HOPS_PER_STEP, axis=1), 0, voicing), hops)
        voiced = voice_activity.voice(active, pitch_hz, counts)
        voiced &= ~voice_activity.steady(active, block.level_dbov, passes, counts)
        settled = voice_activity.settle(active, raw, voiced, passes, lost, counts, block.first_step)
        found = speech_rate.nuclei(rate, bands, voicing, block.power, lost, hops)
        speech_rate.accumulate(rate, found, settled)
        intonation.accumulate(pitch, pitch_hz, settled)
        _accumulate(mine, block, settled)

    def _picked(self, rows: IntArray, detectors: Iterable[str]) -> dict[str, Picked]:
        return {name: Picked(self.columns[name], rows) for name in detectors}

    def _hear(
        self, tracks: list[Track], rows: IntArray, counts: IntArray
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int16], BoolArray]:
        """Sound (rows, tail and samples) within full scale; mean square, samples at full scale, lost by step."""
        steps = int(counts[0])
        sound = self._sound_of(len(rows))[:, : _TAIL + steps * STEP_SAMPLES]
        power = np.empty((len(rows), steps), np.float32)
        full_scale = np.zeros((len(rows), steps), np.int16)
        lost = np.zeros((len(rows), steps), bool)
        tail = self.columns["spectrum"]["tail"]
        sound[:, :_TAIL] = tail[rows]
        amounts = counts.tolist()
        for start in range(0, len(rows), ROWS_IN_CACHE):
            some = slice(start, start + ROWS_IN_CACHE)
            fresh = sound[some, _TAIL:]
            for i, (track, count, line) in enumerate(zip(tracks[some], amounts[some], fresh, strict=True), start):
                lost_steps = track.take(count, line)
                if count < steps:
                    line[count * STEP_SAMPLES :] = 0
                if lost_steps is not None:
                    lost[i, :count] = lost_steps
            blocks = fresh.reshape(len(fresh), steps, STEP_SAMPLES)
            energy = np.einsum("rks,rks->rk", blocks, blocks)
            # No sample is larger than the root of its step's energy: in silence nothing else need be looked through.
            loudest = math.sqrt(float(energy.max(initial=0)))
            if not loudest < losses.CLIPPED:
                if decode.limit(fresh):
                    energy = np.einsum("rks,rks->rk", blocks, blocks)
                full_scale[some] = losses.clipped(blocks)
            mean = np.einsum("rks->rk", blocks) / np.float32(STEP_SAMPLES)
            # Without the mean: a line's DC offset is not loudness.
            np.maximum(energy / np.float32(STEP_SAMPLES) - mean * mean, 0, out=power[some])
        tail[rows] = stretch(sound, counts * STEP_SAMPLES, _TAIL)
        return sound, power, full_scale, lost

    def _sound_of(self, rows: int) -> NDArray[np.float32]:
        if len(self._sound) < rows:
            self._sound = np.zeros((min(ROWS_AT_ONCE, 2 * rows), _TAIL + BLOCK_STEPS * STEP_SAMPLES), np.float32)
        return self._sound[:rows]

    def close_second(self, rows: IntArray, slow: BoolArray) -> tuple[list[list[float | None]], NDArray[np.uint64]]:
        """SIDE_METRICS of the second that is settled now, per row; also (2, rows) of speech and known bits.

        `slow` (rows,) is False where totals and baselines already hold this second (a call that is read back).
        """
        mine = {name: Picked(self.columns[name], rows) for name in DETECTORS}
        bits = np.stack([mine["voice_activity"]["second_speech"], mine["voice_activity"]["second_known"]])
        values = losses.close_second(mine["losses"], slow)
        values |= voice_activity.close_second(mine["voice_activity"], slow)
        values |= volume.close_second(mine["volume"], slow, self.still["volume"][rows])
        values |= speech_rate.close_second(mine["speech_rate"], slow, self.still["speech_rate"][rows])
        values |= intonation.close_second(mine["intonation"], slow, self.still["intonation"][rows])
        for state in mine.values():
            state.put_back()
        table = np.stack([values[name] for name in SIDE_METRICS], axis=1)
        known = table.astype(object)
        known[np.isnan(table)] = None
        return known.tolist(), bits


def _accumulate(mine: Mapping[str, Picked], block: Block, settled: Settled) -> None:
    """Add what every row has: its labels, its level and how good its line is."""
    voice_activity.accumulate(mine["voice_activity"], settled)
    settled_power = volume.accumulate(mine["volume"], block.power, settled)
    losses.accumulate(mine["losses"], block.full_scale, settled_power, settled)
    for state in mine.values():
        state.put_back()


def _frames(sound: FloatArray, places: IntArray, wanted: BoolArray) -> NDArray[np.float32]:
    """(6, rows, hops): what `spectrum.analyse` gives of the wanted hops; the rest is silence and costs nothing.

    `wanted` is (rows, hops), row r is `sound[places[r]]`.
    """
    out = np.zeros((len(spectrum.BANDS_HZ) + 2, *wanted.shape), np.float32)
    row, hop = np.nonzero(wanted)
    if len(row):
        frames = np.lib.stride_tricks.sliding_window_view(sound, spectrum.FRAME_SAMPLES, axis=1)[:, ::_HOP]
        out[:, row, hop] = spectrum.analyse(frames, places[row], hop)
    return out
