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


@pytest.mark.parametrize(
    "frequencies", [(1000.0,), (440.0, 480.0), (770.0, 1336.0), (100.0, 200.0, 300.0, 400.0, 500.0)]
)
def test_tones_of_the_telephone_and_humming_machines_are_no_speech(frequencies):
    sound = sum(tone(hertz, 20, -30) for hertz in frequencies)
    active = list(column(scores_of(cut(sound[None], sides=AGENT)), "agent", "speech.active").values())
    # 0.8 s of one pitch are needed to tell it from a vowel.
    assert np.mean(active) < 0.06 and max(active[2:]) == 0


def test_hiss_that_begins_under_way_is_no_speech_however_loud():
    for level_dbov in (-40.0, -25.0):
        sound = np.concatenate([silence(4), silence(12, level_dbov=level_dbov, seed=3)])
        active = column(scores_of(cut(sound[None], sides=AGENT)), "agent", "speech.active")
        assert max(active.values()) == 0


@pytest.mark.parametrize(("name", "at_most"), [("noise1", 0.25), ("noise3", 0.15), ("noise5", 0.12)])
def test_real_steady_noise_is_mostly_no_speech(name, at_most):
    # webrtcvad hears speech in 80 to 100 % of them. What is left: the first 0.8 s of a hum, and an engine that wavers.
    sound, rate = recording("speechbrain-noise", f"{name}.flac")
    sound *= np.float32(10 ** (-25 / 20) / np.sqrt(np.mean(sound**2)))
    active = column(scores_of(cut(sound, rate, sides=AGENT)), "agent", "speech.active")
    assert np.mean(list(active.values())) < at_most


def test_two_real_calls_have_the_speech_that_is_known_of_them():
    # Measured with another detector (no human labels): agent 37 %, caller 38 %; agent 55 %, caller 39 %.
    for file, shares in (("auto_repairs_40_stereo.flac", (0.37, 0.38)), ("auto_repairs_49_stereo.flac", (0.55, 0.39))):
        sound, rate = recording("aws-lca", file)
        scores = scores_of(cut(sound, rate), batch=25)
        for side, share in zip(("agent", "customer"), shares, strict=True):
            active = column(scores, side, "speech.active")
            assert np.mean(list(active.values())) == pytest.approx(share, abs=0.04)


# The smoother, step by step


def labels(raw, passes=None, lost=None, voiced=None):
    """Final labels of a row of 20 ms steps, given as a string of x and -; all of it voiced if nothing else is said."""
    state = np.zeros(1, voice_activity.STATE)
    voice_activity.begin(state, 0)
    flags = np.array([[c == "x" for c in raw + "-" * SETTLE_STEPS]])
    loud = flags if passes is None else np.array([[c == "x" for c in passes + "-" * SETTLE_STEPS]])
    gone = np.zeros(flags.shape, bool) if lost is None else np.array([[c == "x" for c in lost + "-" * SETTLE_STEPS]])
    voices = (
        np.ones(flags.shape, bool) if voiced is None else np.array([[c == "x" for c in voiced + "-" * SETTLE_STEPS]])
    )
    counts = np.array([flags.shape[1]])
    settled = voice_activity.settle(state, flags, voices, loud, gone, counts, -np.array([SETTLE_STEPS]))
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


def test_speech_begins_with_its_consonants_and_not_without_a_vowel():
    raw = "-" * 5 + "x" * 30 + "-" * 5
    assert labels(raw, voiced="-" * 40) == "-" * 40
    # The vowel comes 0.2 s after the s that belongs to it.
    assert labels(raw, voiced="-" * 15 + "x" * 25) == raw
    # What is older than 0.3 s is final by then.
    assert labels(raw, voiced="-" * 25 + "x" * 15) == "-" * 10 + "x" * 25 + "-" * 5
    # Without a vowel it ends, drawn out by the 0.2 s that any speech is.
    assert labels(raw, voiced="x" * 15 + "-" * 25) == "-" * 5 + "x" * 20 + "-" * 15


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
