from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from alerts.alert import Change, Conversation
from alerts.engine import RuleStates, judge_score, over_limits
from detectors.bank import Bank
from detectors.values import Chunk, Side
from tests.builders_alerts import SHIPPED
from tests.shared_data import shared_data

PAUSE_SECONDS = 0.3


def _listen(samples: NDArray[np.float32], rate: int, language: str) -> list[tuple[float, Change]]:
    """What the shipped rules ask about a recording (channels, n), with the call's second of each change."""
    bank, states = Bank(), RuleStates()
    who = Conversation("call", "k-1", "call", agent_id="a-1", team="refunds", language=language)
    sides: tuple[Side, ...] = ("agent", "customer")[: len(samples)]  # type: ignore[assignment]  # a slice loses them
    asked = []
    for seq, first in enumerate(range(0, samples.shape[1], rate)):
        piece = samples[:, first : first + rate].copy()
        for score in bank.push([Chunk("k-1", sides, piece, rate, seq, first / rate)]):
            states, changes = judge_score(SHIPPED, states, who, score, score.at_seconds)
            over = over_limits(SHIPPED, states, who, score)
            for side, metrics in score.sides.items():
                for metric in metrics:
                    bank.over_limit("k-1", side, metric, (side, metric) in over)
            asked += [(score.at_seconds, change) for change in changes]
    return asked


def _call(name: str) -> tuple[dict[str, Any], list[tuple[float, str, str, str]]]:
    """A scheduled call's truth, and (second, kind, rule, severity) of what is asked about it."""
    truth = json.loads(shared_data("speech", "calls", f"{name}.json").read_text(encoding="utf-8"))
    samples, rate = soundfile.read(shared_data("speech", "calls", f"{name}.flac"), dtype="float32", always_2d=True)
    asked = _listen(samples.T, rate, truth["language"])
    return truth, [(at, change.kind, change.rule_id, change.severity) for at, change in asked]


def _opened(asked: list[tuple[float, str, str, str]]) -> list[tuple[float, str]]:
    return [(at, rule) for at, kind, rule, _ in asked if kind == "open"]


def test_a_call_of_polite_turns_asks_nothing() -> None:
    assert _call("polite_turn_taking")[1] == []


def test_a_level_that_rises_by_12_db_is_asked_about_once() -> None:
    truth, asked = _call("agent_louder_12db")
    [(at, rule)] = _opened(asked)
    assert rule == "volume.raised"
    # 5 s of the agent's speech after the change end at 60.3 s of this call's schedule.
    assert truth["changes"][0]["at"] <= at <= 60.3


def test_a_pitch_that_rises_by_5_semitones_is_asked_about() -> None:
    truth, asked = _call("agent_pitch_up_5_semitones")
    opened = _opened(asked)
    assert {rule for _, rule in opened} == {"pitch.raised"}
    # The median of 5 s turns after 2.5 s of the new pitch, which must then hold for 3 s of speech; turns of the
    # caller lie between. Only the first is held to a time: sentences fall, and then the alert lets go.
    assert truth["changes"][0]["at"] <= opened[0][0] <= truth["changes"][0]["at"] + 12


def test_dead_air_is_info_at_10_s_a_warning_at_30_s_and_nothing_at_8_s() -> None:
    truth, asked = _call("dead_air_8s_and_35s")
    [silence] = [one for one in truth["silences"] if one["end"] - one["start"] > 30]
    risen = [(at, kind, severity) for at, kind, rule, severity in asked if rule == "turns.dead_air"]
    assert [rule for _, rule in _opened(asked)] == ["turns.dead_air"]
    info = risen[0]
    warning = next(one for one in risen if one[2] == "warning")
    # Scores come on whole seconds, and where a sentence ends is heard to 0.3 s.
    assert info[1:] == ("open", "info") and abs(info[0] - silence["start"] - 10) <= 1.3
    assert warning[1] == "update" and abs(warning[0] - silence["start"] - 30) <= 1.3
    assert risen[-1][1] == "end" and abs(risen[-1][0] - silence["end"]) <= 1.3


def test_an_agent_who_interrupts_is_asked_about_from_the_third_time() -> None:
    truth, asked = _call("agent_interrupts_caller")
    [(at, rule)] = _opened(asked)
    times = [one["start"] for one in truth["overlaps"] if one["counts_as"] == "agent_interruption"]
    # An interruption counts after 0.5 s of overlap; one of the eight may be missed by plain voice activity.
    assert rule == "turns.interruptions" and times[2] + 0.5 <= at <= times[3] + 1.5


@pytest.mark.parametrize(
    ("source", "language"),
    [("asterisk-en", "en"), ("zhrtvc-aishell3", "zh"), ("ljspeech", "en"), ("pocketsphinx-librivox", "en")],
)
def test_ordinary_speech_is_not_called_fast_slow_or_flat(source: str, language: str) -> None:
    lines = shared_data("speech", "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["source"] == source and row["language"] == language]
    parts: list[NDArray[np.float32]] = []
    for row in rows:
        parts += [
            soundfile.read(shared_data("speech", row["path"]), dtype="float32")[0],
            np.zeros(int(PAUSE_SECONDS * row["sr"]), np.float32),
        ]
    assert len(rows) >= 5, "the recordings have moved"
    asked = _listen(np.concatenate(parts)[None], rows[0]["sr"], language)
    assert [change.rule_id for _, change in asked if change.rule_id.startswith(("rate.", "pitch.flat"))] == []
