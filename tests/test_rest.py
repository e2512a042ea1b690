from __future__ import annotations

import numpy as np
import pytest

from detectors import voice_activity
from tests.builders_audio import assert_same, call, cut, scores_of, side_by_side, silence


def with_pauses():
    """A real call whose sides fall silent for seconds, each in its time: hissing, digitally silent, with a click."""
    agent, customer = call("agent_interrupts_caller")[0]
    nothing, hiss = np.zeros(7 * 8000, np.float32), silence(9, level_dbov=-60)
    click = hiss.copy()
    click[4 * 8000] = 0.9
    return side_by_side(
        np.concatenate([agent[:80000], hiss, agent[80000:120000], nothing, hiss[:20000], agent[120000:200000], click]),
        np.concatenate([nothing, customer[:60000], click, customer[60000:90000], hiss, nothing, customer[90000:]]),
    )


@pytest.mark.parametrize("piece", [160, 777, 4000])
def test_pauses_that_are_passed_over_score_as_pauses_that_are_followed_step_by_step(piece, monkeypatch):
    chunks = [chunk for chunk in cut(with_pauses(), piece=piece) if not 11.5 <= chunk.offset_seconds < 11.9]
    rested = []
    rest = voice_activity.rest
    monkeypatch.setattr(voice_activity, "rest", lambda *given: rested.append(given[2].sum()) or rest(*given))
    passed_over = scores_of(chunks)
    assert sum(rested) > 10 / 0.02

    monkeypatch.setattr(voice_activity, "rests", lambda state, passes, lost: np.zeros(len(passes), bool))
    assert_same(passed_over, scores_of(chunks))
