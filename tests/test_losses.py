from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from benchmarks.audio_clips import Clip, at_8k
from benchmarks.audio_disturb import white_noise
from detectors.arrays import FloatArray
from detectors.volume import active_speech_level
from tests.builders_audio import AGENT, column, cut, manifest, scores_of, silence
from tests.shared_data import shared_data

CLIPS = 12
"""The longest recordings of the Mandarin folder and of the English prompts: a ratio needs 0.6 s of speech."""


def read(row: dict[str, object]) -> Clip:
    """A recording with a second of silence before and after it."""
    sound = at_8k(shared_data("speech", str(row["path"])))[0]
    level = active_speech_level(sound, 8000)[0]
    return Clip(str(row["path"]), np.pad(sound, 8000), 1, "", "", "", level)


def clips() -> list[Clip]:
    rows = [row for row in manifest() if row["source"] in ("asterisk-en", "zhrtvc-aishell3")]
    return [read(row) for row in sorted(rows, key=lambda row: -row["seconds"])[:CLIPS]]


def ratio(sound: FloatArray) -> float:
    values = column(scores_of(cut(sound[None], sides=AGENT), batch=5), "agent", "signal.snr_db")
    return float(np.median(list(values.values())))


# The noise is put under the active level of P.56, which the level of what is heard as speech follows within 0.5 dB
# (1 σ: of a dozen recordings one may be 1.5 dB off).
@pytest.mark.parametrize("snr_db", [20.0, 10.0])
def test_white_noise_is_as_far_under_the_voice_as_it_was_put(snr_db: float) -> None:
    noisy = map(partial(white_noise, snr_db=snr_db), clips())
    told = [ratio(clip.sound) for clip in noisy]
    assert np.median(told) == pytest.approx(snr_db, abs=0.5)
    assert np.abs(np.array(told) - snr_db).max() < 1.5


def test_a_voice_in_digital_silence_is_far_above_it_and_silence_has_no_ratio() -> None:
    assert ratio(clips()[0].sound) > 40
    nothing = scores_of(cut(silence(4)[None], sides=AGENT), batch=5)
    assert column(nothing, "agent", "signal.snr_db") == {}
