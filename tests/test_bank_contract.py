from __future__ import annotations

import json
import sys

import pytest

from detectors import turns
from detectors.bank import Bank
from detectors.metrics import BY_NAME, CATALOGUE
from detectors.rows import SIDE_METRICS
from tests.builders_audio import (
    AGENT,
    assert_same,
    call,
    cut,
    scores_of,
    side_by_side,
    silence,
    two_voices,
)

METRICS = SIDE_METRICS + turns.METRICS


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
