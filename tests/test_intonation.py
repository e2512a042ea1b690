from __future__ import annotations

import numpy as np
import pytest

from detectors import decode
from detectors.bank import Bank
from tests.builders_audio import AGENT, call, column, cut, scores_of, tone, voice


def semitones_between(one, other):
    return 12 * np.log2(np.asarray(one) / other)


def mean_semitones_off(scores, f0_hz):
    """Of ten 5-s pitches from a voice that swings evenly around `f0_hz`; each holds 3 swings and a half."""
    pitch = column(scores, "agent", "intonation.f0_hz")
    return np.mean([semitones_between(pitch[float(second)], f0_hz) for second in range(5, 15)])


@pytest.mark.parametrize("f0_hz", [80.0, 118.0, 210.0, 330.0])
def test_pitch_of_a_made_up_voice(f0_hz):
    scores = scores_of(cut(voice(16, f0_hz, swing_semitones=1.0)[None], sides=AGENT), batch=10)
    # A tenth of a semitone is 0.6 %, less than one sample of the period above 75 Hz; the parabola gives the rest.
    assert abs(mean_semitones_off(scores, f0_hz)) < 0.1


def test_pitch_through_mulaw_and_without_its_fundamental():
    f0_hz = 120.0
    sound = voice(16, f0_hz, swing_semitones=1.0)
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / 8000)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(sound)).astype(np.float32)
    telephone = decode.decode(decode.encode_mulaw(narrow), "pcmu", 8000, 1)
    assert abs(mean_semitones_off(scores_of(cut(telephone, sides=AGENT), batch=10), f0_hz)) < 0.15


@pytest.mark.parametrize("swing_semitones", [1.0, 3.0, 5.0])
def test_spread_of_a_voice_whose_pitch_swings(swing_semitones):
    scores = scores_of(cut(voice(14, 160, swing_semitones=swing_semitones)[None], sides=AGENT), batch=10)
    spread = column(scores, "agent", "intonation.spread_semitones")[13.0]
    # The median deviation of a sine of amplitude a is a / sqrt(2).
    assert spread == pytest.approx(1.4826 * swing_semitones / np.sqrt(2), abs=0.15 + 0.05 * swing_semitones)
    assert (spread < 1.8) == (swing_semitones <= 1)


def test_a_pitch_5_semitones_up_shows_against_the_own_baseline():
    sound, schedule = call("agent_pitch_up_5_semitones")
    before, after = (part["median_f0_hz"] for part in schedule["reference"][:2])
    change = schedule["changes"][0]["at"]
    bank, scores, told = Bank(), [], False
    for chunk in cut(sound):
        for score in bank.push([chunk]):
            scores.append(score)
            shift = score.sides["agent"]["intonation.f0_shift_semitones"]
            if shift is not None and shift > 4 and not told:
                bank.over_limit("c-1", "agent", "intonation.f0_shift_semitones", True)
                told = True
    # 10 s of voiced speech are about 18 s of talk: the baseline is there before the change, and of Praat's pitch.
    baseline, provisional = bank.baselines("c-1")["agent"]["intonation.f0_hz"]
    assert provisional
    assert semitones_between(baseline, before) == pytest.approx(0, abs=0.7)

    # Five seconds hold one or two sentences, whose own medians differ by 2 st; the truth is 5.1 st over all of them.
    speaks = [s.at_seconds for s in scores if (s.sides["agent"]["speech.active"] or 0) > 0.7]
    shift = {at: st for at, st in column(scores, "agent", "intonation.f0_shift_semitones").items() if at in speaks}
    earlier = [st for at, st in shift.items() if at < change]
    later = [st for at, st in shift.items() if at > change + 3]
    assert len(earlier) >= 4
    assert np.abs(np.median(earlier)) < 1
    assert np.median(later) == pytest.approx(float(semitones_between(after, before)), abs=1.0)
    assert np.max(earlier) < 4

    # Half of the step within 3 s of speech after it, the whole (less what sentences differ by) within 6 s.
    active = column(scores, "agent", "speech.active")
    spoken, reached = 0.0, {}
    for at in sorted(at for at in active if at > change):
        spoken += active[at] * min(1.0, at - change)
        if (st := column(scores, "agent", "intonation.f0_shift_semitones").get(at)) is not None:
            reached[spoken] = st
    true = float(semitones_between(after, before))
    assert max(st for seconds, st in reached.items() if seconds <= 3) > true / 2
    assert [st for seconds, st in reached.items() if seconds <= 6][-1] == pytest.approx(true, abs=1.0)


def test_pitch_of_read_speech_is_praats():
    for name in ("polite_turn_taking", "agent_interrupts_caller"):
        sound, schedule = call(name)
        pitch = list(column(scores_of(cut(sound), batch=10), "agent", "intonation.f0_hz").values())
        true = next(part["median_f0_hz"] for part in schedule["reference"] if part["role"] == "agent")
        assert semitones_between(np.median(pitch), true) == pytest.approx(0, abs=0.5)


def test_a_strong_first_formant_on_the_second_harmonic_does_not_double_the_pitch():
    # 30 dB more in the second harmonic than in any other: with the plain correlation the octave above wins.
    time = np.arange(4 * 8000) / 8000
    weights = {n: 30.0 if n == 2 else 1.0 for n in range(1, 15)}
    sound = sum(w * np.sin(2 * np.pi * 200 * n * time + n * n) for n, w in weights.items())
    sound = np.asarray(0.004 * sound * (0.2 + np.sin(np.pi * 4 * time) ** 2), np.float32)
    pitch = list(column(scores_of(cut(sound[None], sides=AGENT), batch=10), "agent", "intonation.f0_hz").values())
    assert pitch
    assert np.abs(semitones_between(pitch, 200.0)).max() < 0.2


def test_what_has_no_pitch_has_none():
    hiss = np.random.default_rng(3).standard_normal(5 * 8000).astype(np.float32) * 0.1
    for sound in (hiss, tone(50, 5)):
        assert not column(scores_of(cut(sound[None], sides=AGENT), batch=10), "agent", "intonation.f0_hz")
