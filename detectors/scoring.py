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

METRICS = SIDE_METRICS + turns.METRICS
_NO_SIDE: list[float | None] = [None] * len(SIDE_METRICS)
_NO_TURNS: list[list[float | None]] = [[None] * len(turns.METRICS)] * len(SIDES_OF_A_CALL)


def score(rows: Rows, calls: Mapping[str, Conversation]) -> list[Score]:
    """Every second of `calls` that is complete, all calls at once, second by second; in order of call and time."""
    scores: dict[str, list[Score]] = {name: [] for name in calls}
    waiting = [(name, call) for name, call in calls.items() if call.closed]
    while waiting:
        ready = [(name, call, second) for name, call in waiting if (second := _ready(call)) is not None]
        judged = _follow_turns(rows, [(call, second) for _, call, second in ready])
        for (name, call, second), of_turns in zip(ready, judged, strict=True):
            closed = call.closed.pop(second)
            sides: dict[Side, dict[str, float | None]] = {}
            for side, in_turns in zip(SIDES_OF_A_CALL, of_turns, strict=True):
                if side in call.tracks:
                    alone = closed[side][0] if side in closed else _NO_SIDE
                    sides[side] = dict(zip(METRICS, alone + in_turns, strict=True))
            lost = [seconds for _, _, _, seconds in closed.values()]
            for side in call.tracks.keys() - closed.keys():
                lost.append(float(rows.columns["losses"][call.row(side)]["lost_seconds"]))
            scores[name].append(Score(name, float(second), sides, max(lost)))
            call.scored_second = second
        waiting = [(name, call) for name, call, _ in ready if call.closed]
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


def _follow_turns(rows: Rows, calls: list[tuple[Conversation, int]]) -> list[list[list[float | None]]]:
    """`turns` METRICS of one second of each call, per side; None where one side of the call is not known then."""
    both = [i for i, (call, second) in enumerate(calls) if len(call.closed[second]) == len(SIDES_OF_A_CALL)]
    results = [_NO_TURNS] * len(calls)
    if not both:
        return results
    for i in both:
        call, second = calls[i]
        if call.slow_turns is not None and call.slow_turns["turns.second"] < second:
            slow.load_turns(rows, call, call.slow_turns)
            call.slow_turns = None
        if call.scored_second is not None and not call.skipped_lost:
            rows.turns[call.index]["silent_steps"] += (second - call.scored_second - 1) * STEPS_PER_SECOND
    seconds = [calls[i][0].closed[calls[i][1]] for i in both]
    speech, known = (
        voice_activity.bits_of(
            np.array([bits for second in seconds for bits in (second["agent"][which], second["customer"][which])], "u8")
        ).reshape(len(both), len(SIDES_OF_A_CALL), STEPS_PER_SECOND)
        for which in (1, 2)
    )
    held = np.zeros((len(both), STEPS_PER_SECOND), bool)
    for place, i in enumerate(both):
        if calls[i][0].holds:
            held[place] = calls[i][0].held(calls[i][1])
    index = np.array([calls[i][0].index for i in both])
    state = rows.turns[index]
    values = turns.follow(state, speech, known, held)
    rows.turns[index] = state
    table = np.stack([values[name] for name in turns.METRICS], axis=2)
    told = table.astype(object)
    told[np.isnan(table)] = None
    for i, lines in zip(both, told.tolist(), strict=True):
        results[i] = lines
    return results
