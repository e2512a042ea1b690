"""Measures one recording: the audio worker's Bank and rules over it, and what only a whole file can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alerts.alert import CALL_PLATFORM, Conversation
from alerts.rules import RuleSet
from detectors.arrays import BoolArray, IntArray
from detectors.bank import Bank
from detectors.columns import STEP_SAMPLES
from detectors.decode import FULL_SCALE, RATE
from detectors.metrics import CATALOGUE
from detectors.rows import Rows
from detectors.values import SIDES_OF_A_CALL, Chunk, Side
from detectors.voice_activity import bits_of
from detectors.volume import active_speech_level
from stream.command import Progressed
from stream.recordings import RecordingError, Track, read_recording, usual_sides
from stream.report.judging import Judging, limits_of
from stream.report.pitch import contour
from stream.report.talk import NO_TALK, talk_of
from stream.report.values import Report, Series, SideReport, Span, Talk

CHUNK_SAMPLES = RATE
"""1 s: every chunk completes one second, so a rule stops a baseline before the next, as with the shorter ones of a call
that comes in now; and it costs a third of them."""
P56_SECONDS = 300
"""P.56 needs its envelope whole, 40 bytes a sample: five minutes are 100 MB."""

_CALL = "recording"


def measure(
    path: Path,
    rules: RuleSet,
    *,
    sides: Sequence[str] | None = None,
    language: str = "zh",
    holds: Sequence[Span] = (),
    progressed: Progressed = lambda _what, _done, _of: None,
) -> Report:
    """Return the report of one recording; the language is the one that is spoken: limits depend on it.

    `holds` are the stretches that the call was on hold, in seconds. Raises RecordingError.
    """
    named = tuple(sides) if sides is not None else usual_sides(path)
    track = read_recording(path, named, lambda done, of: progressed("reading", done, of))
    on = [side for name in named for side in SIDES_OF_A_CALL if side == name]
    if len(on) != len(named):
        raise RecordingError(f"the sides are {','.join(named)}; a report has agent and customer: write agent for a bot")
    seconds = track.shape[1] / RATE
    conversation = Conversation(CALL_PLATFORM, _CALL, "call", language=language)
    judging = Judging(rules, conversation)
    bank, metrics = _listen(track, on, holds, judging, progressed)
    speech = {side: bank.heard.speech(side, -(-track.shape[1] // STEP_SAMPLES)) for side in on}
    reports = []
    for channel, side in enumerate(on):

        def pitched(steps: float, side: Side = side) -> None:
            progressed(f"pitch, {side}", steps, float(len(speech[side])))

        reports.append(
            SideReport(
                side=side,
                wave=_wave(track[channel]),
                speech=speech[side],
                metrics=metrics[side],
                pitch_hz=contour(track[channel], speech[side], pitched),
                level_dbov=level_of(track[channel]),
                limits=limits_of(rules, conversation, side),
            )
        )
        pitched(float(len(speech[side])))
    reports.sort(key=lambda report: SIDES_OF_A_CALL.index(report.side))
    return Report(
        file_name=path.name,
        file_time=path.stat().st_mtime,
        seconds=seconds,
        sides=tuple(reports),
        talk=_talk(speech, holds, seconds),
        alerts=judging.end(seconds),
        version=version("tonewatch"),
    )


class _Heard(Rows):
    """The Bank's rows, which also keep what they take for speech: a score tells only its share of a second."""

    def __init__(self) -> None:
        super().__init__(2)
        self._bits: dict[int, list[int]] = {row: [] for row in range(2)}

    def close_second(self, rows: IntArray, slow: BoolArray) -> tuple[list[list[float | None]], NDArray[np.uint64]]:
        """Close as ever, and keep the speech bits of the second."""
        metrics, bits = super().close_second(rows, slow)
        for row, speech in zip(rows.tolist(), bits[0].tolist(), strict=True):
            self._bits[row].append(speech)
        return metrics, bits

    def speech(self, side: Side, steps: int) -> BoolArray:
        """(steps,): whether the side speaks in each 20 ms of the call."""
        bits = np.array(self._bits[SIDES_OF_A_CALL.index(side)], dtype=np.uint64)
        flags = bits_of(bits).reshape(-1)[:steps]
        return np.pad(flags, (0, steps - len(flags)))


