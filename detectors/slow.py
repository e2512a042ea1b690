"""The part of a call's state that outlives its worker: baselines and totals, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping

from detectors import intonation, turns
from detectors.baselines import REMEMBERS_SECONDS
from detectors.rows import DETECTORS, Rows
from detectors.tracks import Conversation
from detectors.values import SIDES_OF_A_CALL

_WITH_BASELINE = {name: module for name, module in DETECTORS.items() if hasattr(module, "BASELINE_METRIC")}
_TOTALS = [(name, field) for name, module in DETECTORS.items() for field in getattr(module, "SLOW", ())]
_BASELINE_FIELDS = ("value", "seconds", "kept")


def save(rows: Rows, call: Conversation) -> dict[str, dict[str, float]]:
    """Per side: `seconds` (the last settled second they hold), then detector.field -> number."""
    fields: dict[str, dict[str, float]] = {}
    for side, track in call.tracks.items():
        mine = fields[side] = {"seconds": float(track.second)}
        for name, field in _TOTALS:
            mine[f"{name}.{field}"] = float(rows.columns[name][track.row][field])
        for name in _WITH_BASELINE:
            for field in _BASELINE_FIELDS:
                mine[f"{name}.baseline.{field}"] = float(rows.columns[name][track.row]["baseline"][field])
        mine |= _turns(rows, call)
    return fields


def load(rows: Rows, row: int, fields: Mapping[str, float]) -> None:
    """Set a side's slow fields; ones that are missing (an older version wrote them) stay as they are."""
    for name, field in _TOTALS:
        if (key := f"{name}.{field}") in fields:
            rows.columns[name][row][field] = fields[key]
    for name in _WITH_BASELINE:
        for field in _BASELINE_FIELDS:
            if (key := f"{name}.baseline.{field}") in fields:
                rows.columns[name]["baseline"][field][row] = fields[key]


def _turns(rows: Rows, call: Conversation) -> dict[str, float]:
    """The conversation's own fields, the same for both sides; of the 60 s of results only those that are not 0."""
    mine = rows.turns[call.index]
    now = call.scored_second or 0
    fields = {"turns.second": float(now), "turns.silent_steps": float(mine["silent_steps"])}
    fields["turns.held"] = float(bool(call.holds) and call.holds[-1][1])
    for which, side in enumerate(SIDES_OF_A_CALL):
        fields[f"turns.speech_seconds.{side}"] = float(mine["speech_seconds"][which])
    # As lists: to take the 180 values one by one out of arrays took longer than all the rest.
    for back, steps in enumerate(mine["overtalk_steps"].tolist()):
        if steps:
            fields[f"turns.overtalk_steps.{now - back}"] = float(steps)
    for back, counts in enumerate(mine["interruptions"].tolist()):
        for side, count in zip(SIDES_OF_A_CALL, counts, strict=True):
            if count:
                fields[f"turns.interruptions.{side}.{now - back}"] = float(count)
    return fields


def load_turns(rows: Rows, call: Conversation, fields: Mapping[str, float]) -> None:
    """Set the conversation's own slow fields as of their `turns.second`."""
    mine = rows.turns[call.index]
    now = int(fields["turns.second"])
    mine["silent_steps"] = fields["turns.silent_steps"]
    mine["overtalk_steps"] = 0
    mine["interruptions"] = 0
    for which, side in enumerate(SIDES_OF_A_CALL):
        mine["speech_seconds"][which] = fields[f"turns.speech_seconds.{side}"]
        for back in range(turns.WINDOW_SECONDS):
            mine["overtalk_steps"][back] = fields.get(f"turns.overtalk_steps.{now - back}", 0)
            mine["interruptions"][back, which] = fields.get(f"turns.interruptions.{side}.{now - back}", 0)


def keep_baselines(rows: Rows, row: int, baselines: Mapping[str, float]) -> None:
    """Set baselines of earlier calls, metric name -> value in its unit; they weigh as much as a minute of speech."""
    for name, module in _WITH_BASELINE.items():
        if module.BASELINE_METRIC in baselines:
            value = baselines[module.BASELINE_METRIC]
            kept = float(intonation.semitones(value)) if module is intonation else value
            rows.columns[name]["baseline"][row] = (kept, REMEMBERS_SECONDS, True)


def baselines(rows: Rows, row: int) -> dict[str, tuple[float, bool]]:
    """metric -> (value in its unit, True while provisional), for those that rest on enough speech."""
    found = {}
    for name, module in _WITH_BASELINE.items():
        mine = rows.columns[name]["baseline"][row]
        if mine["kept"] or mine["seconds"] >= module.BASELINE_AFTER_SECONDS:
            value = float(mine["value"])
            metric = module.BASELINE_METRIC
            found[metric] = (
                float(intonation.hz(value)) if module is intonation else value,
                not mine["kept"],
            )
    return found
