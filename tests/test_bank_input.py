from __future__ import annotations

import math

import numpy as np
import pytest

from detectors import turns
from detectors.bank import Bank
from detectors.metrics import BY_NAME
from detectors.values import Chunk
from tests.builders_audio import (
    BOTH,
    assert_same,
    batches,
    column,
    cut,
    scores_of,
    side_by_side,
    tone,
    two_voices,
)

# Repeats, order, loss, silence not sent


@pytest.mark.parametrize("piece", [160, 1600])
def test_repeats_count_once_and_order_within_a_batch_is_mended(piece):
    chunks = cut(two_voices(5), piece=piece)
    doubled = []
    for some in batches(chunks, 5):
        doubled += [*reversed(some), *some]
    again = Bank()
    scores = [score for some in batches(doubled, 10) for score in again.push(some)]
    for chunk in [*chunks[-10:], chunks[-1]]:
        scores += again.push([chunk])
    scores += again.finish("c-1")
    assert_same(scores, scores_of(chunks))


def test_a_publisher_that_counts_from_0_again_is_heard():
    sound = two_voices(12)
    chunks = cut(sound[:, : 6 * 8000]) + cut(sound[:, 6 * 8000 :], start_seconds=6.0)
    assert [score.at_seconds for score in scores_of(chunks)] == [float(second) for second in range(1, 13)]


def test_lost_audio_is_counted_and_is_no_silence():
    sound = two_voices(12)
    sound[:, 4 * 8000 : 8 * 8000] = 0
    chunks = [chunk for chunk in cut(sound) if not 4 <= round(chunk.offset_seconds, 3) < 8]
    scores = scores_of(chunks)
    assert [score.at_seconds for score in scores] == [float(second) for second in range(1, 13)]
    assert scores[-1].lost_seconds == pytest.approx(4.0, abs=0.021)
    lost = column(scores, "agent", "signal.lost_seconds")
    assert lost[4.0] == 0
    assert lost[8.0] == pytest.approx(4.0, abs=0.021)
    # Nobody speaks in every sixth second; with the 4 s that are lost it would be more than 4.
    assert max(column(scores, "agent", "turns.dead_air_seconds").values()) < 1.5
    assert all(score.sides["agent"]["speech.active"] is None for score in scores if 5 < score.at_seconds <= 8)


def test_audio_that_was_not_sent_is_silence():
    sound = two_voices(12)
    sound[:, 4 * 8000 : 8 * 8000] = 0
    sent = [chunk for chunk in cut(sound) if not 4 <= round(chunk.offset_seconds, 3) < 8]
    unsent = [Chunk(c.conversation_id, c.sides, c.samples, c.rate, seq, c.offset_seconds) for seq, c in enumerate(sent)]
    assert_same(scores_of(unsent), scores_of(cut(sound)))


@pytest.mark.parametrize("lost", [False, True])
def test_a_gap_of_ten_minutes_costs_one_minute_of_work(lost):
    chunks = cut(two_voices(6))
    chunks += cut(two_voices(3), start_seconds=606.0, first_seq=len(chunks) + (3000 if lost else 0))
    scores = scores_of(chunks)
    assert len(scores) < 6 + 3 + 63
    at_end_of_gap = next(score for score in scores if score.at_seconds == 606)
    known = at_end_of_gap.sides["agent"]["turns.dead_air_seconds"]
    if lost:
        assert known is not None and known < 1.5
        assert scores[-1].lost_seconds == pytest.approx(600, abs=0.021)
    else:
        # The second before the gap is silent too.
        assert known == pytest.approx(601, abs=0.3)
        assert scores[-1].lost_seconds == 0


# Any input

