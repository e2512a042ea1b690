from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from detectors import turns
from detectors.bank import Bank
from detectors.metrics import BY_NAME, CATALOGUE
from detectors.rows import SIDE_METRICS
from detectors.values import Chunk
from tests.builders_audio import (
    AGENT,
    BOTH,
    assert_same,
    batches,
    call,
    column,
    cut,
    scores_of,
    side_by_side,
    silence,
    tone,
    voice,
)

METRICS = SIDE_METRICS + turns.METRICS


def two_voices(seconds, rate=8000, seed=1):
    """Two made-up people who take turns of 3 s and overlap by 1 s."""
    agent, customer = voice(seconds, 180, 4.5, rate=rate, seed=seed), voice(seconds, 110, 3.5, rate=rate, seed=seed + 1)
    second = np.arange(len(agent)) // rate
    agent[second % 6 >= 3] *= 0.001
    customer[(second % 6 < 2) | (second % 6 == 5)] *= 0.001
    return side_by_side(agent, customer)


@pytest.fixture(scope="module")
def real_call():
    return call("agent_interrupts_caller")[0]


# Cut-invariance


@pytest.mark.parametrize("piece", [160, 777, 8000])
def test_scores_do_not_depend_on_how_the_call_is_cut(real_call, piece):
    sound = real_call[:, : 20 * 8000]
    assert_same(scores_of(cut(sound, piece=piece)), scores_of(cut(sound, piece=1600)))


@pytest.mark.parametrize(("rate", "piece"), [(16000, 777), (48000, 960)])
def test_scores_do_not_depend_on_the_cut_at_higher_rates(rate, piece):
    sound = two_voices(8, rate)
    assert_same(scores_of(cut(sound, rate, piece)), scores_of(cut(sound, rate, rate)))


def test_scores_do_not_depend_on_how_many_chunks_come_at_once(real_call):
    chunks = cut(real_call[:, : 30 * 8000])
    assert_same(scores_of(chunks, batch=len(chunks)), scores_of(chunks))


def test_lost_audio_is_told_of_its_own_second_however_many_come_at_once(real_call):
    chunks = [chunk for chunk in cut(real_call[:, : 20 * 8000]) if not 40 <= chunk.seq < 45]
    for batch in (1, 17, len(chunks)):
        lost = {score.at_seconds: score.lost_seconds for score in scores_of(chunks, batch=batch)}
        assert [lost[second] for second in (8, 9, 20)] == pytest.approx([0, 1, 1])


# Row independence


def test_calls_in_one_batch_score_as_each_alone(real_call):
    calls = {
        "real": cut(real_call[:, : 12 * 8000], conversation_id="real"),
        "late": cut(real_call[:, 40 * 8000 : 52 * 8000], piece=800, conversation_id="late", start_seconds=40.0),
        "high": cut(two_voices(9, 16000), 16000, conversation_id="high"),
        "mono": cut(two_voices(12)[:1], conversation_id="mono", sides=AGENT),
        "quiet": cut(side_by_side(silence(12), silence(12, seed=3)), piece=4000, conversation_id="quiet"),
    }
    bank, together = Bank(capacity=2), []
    for at in range(max(map(len, calls.values()))):
        together += bank.push([chunk for chunks in calls.values() for chunk in chunks[at : at + 1]])
    for name in calls:
        together += bank.finish(name)
    for name, chunks in calls.items():
        assert_same([score for score in together if score.conversation_id == name], scores_of(chunks))


def test_a_row_that_is_freed_leaves_nothing_to_the_next_call(real_call):
    bank = Bank(capacity=2)
    scores_of(cut(real_call[:, : 20 * 8000], conversation_id="before"), bank)
    bank.forget("before")
    assert "before" not in bank
    assert list(bank.conversations()) == []
    sound = two_voices(8)
    assert_same(scores_of(cut(sound), bank), scores_of(cut(sound)))


# Rebuilt


