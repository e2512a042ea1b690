"""All calls a worker follows, as columns: chunks go in, one score per call and second comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import webrtcvad

from detectors import decode, slow, turns, voice_gate
from detectors.columns import SETTLE_STEPS, STEP_SAMPLES, STEPS_PER_SECOND
from detectors.decode import RATE
from detectors.rows import Rows
from detectors.scoring import score
from detectors.tracks import LONGEST_GAP_SECONDS, Conversation, Track, gap_before, in_order
from detectors.values import SIDES_OF_A_CALL, Chunk, Score, Side


class Bank:
    """Follows every call it is given audio of; one row per (conversation, side)."""

    def __init__(self, capacity: int = 64) -> None:
        self._rows = Rows(capacity)
        self._calls: dict[str, Conversation] = {}
        self._free = list(range(self._rows.capacity // 2))[::-1]

    def __contains__(self, conversation_id: object) -> bool:
        return conversation_id in self._calls

    def conversations(self) -> Collection[str]:
        """Every conversation that is followed."""
        return self._calls.keys()

    def push(self, chunks: Sequence[Chunk]) -> list[Score]:
        """Take a batch and give every score that is complete now, by conversation and second.

        Chunks of a conversation may come in any order within the batch; a sequence number counts once. A second is
        scored 0.3 s after its end, when it is certain what of it was speech. Sides other than agent and customer,
        and chunks of a conversation that is finished, are ignored.
        """
        batch: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            batch[chunk.conversation_id].append(chunk)
        for conversation_id, mine in batch.items():
            call = self._call(conversation_id)
            if not call.finished:
                for chunk in in_order(mine):
                    self._take(call, chunk)
        self._advance(track for name in batch for track in self._calls[name].tracks.values())
        return score(self._rows, {name: self._calls[name] for name in batch})

    def finish(self, conversation_id: str) -> list[Score]:
        """What is still pending, up to the last whole second that was heard; from then on nothing."""
        call = self._calls.get(conversation_id)
        if call is None or call.finished:
            return []
        ends = {side: track.end_sample // RATE for side, track in call.tracks.items()}
        for track in call.tracks.values():
            # The labels of the last 0.3 s wait for what comes next; nothing does.
            track.fill((SETTLE_STEPS + 1) * STEP_SAMPLES, lost=True)
        self._advance(call.tracks.values(), to_the_end=True)
        whole = {
            second: {side: values for side, values in sides.items() if second <= ends[side]}
            for second, sides in call.closed.items()
        }
        call.closed = {second: sides for second, sides in whole.items() if sides}
        call.finished = True
        return score(self._rows, {conversation_id: call})

    def forget(self, conversation_id: str) -> None:
        """Drop the conversation and free its rows."""
        call = self._calls.pop(conversation_id, None)
        if call is not None:
            self._free.append(call.index)

    def slow_fields(self, conversation_id: str) -> dict[str, dict[str, float]]:
        """Baselines and totals of the call per side, each with the `seconds` it stands for; all JSON numbers."""
        call = self._calls[conversation_id]
        return slow.save(self._rows, call)

    def restore(self, conversation_id: str, slow_fields: Mapping[str, Mapping[str, float]]) -> None:
        """Go on with a call from its slow fields; push the 30 s before their time next, then what follows."""
        call = self._call(conversation_id)
        for side in SIDES_OF_A_CALL:
            if side in slow_fields:
                call.slow[side] = call.slow_turns = dict(slow_fields[side])
        if call.slow_turns and call.slow_turns.get("turns.held"):
            call.holds = [(0.0, True)]

    def set_baselines(self, conversation_id: str, side: Side, baselines: Mapping[str, float]) -> None:
        """Give a speaker's baselines from earlier calls: metric name -> value in its unit."""
        call = self._call(conversation_id)
        call.kept[side] = dict(baselines)
        if side in call.tracks:
            slow.keep_baselines(self._rows, call.row(side), baselines)

    def baselines(self, conversation_id: str) -> dict[Side, dict[str, tuple[float, bool]]]:
        """Per side: metric -> (value, True while it rests on this call alone); absent until enough was heard."""
        call = self._calls[conversation_id]
        return {side: slow.baselines(self._rows, call.row(side)) for side in call.tracks}

    def hold(self, conversation_id: str, at_seconds: float, on: bool) -> None:
        """The call is on hold from `at_seconds` of its own time, or no longer: dead air stands still meanwhile."""
        call = self._call(conversation_id)
        call.holds = [*call.holds[-15:], (at_seconds, on)]
        if on and call.scored_second is not None and at_seconds < call.scored_second:
            silent = self._rows.turns[call.index]["silent_steps"]
            late = round((call.scored_second - at_seconds) * STEPS_PER_SECOND)
            self._rows.turns[call.index]["silent_steps"] = silent - min(silent, late)

    def over_limit(self, conversation_id: str, side: Side, metric: str, over: bool) -> None:
        """A rule's limit on `metric` is passed, or no longer: that detector's baseline stands still meanwhile."""
        call = self._call(conversation_id)
        names = call.over.setdefault(side, set())
        (names.add if over else names.discard)(metric)
        if side in call.tracks:
            self._stand_still(call, side)

    def _stand_still(self, call: Conversation, side: Side) -> None:
        detectors = {metric.partition(".")[0] for metric in call.over.get(side, ())}
        for name, flags in self._rows.still.items():
            flags[call.row(side)] = name in detectors

    def _call(self, conversation_id: str) -> Conversation:
        call = self._calls.get(conversation_id)
        if call is None:
            if not self._free:
                old = self._rows.capacity // 2
                self._rows.grow()
                self._free = list(range(old, 2 * old))[::-1]
            call = self._calls[conversation_id] = Conversation(self._free.pop())
            turns.begin(self._rows.turns, call.index)
        return call

    def _begin(self, call: Conversation, side: Side, offset_seconds: float) -> Track:
        """A side is heard for the first time."""
        offset = max(0.0, offset_seconds) if np.isfinite(offset_seconds) else 0.0
        track = Track(call, side, offset, webrtcvad.Vad(voice_gate.MODE))
        call.tracks[side] = track
        self._rows.begin(track.row, track.step)
        if side in call.kept:
            slow.keep_baselines(self._rows, track.row, call.kept[side])
        if side in call.slow:
            slow.load(self._rows, track.row, call.slow[side])
        self._stand_still(call, side)
        return track

    def _take(self, call: Conversation, chunk: Chunk) -> None:
        """Append one chunk to its sides' tracks."""
        gap = gap_before(call, chunk)
        if gap is None:
            return
        missing, lost = gap
        call.next_seq[chunk.sides] = chunk.seq + 1
        for side, samples in zip(chunk.sides, chunk.samples, strict=False):
            track = call.tracks.get(side)
            if track is None:
                if side not in SIDES_OF_A_CALL:
                    continue
                track = self._begin(call, side, chunk.offset_seconds)
            elif missing:
                self._fill(call, track, missing, lost)
            if chunk.rate != RATE:
                pcm = decode.to_8k(self._rows.columns["decode"], track.row, samples, chunk.rate)
                samples = pcm.astype(np.float32) / np.float32(decode.FULL_SCALE)
            track.add(samples)

    def _fill(self, call: Conversation, track: Track, missing_seconds: float, lost: bool) -> None:
        """Put a gap into the track; of a very long one the middle is skipped in whole seconds."""
        skipped = max(0, int(missing_seconds) - LONGEST_GAP_SECONDS)
        if skipped:
            self._advance([track], to_the_end=True)
            track.skip(skipped)
            call.skipped_lost = lost
            if lost:
                self._rows.columns["losses"][track.row]["lost_seconds"] += skipped
        track.fill(round((missing_seconds - skipped) * RATE), lost=lost)

    def _advance(self, tracks: Iterable[Track], *, to_the_end: bool = False) -> None:
        """Run the detectors over whole blocks, or over everything that waits, closing seconds on the way."""
        tracks = list(tracks)
        while waiting := [t for t in tracks if t.fills_block or (to_the_end and t.waiting >= STEP_SAMPLES)]:
            ended = self._rows.advance(waiting)
            if ended:
                self._close(ended)

    def _close(self, ended: list[Track]) -> None:
        """Keep the metrics of the seconds that are settled until their conversations can be scored."""
        fresh = np.ones(len(ended), bool)
        for i, track in enumerate(ended):
            if track.call.slow and (fields := track.call.slow.get(track.side)) is not None:
                fresh[i] = fields["seconds"] < track.second
                if fresh[i]:
                    slow.load(self._rows, track.row, track.call.slow.pop(track.side))
        rows = np.array([track.row for track in ended])
        metrics, bits = self._rows.close_second(rows, fresh)
        lost = self._rows.columns["losses"]["lost_seconds"][rows].tolist()
        for track, values, speech, known, gone in zip(ended, metrics, *bits.tolist(), lost, strict=True):
            call, second = track.call, track.second
            if call.scored_second is None or second > call.scored_second:
                call.closed.setdefault(second, {})[track.side] = (values, speech, known, gone)
