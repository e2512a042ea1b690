from __future__ import annotations

import numpy as np
import pytest

from detectors import voice_activity
from detectors.columns import SETTLE_STEPS
from tests.builders_audio import AGENT, call, column, cut, recording, scores_of, side_by_side, silence, tone, voice

CALLS = (
    "polite_turn_taking",
    "agent_faster_second_half",
    "agent_louder_12db",
    "dead_air_8s_and_35s",
    "agent_interrupts_caller",
    "agent_pitch_up_5_semitones",
)


def seconds_of_truth(schedule, role, seconds):
    """(seconds,): the share of each second in which the role is audible on its clean track."""
    fine = np.zeros(seconds * 100)
    for start, end in schedule["activity"][role]:
        fine[round(start * 100) : round(end * 100)] = 1
    return fine.reshape(seconds, 100).mean(axis=1)


@pytest.mark.parametrize("name", CALLS)
def test_speech_of_the_scheduled_calls_is_found_and_nothing_else(name):
    sound, schedule = call(name)
    scores = scores_of(cut(sound), batch=5)
    for side, role in (("agent", "agent"), ("customer", "caller")):
        found = np.array(list(column(scores, side, "speech.active").values()))
        truth = seconds_of_truth(schedule, role, len(found))
        # The truth holds breaths and room that ring 35 dB under the peak, at both ends of a turn: the live label
        # misses 2-8 % there. Crosstalk at -35 dB and line noise at -60 dBFS are in every recording.
        assert found[truth == 0].mean() < 0.01
        assert found.sum() / truth.sum() == pytest.approx(0.955, abs=0.06)
        assert found[truth == 1].mean() > 0.95


def test_a_voice_is_heard_at_any_usual_level_and_a_hiss_is_not():
    for level_dbov in (-45.0, -26.0, -10.0):
        active = column(scores_of(cut(voice(6, level_dbov=level_dbov)[None], sides=AGENT)), "agent", "speech.active")
        assert np.mean(list(active.values())) > 0.95
    for level_dbov in (-70.0, -60.0, -50.0):
        hiss = silence(10, level_dbov=level_dbov)[None]
        active = column(scores_of(cut(hiss, sides=AGENT)), "agent", "speech.active")
        assert np.mean(list(active.values())[2:]) < 0.01


def test_dc_and_hum_are_no_speech():
    for sound in (np.full(40000, 0.4, np.float32), tone(50, 5, -20)):
        assert not any(column(scores_of(cut(sound[None], sides=AGENT)), "agent", "speech.active").values())


def test_two_real_calls_have_the_speech_that_is_known_of_them():
    # Measured with another detector (no human labels): agent 37 %, caller 38 %; agent 55 %, caller 39 %.
    for file, shares in (("auto_repairs_40_stereo.flac", (0.37, 0.38)), ("auto_repairs_49_stereo.flac", (0.55, 0.39))):
        sound, rate = recording("aws-lca", file)
        scores = scores_of(cut(sound, rate), batch=25)
        for side, share in zip(("agent", "customer"), shares, strict=True):
            active = column(scores, side, "speech.active")
            assert np.mean(list(active.values())) == pytest.approx(share, abs=0.04)


# The smoother, step by step


def labels(raw, passes=None, lost=None):
    """Final labels of a row of 20 ms steps, given as a string of x and -."""
    state = np.zeros(1, voice_activity.STATE)
    voice_activity.begin(state, 0)
    flags = np.array([[c == "x" for c in raw + "-" * SETTLE_STEPS]])
    loud = flags if passes is None else np.array([[c == "x" for c in passes + "-" * SETTLE_STEPS]])
    gone = np.zeros(flags.shape, bool) if lost is None else np.array([[c == "x" for c in lost + "-" * SETTLE_STEPS]])
    counts = np.array([flags.shape[1]])
    settled = voice_activity.settle(state, flags, loud, gone, counts, -np.array([SETTLE_STEPS]))
    return "".join("x" if flag else "-" for flag in settled.speech[0, SETTLE_STEPS:])


def test_speech_under_100_ms_is_none_and_longer_counts_from_its_beginning():
    assert labels("---xxxx------------") == "-" * 19
    assert labels("---xxxxx-----------") == "---xxxxx-----------"


def test_pauses_to_200_ms_are_filled():
    assert labels("xxxxx" + "-" * 10 + "xxxxx") == "x" * 20
    assert labels("xxxxx" + "-" * 11 + "xxxxx") == "xxxxx" + "-" * 11 + "xxxxx"


def test_speech_is_drawn_out_over_loud_steps_for_200_ms():
    raw = "-" * 15 + "x" * 6 + "-" * 15
    assert labels(raw, passes="x" * 36) == "-" * 5 + "x" * 26 + "-" * 5
    assert labels(raw, passes="-" * 12 + "x" * 10 + "-" * 14) == "-" * 12 + "x" * 10 + "-" * 14


def test_lost_steps_are_never_speech():
    assert labels("x" * 20, lost="-" * 8 + "xxx" + "-" * 9) == "x" * 8 + "---" + "x" * 9


def test_crosstalk_does_not_open_the_gate_of_the_side_that_listens():
    agent = voice(12, 190, level_dbov=-18.0)
    customer = silence(12, level_dbov=-60.0)
    customer[160:] += agent[:-160] * np.float32(10 ** (-35 / 20))
    customer[: 3 * 8000] += voice(3, 110, level_dbov=-26.0)
    active = column(scores_of(cut(side_by_side(agent, customer))), "customer", "speech.active")
    assert active[2.0] == 1
    assert max(active[at] for at in active if at > 4) == 0