class _HearingBank(Bank):
    """A Bank of one call."""

    def __init__(self) -> None:
        super().__init__(2)
        self._rows = self.heard = _Heard()


def _listen(
    track: Track, on: Sequence[Side], holds: Sequence[Span], judging: Judging, progressed: Progressed
) -> tuple[_HearingBank, dict[Side, dict[str, Series]]]:
    """Push the recording as it would have come and judge every second as it is scored."""
    bank = _HearingBank()
    held = sorted((at, on_hold) for begins, ends in holds for at, on_hold in ((begins, True), (ends, False)))
    whole = track.shape[1] // RATE
    names = [metric.name for metric in CATALOGUE if metric.from_ == "audio"]
    metrics: dict[Side, dict[str, Series]] = {side: {name: np.full(whole, np.nan) for name in names} for side in on}
    # Filled up to a whole second and the 0.3 s that labels wait for, so that the last words are labelled as well.
    filled = math.ceil(track.shape[1] / RATE) * RATE + RATE
    for seq, first in enumerate(range(0, filled, CHUNK_SAMPLES)):
        part = track[:, first : first + CHUNK_SAMPLES].astype(np.float32) / np.float32(FULL_SCALE)
        part = np.pad(part, ((0, 0), (0, CHUNK_SAMPLES - part.shape[1])))
        while held and held[0][0] < first / RATE + 1:
            bank.hold(_CALL, *held.pop(0))
        for score in bank.push([Chunk(_CALL, tuple(on), part, RATE, seq, first / RATE)]):
            if score.at_seconds > whole:
                continue
            for side, values in score.sides.items():
                for name, value in values.items():
                    metrics[side][name][int(score.at_seconds) - 1] = np.nan if value is None else value
            over = judging.judge(score)
            for side, values in score.sides.items():
                for name in values:
                    bank.over_limit(_CALL, side, name, (side, name) in over)
        if seq % 10 == 0 or first + CHUNK_SAMPLES >= filled:
            progressed("detectors and rules", min(first + CHUNK_SAMPLES, filled) / RATE, filled / RATE)
    return bank, metrics


def _wave(sound: Track) -> NDArray[np.float32]:
    """(steps, 2): the smallest and largest sample of each 20 ms of `sound` (n,)."""
    steps = -(-len(sound) // STEP_SAMPLES)
    blocks = np.pad(sound, (0, steps * STEP_SAMPLES - len(sound))).reshape(steps, STEP_SAMPLES)
    return np.stack([blocks.min(axis=1), blocks.max(axis=1)], axis=1).astype(np.float32) / np.float32(FULL_SCALE)


def level_of(sound: Track) -> float:
    """Active speech level in dBov by ITU-T P.56; a longer recording in pieces, joined by energy and active time."""
    energy = active = 0.0
    for first in range(0, len(sound), P56_SECONDS * RATE):
        piece = sound[first : first + P56_SECONDS * RATE].astype(np.float32) / np.float32(FULL_SCALE)
        level, share = active_speech_level(piece, RATE)
        energy += 10 ** (level / 10) * share * len(piece)
        active += share * len(piece)
    return 10 * math.log10(energy / active) if active else -100.0


def _talk(speech: dict[Side, BoolArray], holds: Sequence[Span], seconds: float) -> Talk:
    if len(speech) < len(SIDES_OF_A_CALL):
        return NO_TALK
    return talk_of(np.stack([speech[side] for side in SIDES_OF_A_CALL]), holds, seconds)
