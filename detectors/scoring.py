"""Makes the score of a call's second out of its sides' metrics, once no side needs to be waited for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors import slow, turns, voice_activity
from detectors.columns import STEPS_PER_SECOND
from detectors.decode import RATE
from detectors.rows import SIDE_METRICS, Rows
from detectors.tracks import Conversation
from detectors.values import SIDES_OF_A_CALL, Score, Side

WAITS_SECONDS = 2
"""A side this far behind the other is not waited for: one publisher's dead line must not stop the call's scores."""

_NO_SIDE: dict[str, float | None] = dict.fromkeys(SIDE_METRICS)
_NO_TURNS: dict[str, float | None] = dict.fromkeys(turns.METRICS)


def score(rows: Rows, calls: Mapping[str, Conversation]) -> list[Score]:
    """Every second of `calls` that is complete, all calls at once, second by second; in order of call and time."""
    scores: dict[str, list[Score]] = {name: [] for name in calls}
    waiting = {name: call for name, call in calls.items() if call.closed}
    while waiting:
        ready = {name: second for name, call in waiting.items() if (second := _ready(call)) is not None}
        waiting = {name: waiting[name] for name in ready}
        judged = _follow_turns(rows, [(call, ready[name]) for name, call in waiting.items()])
        for (name, call), of_turns in zip(waiting.items(), judged, strict=True):
            closed = call.closed.pop(ready[name])
            sides: dict[Side, dict[str, float | None]] = {}
            for side in SIDES_OF_A_CALL:
                if side in call.tracks:
                    sides[side] = {**(closed[side][0] if side in closed else _NO_SIDE), **of_turns[side]}
            lost = max(
                closed[side][3] if side in closed else float(rows.columns["losses"][track.row]["lost_seconds"])
                for side, track in call.tracks.items()
            )
            scores[name].append(Score(name, float(ready[name]), sides, lost))
            call.scored_second = ready[name]
        waiting = {name: call for name, call in waiting.items() if call.closed}
    return [each for some in scores.values() for each in some]


def _ready(call: Conversation) -> int | None:
    """The earliest second that can be scored, if any; the call has closed one."""
    second = min(call.closed)
    if call.finished or len(call.closed[second]) == len(SIDES_OF_A_CALL):
        return second
    if second + WAITS_SECONDS <= max(track.end_sample for track in call.tracks.values()) / RATE:
        return second
    # A side that is past this second without having closed it began later than it.
    waits = any(
        side not in call.closed[second] and track.settled < second * STEPS_PER_SECOND
        for side, track in call.tracks.items()
    )
    return None if waits else second


def _follow_turns(rows: Rows, calls: list[tuple[Conversation, int]]) -> list[dict[Side, dict[str, float | None]]]:
    """Run `turns` over one second of each call; None for calls of which one side is not known then."""
    both = [i for i, (call, second) in enumerate(calls) if len(call.closed[second]) == len(SIDES_OF_A_CALL)]
    results: list[dict[Side, dict[str, float | None]]] = [dict.fromkeys(SIDES_OF_A_CALL, _NO_TURNS) for _ in calls]
    if not both:
        return results
    for i in both:
        call, second = calls[i]
        if call.slow_turns is not None and call.slow_turns["turns.second"] < second:
            slow.load_turns(rows, call, call.slow_turns)
            call.slow_turns = None
        if call.scored_second is not None and not call.skipped_lost:
            rows.turns[call.index]["silent_steps"] += (second - call.scored_second - 1) * STEPS_PER_SECOND
    words = np.array(
        [[calls[i][0].closed[calls[i][1]][side][1:3] for side in SIDES_OF_A_CALL] for i in both], dtype=np.uint64
    )
    speech, known = (
        voice_activity.bits_of(words[:, :, which].reshape(-1)).reshape(len(both), 2, STEPS_PER_SECOND)
        for which in (0, 1)
    )
    held = np.stack([calls[i][0].held(calls[i][1]) for i in both])
    index = np.array([calls[i][0].index for i in both])
    state = rows.turns[index]
    values = turns.follow(state, speech, known, held)
    rows.turns[index] = state
    table = np.stack([values[name] for name in turns.METRICS], axis=2)
    told = table.astype(object)
    told[np.isnan(table)] = None
    for i, lines in zip(both, told.tolist(), strict=True):
        results[i] = {
            side: dict(zip(turns.METRICS, line, strict=True)) for side, line in zip(SIDES_OF_A_CALL, lines, strict=True)
        }
    return results
