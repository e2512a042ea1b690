from __future__ import annotations

import numpy as np
import pytest

from benchmarks.audio_bank import counted as counted_together
from benchmarks.audio_clips import SHARED, clips_of
from benchmarks.audio_disturb import babble, lose_packets, quieter, telephone_band, white_noise
from detectors.bank import Bank
from detectors.words_rate import rate_from_words
from tests.builders_audio import AGENT, call, column, cut, manifest, recording, scores_of, silence, tone, voice

TOO_SHORT_SECONDS = 1.2


def counted(sound, rate):
    """Syllables and speech seconds the live counter finds in a clip of up to 24 s, a second of silence after it."""
    bank = Bank(2)
    bank.push(cut(np.pad(sound, (rate // 2, rate))[None], rate, piece=rate, sides=AGENT))
    bank.finish("c-1")
    state = bank._rows.columns["speech_rate"][0]
    return float(state["syllables"].sum()), float(state["steps"].sum()) / 50


@pytest.fixture(scope="module")
def clips():
    """Every clip with an exact text that is long enough for a rate: (source, language, seconds, true, counted)."""
    rows = []
    for row in manifest():
        if row["syllables"] and row["source"] != "fsdd" and row["channels"] == 1 and row["seconds"] > TOO_SHORT_SECONDS:
            sound, rate = recording(*row["path"].split("/"))
            found, _ = counted(sound[0], rate)
            rows.append((row["source"], row["language"], row["seconds"], row["syllables"], found))
    return rows


def fit(true, found):
    """Correlation and mean relative error of rates."""
    true, found = np.array(true), np.array(found)
    return float(np.corrcoef(true, found)[0, 1]), float(np.mean(np.abs(found - true) / true))


def test_clips_of_known_text(clips):
    r, error = fit([c[3] / c[2] for c in clips], [c[4] / c[2] for c in clips])
    # Praat's syllable nuclei v3 reaches .71 / 10.1 % on those of at least 4 syllables, this method .84 / 6.6 %; on all
    # of them it is .87. The rest is tolerance.
    assert len(clips) > 160
    assert r >= 0.84
    assert error <= 0.072


def test_mandarin_counts_characters(clips):
    chinese = [c for c in clips if c[1] == "zh"]
    _, error = fit([c[3] / c[2] for c in chinese], [c[4] / c[2] for c in chinese])
    # This method reaches 5.3 % through its own decimator and 4.9 % through a steeper one, Praat there 6.9 %.
    assert len(chinese) > 25
    assert error <= 0.058
    assert sum(c[4] for c in chinese) / sum(c[3] for c in chinese) == pytest.approx(1, abs=0.07)


def test_windows_of_20_s(clips):
    windows, by_source = [], {}
    for source, _, seconds, true, found in clips:
        window = by_source.setdefault(source, [0.0, 0.0, 0.0])
        window[0] += seconds
        window[1] += true
        window[2] += found
        if window[0] >= 20:
            windows.append(by_source.pop(source))
    r, error = fit([w[1] / w[0] for w in windows], [w[2] / w[0] for w in windows])
    # Over many orders of the clips this method reaches .916 / 3.2 %, Praat .81 / 4.7 %; one order differs by .03.
    assert len(windows) >= 25
    assert r >= 0.87
    assert error <= 0.041


@pytest.mark.parametrize(
    ("disturb", "most"),
    [
        # Reached: 7.8, 8.7, 10.2, 6.9 and 7.4 %; Praat 10.1, 10.3, 11.4, 9.9 and 10.1 %. The rest is tolerance.
        (lambda clip, clips: telephone_band(clip), 0.083),
        (lambda clip, clips: white_noise(clip, 10), 0.090),
        (lambda clip, clips: babble(clip, clips, 20), 0.108),
        (lambda clip, clips: lose_packets(clip, 0.05), 0.075),
        (lambda clip, clips: quieter(clip, 20), 0.080),
    ],
    ids=["telephone band", "white noise", "babble", "lost packets", "quiet"],
)
def test_a_disturbed_voice_keeps_its_rate(disturb, most):
    recordings = clips_of([SHARED])
    found, _ = counted_together([disturb(clip, recordings) for clip in recordings])
    true = np.array([clip.syllables for clip in recordings])
    assert np.mean(np.abs(found - true) / true) <= most


@pytest.mark.parametrize("syllables_per_second", [2.5, 4.0, 5.5, 7.0])
def test_a_made_up_voice_of_known_rate(syllables_per_second):
    scores = scores_of(cut(voice(14, syllables_per_second=syllables_per_second)[None], sides=AGENT), batch=10)
    rate = column(scores, "agent", "speech_rate.syllables_per_second")
    # One syllable at either end of a 10-s window may fall in or out.
    assert rate[13.0] == pytest.approx(syllables_per_second, abs=0.25)
    assert column(scores, "agent", "speech_rate.spm")[13.0] == pytest.approx(60 * rate[13.0])


def test_no_rate_before_3_s_of_speech():
    scores = scores_of(cut(voice(6)[None], sides=AGENT))
    assert min(column(scores, "agent", "speech_rate.spm")) in (3.0, 4.0)


def test_an_agent_who_hurries_shows():
    sound, schedule = call("agent_faster_second_half")
    scores = scores_of(cut(sound), batch=10)
    rate = column(scores, "agent", "speech_rate.syllables_per_second")
    before, after = (part["syllables_per_s"] for part in schedule["reference"][:2])
    change = schedule["changes"][0]["at"]
    # Ten seconds of speech in, on either side of the change; this voice is read 3 % low, slow as fast.
    assert np.mean([v for at, v in rate.items() if 30 < at < change]) == pytest.approx(before, rel=0.06)
    assert np.mean([v for at, v in rate.items() if at > change + 25]) == pytest.approx(after, rel=0.06)
    slow, fast = (np.mean([v for at, v in rate.items() if a < at < b]) for a, b in ((20, change), (65, 90)))
    assert fast > 1.2 * slow


def test_hiss_and_a_tone_have_no_syllables():
    for sound in (silence(10, level_dbov=-50.0), silence(10, level_dbov=-20.0), tone(400, 10)):
        found, _ = counted(sound, 8000)
        assert found <= 2


@pytest.mark.parametrize(
    ("text", "start", "end", "rate"),
    [
        ("您好，请问有什么可以帮您？", 0.0, 3.0, 220.0),
        ("您好 您好", 1.0, 2.0, 240.0),
        ("订单A12，退款。", 0.0, 6.0, 70.0),
        ("Please hold on, I'll check that.", 0.0, 2.0, 180.0),
        ("It's well-known: 1,200 yuan", 10.0, 12.0, 120.0),
        ("ひらがなとカナ", 0.0, 2.0, 210.0),
        ("你" * 56, 0.0, 12.0, 280.0),
    ],
)
def test_characters_or_words_a_minute_of_a_transcript(text, start, end, rate):
    assert rate_from_words(text, start, end) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "start", "end"), [("", 0.0, 2.0), (" ，。!", 0.0, 2.0), ("你好", 1.0, 1.29), ("你好", 2.0, 1.0)]
)
def test_no_rate_of_nothing_or_of_no_time(text, start, end):
    assert rate_from_words(text, start, end) is None