HARD = {
    "digital silence": np.zeros((2, 4 * 8000), np.float32),
    "one sample": np.ones((2, 1), np.float32),
    "no sample": np.zeros((2, 0), np.float32),
    "clipping": np.tile(np.clip(two_voices(4) * 200, -1, 1), 1),
    "DC": np.full((2, 4 * 8000), 0.5, np.float32),
    "white noise at full scale": np.random.default_rng(5).uniform(-1, 1, (2, 4 * 8000)).astype(np.float32),
    "one click": np.pad(np.ones((2, 1), np.float32), ((0, 0), (8000, 3 * 8000))),
    "a tone": side_by_side(tone(1000, 4), tone(50, 4)),
    "not a number": np.full((2, 4 * 8000), np.nan, np.float32),
    "infinite": np.full((2, 4 * 8000), np.inf, np.float32),
    "far beyond full scale": two_voices(4) * 1e30,
}


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 48000])
@pytest.mark.parametrize("kind", HARD)
def test_any_input_gives_numbers_in_range_or_none(kind, rate):
    sound = HARD[kind]
    good = two_voices(3, rate)
    chunks = cut(sound, rate, 1600) if sound.shape[1] else [Chunk("c-1", BOTH, sound, rate, 0, 0.0)]
    start = sound.shape[1] / rate
    chunks += cut(good, rate, start_seconds=start, first_seq=len(chunks))
    scores = scores_of(chunks)
    assert len(scores) >= 3
    for score in scores:
        for metrics in score.sides.values():
            for name, value in metrics.items():
                assert value is None or BY_NAME[name].low <= value <= BY_NAME[name].high, f"{name} = {value}"


@pytest.mark.parametrize("offset", [math.nan, math.inf, -5.0])
def test_a_senseless_offset_is_taken_as_the_next_moment(offset):
    chunks = cut(two_voices(4))
    chunks[3] = Chunk("c-1", BOTH, chunks[3].samples, 8000, 3, offset)
    assert_same(scores_of(chunks), scores_of(cut(two_voices(4))))


def test_the_rate_may_change_under_way():
    low, high = cut(two_voices(4)), cut(two_voices(4, 48000), 48000, start_seconds=4.0, first_seq=20)
    scores = scores_of([*low, *high])
    assert [score.at_seconds for score in scores] == [float(second) for second in range(1, 9)]
    assert column(scores, "agent", "volume.level_dbov")[6.0] == pytest.approx(
        column(scores, "agent", "volume.level_dbov")[2.0], abs=0.5
    )


def test_a_bot_is_not_scored_and_stops_nobody():
    scores = scores_of(cut(two_voices(4), sides=("agent", "bot")))
    assert [set(score.sides) for score in scores] == [{"agent"}] * 4


# Two publishers


def mono(sound, side, **keywords):
    return cut(sound[:1] if side == "agent" else sound[1:], sides=(side,), **keywords)


def test_two_mono_publishers_score_as_one_with_two_channels():
    sound = two_voices(10)
    pairs = zip(mono(sound, "agent"), mono(sound, "customer"), strict=True)
    assert_same(scores_of([chunk for pair in pairs for chunk in pair], batch=2), scores_of(cut(sound)))


def test_turns_of_a_call_of_one_side_are_unknown_and_the_rest_comes_at_once():
    bank, scores = Bank(), []
    for chunk in mono(two_voices(5), "agent"):
        scores += bank.push([chunk])
        # 0.3 s until the labels are final, 0.2 s a chunk.
        assert len(scores) >= math.floor(chunk.offset_seconds + 0.2 - 0.5)
    assert set(scores[0].sides) == {"agent"}
    assert all(score.sides["agent"][name] is None for score in scores for name in turns.METRICS)
    assert scores[2].sides["agent"]["volume.level_dbov"] is not None


def test_a_side_that_falls_silent_on_the_wire_is_waited_for_two_seconds():
    sound, bank, scores = two_voices(12), Bank(), []
    customer = mono(sound[:, : 4 * 8000], "customer")
    for at, chunk in enumerate(mono(sound, "agent")):
        scores += bank.push([chunk, *customer[at : at + 1]])
        ahead = chunk.offset_seconds + 0.2 - 0.3
        assert len(scores) >= math.floor(min(ahead, max(4, ahead - 2)) - 0.001)
    late = [score for score in scores if score.at_seconds > 5]
    assert late
    for score in late:
        assert set(score.sides["customer"].values()) == {None}
        assert score.sides["agent"]["turns.dead_air_seconds"] is None
        assert score.sides["agent"]["speech.active"] is not None