def test_another_bank_goes_on_from_slow_fields_and_the_last_30_s(real_call):
    chunks = cut(real_call)
    first, scores, saved = Bank(), [], ""
    for chunk in chunks:
        scores += first.push([chunk])
        if scores and scores[-1].at_seconds == 65:
            saved = json.dumps(first.slow_fields("c-1"))
    scores += first.finish("c-1")

    # The score row was written at 65 s, the worker died at 70 s: its successor reads from 40 s.
    second = Bank()
    second.restore("c-1", json.loads(saved))
    again = scores_of([chunk for chunk in chunks if chunk.offset_seconds >= 40], second)

    def after(some, seconds):
        return [score for score in some if score.at_seconds > seconds]

    assert_same(after(again, 70), after(scores, 70))


def test_a_restored_call_keeps_its_baselines_when_nothing_could_be_read_back():
    chunks = cut(two_voices(40))
    first = Bank()
    for chunk in chunks:
        first.push([chunk])
    kept = first.baselines("c-1")
    assert set(kept["agent"]) == {"volume.level_3s_dbov", "speech_rate.spm", "intonation.f0_hz"}

    second = Bank()
    second.restore("c-1", first.slow_fields("c-1"))
    second.push(cut(side_by_side(silence(1.5), silence(1.5)), start_seconds=300.0, first_seq=1500))
    for metric, (value, provisional) in kept["agent"].items():
        assert second.baselines("c-1")["agent"][metric] == (pytest.approx(value, abs=1e-9), provisional)


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


# Bounded


def footprint(thing, seen):
    """Bytes of everything reachable from `thing`."""
    if id(thing) in seen or isinstance(thing, type | type(sys)):
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, dict):
        size += sum(footprint(part, seen) for pair in thing.items() for part in pair)
    elif isinstance(thing, list | tuple | set):
        size += sum(footprint(part, seen) for part in thing)
    for name in [*getattr(thing, "__slots__", ()), *getattr(thing, "__dict__", ())]:
        size += footprint(getattr(thing, name, None), seen)
    return size


def test_state_after_an_hour_is_no_larger_than_after_a_minute():
    bank, minute = Bank(2), two_voices(60)
    bank.push(cut(minute, piece=8000))
    after_a_minute = footprint(bank, set())
    # Hold and alerts come and go all the time; three more minutes of sound, then the rest of the hour in jumps.
    for n in range(1, 4):
        bank.hold("c-1", n * 60 + 1.0, True)
        bank.hold("c-1", n * 60 + 5.0, False)
        bank.over_limit("c-1", "agent", "volume.level_3s_dbov", n % 2 == 0)
        bank.push(cut(minute, piece=8000, start_seconds=n * 60.0, first_seq=n * 60))
    for n in range(1, 6):
        bank.hold("c-1", n * 600.0, n % 2 == 0)
        bank.push(cut(minute[:, :8000], start_seconds=n * 600.0, first_seq=235 + 5 * n))
    assert bank.slow_fields("c-1")["agent"]["seconds"] == 3000
    # A few Python numbers and hold times more; anything kept per second would be 100 times that.
    assert footprint(bank, set()) < after_a_minute + 4000


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


# Ends


def test_finish_gives_the_last_whole_second_and_then_nothing():
    bank = Bank()
    chunks = cut(two_voices(5)[:, : int(4.1 * 8000)])
    early = [score for chunk in chunks for score in bank.push([chunk])]
    assert [score.at_seconds for score in early] == [1.0, 2.0, 3.0]
    assert [score.at_seconds for score in bank.finish("c-1")] == [4.0]
    assert bank.finish("c-1") == []
    assert bank.push(cut(two_voices(2), start_seconds=4.1, first_seq=21)) == []
    assert bank.finish("never heard of") == []


# Named


def test_every_metric_is_in_the_catalogue_and_every_audio_metric_of_the_catalogue_comes():
    score = scores_of(cut(two_voices(2)))[0]
    assert set(score.sides["agent"]) == set(METRICS) == set(score.sides["customer"])
    for name in METRICS:
        assert BY_NAME[name].unit
        assert BY_NAME[name].source
    # Lag is the worker's: it has the broker's clock. Words come from a transcript.
    elsewhere = {"signal.lag_ms", "speech_rate.from_words_spm"}
    assert {metric.name for metric in CATALOGUE if metric.from_ == "audio"} - elsewhere == set(METRICS)
