"""The columns of every audio detector, and the pass that takes a block of rows through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from detectors import decode, intonation, losses, spectrum, speech_rate, turns, voice_activity, volume
from detectors.columns import HOP_SAMPLES, HOPS_PER_STEP, STEP_SAMPLES, STEPS_PER_SECOND, decibels
from detectors.decode import FULL_SCALE
from detectors.tracks import Track
from detectors.values import BoolArray, FloatArray, IntArray

DETECTORS: dict[str, ModuleType] = {
    "losses": losses,
    "voice_activity": voice_activity,
    "volume": volume,
    "speech_rate": speech_rate,
    "intonation": intonation,
}
"""Detectors that have one row per (conversation, side); `turns` has one per conversation. Order of their metrics."""

SIDE_METRICS = tuple(name for detector in DETECTORS.values() for name in detector.METRICS)
ROWS_AT_ONCE = 256
STEPS_AT_ONCE = 20
"""256 rows of 0.4 s are 3.5 MB of sound: more falls out of the cache, fewer pay numpy's overhead more often."""

_HOP = HOP_SAMPLES
_TAIL = spectrum.TAIL_SAMPLES


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
        self._sound = np.zeros((ROWS_AT_ONCE, _TAIL + STEPS_AT_ONCE * STEP_SAMPLES), np.float32)

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

    def advance(self, tracks: Sequence[Track]) -> None:
        """Take each track on by the steps it has, at most to where its current second is settled and 0.4 s."""
        room = [min(t.pending, STEPS_PER_SECOND - t.settled % STEPS_PER_SECOND, STEPS_AT_ONCE) for t in tracks]
        order = sorted(range(len(tracks)), key=lambda i: -room[i])
        for start in range(0, len(order), ROWS_AT_ONCE):
            some = order[start : start + ROWS_AT_ONCE]
            self._pass([tracks[i] for i in some], np.array([room[i] for i in some]))

    def _pass(self, tracks: list[Track], counts: IntArray) -> None:
        """One block: rows sorted by falling `counts` of steps."""
        rows = np.array([track.row for track in tracks])
        first_step = np.array([track.settled for track in tracks])
        steps = int(counts[0])
        sound = self._sound[: len(rows), : _TAIL + steps * STEP_SAMPLES]
        sound[:, _TAIL:] = 0
        lost = np.zeros((len(rows), steps), bool)
        pcm: list[bytes] = []
        for i, (track, count) in enumerate(zip(tracks, counts.tolist(), strict=True)):
            taken, lost_steps = track.take(count)
            pcm.append(taken)
            sound[i, _TAIL : _TAIL + count * STEP_SAMPLES] = np.frombuffer(taken, np.int16)
            if lost_steps is not None:
                lost[i, :count] = lost_steps
        sound[:, _TAIL:] *= np.float32(1 / FULL_SCALE)
        tail = self.columns["spectrum"]["tail"]
        sound[:, :_TAIL] = tail[rows]
        tail[rows] = np.take_along_axis(sound, counts[:, None] * STEP_SAMPLES + np.arange(_TAIL), axis=1)

        blocks = sound[:, _TAIL:].reshape(len(rows), steps, STEP_SAMPLES)
        mean = blocks.mean(axis=2)
        # Without the mean: a line's DC offset is not loudness.
        power = np.maximum(np.einsum("rks,rks->rk", blocks, blocks) / np.float32(STEP_SAMPLES) - mean * mean, 0)
        mine = {name: self.columns[name][rows] for name in DETECTORS}
        active = mine["voice_activity"]
        passes, plain = voice_activity.gate(active, decibels(power), lost, counts)
        raw = voice_activity.ask_webrtc([track.vad for track in tracks], pcm, passes)
        # The frames of a lost step reach back to what was heard before it.
        low, high, voicing, f0_hz = self._frames(sound, np.repeat(passes | lost, HOPS_PER_STEP, axis=1))
        raw = voice_activity.weigh(raw, plain, power, low + high, voicing)
        settled = voice_activity.settle(active, raw, passes, lost, counts, first_step)
        hops = counts * HOPS_PER_STEP
        voice_activity.accumulate(active, settled)
        volume.accumulate(mine["volume"], power, settled)
        rate = mine["speech_rate"]
        found = speech_rate.nuclei(rate, low, high, voicing, power, lost, hops)
        speech_rate.accumulate(rate, *found, settled)
        pitch = mine["intonation"]
        if lost.any():
            voicing[np.repeat(lost, HOPS_PER_STEP, axis=1)] = 0
        intonation.accumulate(pitch, intonation.contour(pitch, f0_hz, voicing, hops), settled)
        losses.accumulate(mine["losses"], losses.clipped(blocks), settled)
        for name, state in mine.items():
            self.columns[name][rows] = state

    def _frames(self, sound: FloatArray, wanted: BoolArray) -> NDArray[np.float32]:
        """(4, rows, hops): energies, voicing and pitch of the wanted hops; the rest is silence and costs nothing."""
        out = np.zeros((4, *wanted.shape), np.float32)
        row, hop = np.nonzero(wanted)
        if len(row):
            frames = np.lib.stride_tricks.sliding_window_view(sound, spectrum.FRAME_SAMPLES, axis=1)[:, ::_HOP]
            out[:, row, hop] = spectrum.analyse(frames, row, hop)
        return out

    def close_second(self, rows: IntArray, slow: BoolArray) -> tuple[list[dict[str, float | None]], FloatArray]:
        """Metrics of the second that is settled now, one dict per row; also (2, rows) of speech and known bits.

        `slow` (rows,) is False where totals and baselines already hold this second (a call that is read back).
        """
        mine = {name: self.columns[name][rows] for name in DETECTORS}
        bits = np.stack([mine["voice_activity"]["second_speech"], mine["voice_activity"]["second_known"]])
        values = losses.close_second(mine["losses"], slow)
        values |= voice_activity.close_second(mine["voice_activity"], slow)
        values |= volume.close_second(mine["volume"], slow, self.still["volume"][rows])
        values |= speech_rate.close_second(mine["speech_rate"], slow, self.still["speech_rate"][rows])
        values |= intonation.close_second(mine["intonation"], slow, self.still["intonation"][rows])
        for name, state in mine.items():
            self.columns[name][rows] = state
        table = np.stack([values[name] for name in SIDE_METRICS], axis=1).tolist()
        return [
            {name: None if value != value else value for name, value in zip(SIDE_METRICS, line, strict=True)}
            for line in table
        ], bits
