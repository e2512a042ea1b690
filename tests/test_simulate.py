from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

import stream
from detectors.decode import RATE
from detectors.values import Chunk
from detectors.words_rate import rate_from_words
from stream.audio_records import parse_audio
from stream.kafka_client import connection
from stream.records import Record, parse_call_event, parse_chat, parse_turn
from stream.scenes import CallEvent, ChatLine, Event, Speech, Turn, plan, roster, scenes
from stream.settings import Settings
from stream.simulate import Centre, simulate
from stream.topics import topic_name
from stream.voices import clips, mulaw_payload

VOICES = Path(stream.__file__).parent / "voices"
EVERYBODY = 12


def first(seconds: float, seed: int = 1, agents: int = 10) -> list[Event]:
    return list(takewhile(lambda event: event.at_seconds < seconds, plan(seed, agents)))


def heard(records: list[Record]) -> dict[str, list[Chunk]]:
    calls: dict[str, list[Chunk]] = defaultdict(list)
    for record in records:
        if record.topic == "audio.frames":
            chunk = parse_audio(record.key, record.value, record.headers)
            calls[chunk.conversation_id].append(chunk)
    return calls


def level_dbov(samples: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


# Voices


def test_the_clips_are_at_most_2_mb_and_each_is_a_mono_8_khz_mu_law_wav() -> None:
    files = sorted(VOICES.glob("*.wav"))
    assert sum(path.stat().st_size for path in VOICES.iterdir() if path.is_file()) <= 2_000_000
    book = json.loads((VOICES / "voices.json").read_text(encoding="utf-8"))
    assert [path.name for path in files] == sorted(entry["file"] for entry in book["clips"])
    for path in files:
        data = path.read_bytes()
        assert (data[:4], data[8:16], data[20:22], data[22:24]) == (b"RIFF", b"WAVEfmt ", b"\x07\0", b"\x01\0"), path
        assert int.from_bytes(data[24:28], "little") == 8000


def test_a_clip_is_as_long_as_it_says_and_at_the_level_it_says() -> None:
    for clip in clips().values():
        assert abs(len(clip.samples) / RATE - clip.seconds) < 0.002
        frames = clip.samples[: len(clip.samples) // 160 * 160].reshape(-1, 160)
        levels = 10 * np.log10((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-12)
        # -26 dBov is P.56's, which counts 0.2 s after each sound as active: a clip of 1 s has up to 1.8 dB more by the
        # plain RMS of its frames within 25 dB of the loudest.
        active = frames[levels > levels.max() - 25]
        assert abs(level_dbov(active) + 26) < 2.0, (clip.voice, clip.sentence, clip.manner)


def test_fast_clips_are_beyond_the_limit_and_normal_ones_within() -> None:
    book = json.loads((VOICES / "voices.json").read_text(encoding="utf-8"))
    limits = {"zh": 280, "en": 180}  # characters or words a minute: the default rules' limits
    for entry in book["clips"]:
        rate = entry["units"] * 60 / entry["seconds"]
        assert (rate > 1.2 * limits[entry["language"]]) == (entry["manner"] == "fast"), entry["file"]
        if entry["manner"] != "fast":
            assert rate < limits[entry["language"]], entry["file"]


def test_a_file_that_is_no_mu_law_wav_is_named() -> None:
    data = bytearray(next(VOICES.glob("*.wav")).read_bytes())
    with pytest.raises(ValueError, match=r"a\.wav is no WAV file"):
        mulaw_payload(b"OggS", "a.wav")
    data[20] = 1  # says it is PCM
    with pytest.raises(ValueError, match=r"\(1, 1, 8000\) instead of \(7, 1, 8000\)"):
        mulaw_payload(bytes(data), "a.wav")


# The plan


def test_the_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert first(600) == first(600)
    assert first(600) != first(600, seed=2)


def test_another_agent_changes_nothing_for_the_others() -> None:
    fewer = first(300, agents=6)
    mine = {person["id"] for person in roster(6)}
    assert fewer == [event for event in first(300, agents=7) if event.conversation_id[:4] in mine]


@pytest.mark.parametrize("seed", range(5))
def test_within_the_first_minute_there_is_something_to_see(seed: int) -> None:
    events = first(60, seed)
    chats = [event for event in events if isinstance(event, ChatLine)]
    asked = [(e.at_seconds, e.data["text"]) for e in chats if e.data["delivery"] == "pending"]
    # Blocked within 10 s, then written with a separator, then in two messages.
    assert any("傻瓜" in text and at < 10 for at, text in asked)
    assert any(text == "傻。瓜" for _, text in asked)
    assert [text for _, text in asked if text in ("那你就是个骗", "子")] == ["那你就是个骗", "子"]
    # A raised level: at least 8 s of the agent's speech before it (its baseline), at least 4 s of it by 45 s.
    speech = [event for event in events if isinstance(event, Speech) and event.side == "agent"]
    loud = [e for e in speech if e.gain_db > 0 and e.at_seconds + e.clip.seconds < 45]
    assert sum(e.clip.seconds for e in loud) > 4
    before = [e for e in speech if e.conversation_id == loud[0].conversation_id and e.at_seconds < loud[0].at_seconds]
    assert sum(e.clip.seconds for e in before) > 8
    # Dead air of 12 s in a call, and somebody who hurries.
    talk: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        if isinstance(event, Speech):
            talk[event.conversation_id].append((event.at_seconds, event.at_seconds + event.clip.seconds))
    silences = [b[0] - a[1] for turns in talk.values() for a, b in zip(turns, turns[1:], strict=False)]
    assert any(12 <= silence < 14 for silence in silences)
    assert sum(e.clip.manner == "fast" for e in speech) >= 4


def test_in_half_an_hour_everything_happens_that_the_demo_promises() -> None:
    events = first(1800, agents=EVERYBODY)
    kinds = Counter(event.type for event in events if isinstance(event, CallEvent))
    assert 100 < kinds["call.ended"] <= kinds["call.started"] <= kinds["call.ended"] + EVERYBODY
    assert kinds["call.updated"] >= 2  # hold and unhold
    said = {(e.clip.language, e.side, e.clip.manner) for e in events if isinstance(e, Speech)}
    assert {("zh", "agent", "fast"), ("en", "agent", "fast"), ("zh", "agent", "high"), ("en", "agent", "high")} <= said
    words = {event.data["text"] for event in events if isinstance(event, Turn)}
    assert any("保证退款" in text for text in words) and any("tell me your password" in text for text in words)
    chats = {event.data["text"]: event.data for event in events if isinstance(event, ChatLine)}
    assert {line.get("agent", line.get("customer")) for chat in scenes()["chat"] for line in chat["lines"]} <= set(
        chats
    )
    assert {chats[text]["delivery"] for text in chats} == {"pending", "delivered", "intercepted"}
    teams = {event.data["team"] for event in events if isinstance(event, CallEvent) and "team" in event.data}
    assert teams == {"refunds", "orders", "english"}


def test_nobody_is_so_loud_that_it_clips() -> None:
    speech = [event for event in first(1800, agents=EVERYBODY) if isinstance(event, Speech)]
    loudest = max(float(np.abs(e.clip.samples).max()) * 10 ** (e.gain_db / 20) for e in speech)
    assert 0.5 < loudest < 32124 / 32768  # µ-law's full scale


def test_time_never_runs_back_and_turns_lie_where_the_speech_is() -> None:
    events = first(900, agents=EVERYBODY)
    assert all(a.at_seconds <= b.at_seconds for a, b in zip(events, events[1:], strict=False))
    began = {e.conversation_id: e.at_seconds for e in events if isinstance(e, CallEvent) and e.type == "call.started"}
    spoken = {
        (e.conversation_id, round((e.at_seconds - began[e.conversation_id]) * 1000), e.clip.text)
        for e in events
        if isinstance(e, Speech)
    }
    turns = [e.data for e in events if isinstance(e, Turn)]
    assert len(turns) > 500
    for turn in turns:
        # Sentences that follow each other make one turn, which begins with the first of them.
        assert any((turn["conversation_id"], turn["start_ms"], turn["text"][:n]) in spoken for n in range(200)), turn
    words = "".join(text for _, _, text in spoken)
    assert len("".join(turn["text"] for turn in turns).replace(" ", "")) >= 0.98 * len(words.replace(" ", ""))


def test_who_hurries_is_over_the_limit_in_words_in_turns_long_enough_to_count() -> None:
    rates: dict[str, list[float]] = defaultdict(list)
    hurried = {e.clip.text for e in first(900) if isinstance(e, Speech) and e.clip.manner == "fast"}
    for event in first(900):
        if isinstance(event, Turn) and event.data["end_ms"] - event.data["start_ms"] >= 3000:
            turn = event.data
            rate = rate_from_words(turn["text"], turn["start_ms"] / 1000, turn["end_ms"] / 1000)
            assert rate is not None
            if any(turn["text"].startswith(text) for text in hurried):
                rates[turn["language"]].append(rate)
    assert sum(rate > 280 for rate in rates["zh"]) >= 3 and sum(rate > 180 for rate in rates["en"]) >= 3


def test_interruptions_begin_well_into_the_customers_sentence_and_overlap_long_enough() -> None:
    per_call: dict[str, list[Speech]] = defaultdict(list)
    for event in first(900, agents=EVERYBODY):
        if isinstance(event, Speech):
            per_call[event.conversation_id].append(event)
    counted = 0
    for speech in per_call.values():
        for one, other in zip(speech, speech[1:], strict=False):
            overlap = one.at_seconds + one.clip.seconds - other.at_seconds
            if overlap > 0:
                # The definition of an interruption: 1.0 s into the other's talk, 0.5 s of overlap.
                assert (one.side, other.side) == ("customer", "agent")
                assert other.at_seconds - one.at_seconds >= 1.0 and overlap >= 0.5
                counted += 1
    assert counted >= 8


def test_more_agents_than_scenes_toml_has_are_others_who_do_the_same() -> None:
    people = roster(30)
    assert len({person["id"] for person in people}) == len({person["name"] for person in people}) == 30
    assert len({event.conversation_id for event in first(90, agents=30)}) > 30


# The records


def run(seconds: float, agents: int = 10, seed: int = 1) -> list[Record]:
    centre = Centre(plan(seed, agents), seed)
    now = datetime(2026, 1, 18, 10, 0, tzinfo=UTC)
    return [record for _ in range(round(seconds * 5)) for record in centre.step(now)] + centre.hang_up()


def test_every_record_can_be_read_and_every_call_that_began_ends() -> None:
    records = run(400)
    types: dict[str, list[str]] = defaultdict(list)
    for record in records:
        match record.topic:
            case "call.events":
                event = parse_call_event(record.value, record.headers)
                types[event.conversation_id].append(event.type)
            case "transcript.turns":
                parse_turn(record.value, record.headers)
            case "chat.messages":
                assert parse_chat(record.value, record.headers).sent_at == datetime(2026, 1, 18, 10, 0, tzinfo=UTC)
    assert all((kinds[0], kinds[-1]) == ("call.started", "call.ended") for kinds in types.values())
    for name, chunks in heard(records).items():
        assert [chunk.seq for chunk in chunks] == list(range(len(chunks))), name
        assert [round(chunk.offset_seconds, 1) for chunk in chunks] == [round(n * 0.2, 1) for n in range(len(chunks))]
        assert {(chunk.samples.shape, chunk.sides) for chunk in chunks} == {((2, 1600), ("agent", "customer"))}
    encodings = {dict(r.headers)["content-type"] for r in records if r.topic == "audio.frames"}
    assert encodings == {b"audio/pcm;encoding=s16le;rate=8000;channels=2", b"audio/PCMU;rate=8000;channels=2"}


@pytest.mark.parametrize("encoding", ["s16le", "mulaw"])
def test_each_sentence_is_on_its_own_track_at_its_time_and_level_and_the_rest_is_line_noise(encoding: str) -> None:
    events = first(70)
    started = [e for e in events if isinstance(e, CallEvent) and e.type == "call.started"]
    wanted = {"s16le": "zh", "mulaw": "en"}[encoding]
    name, began = next((e.conversation_id, e.at_seconds) for e in started if e.data["language"] == wanted)
    chunks = heard(run(60))[name]
    track = np.concatenate([chunk.samples for chunk in chunks], axis=1)
    silent = np.ones(track.shape, bool)
    speeches = [e for e in events if isinstance(e, Speech) and e.conversation_id == name]
    for speech in speeches:
        side = ("agent", "customer").index(speech.side)
        start = round((speech.at_seconds - began) * RATE)
        end = start + len(speech.clip.samples)
        silent[side, start:end] = False
        if end > track.shape[1]:
            continue
        # Line noise lies 28 dB and more below, µ-law's own noise 37 dB: within 0.1 dB of the clip with its gain.
        expected = level_dbov(speech.clip.samples) + speech.gain_db
        assert abs(level_dbov(track[side, start:end]) - expected) < 0.1
        part = speech.clip.samples[:8000] * 10 ** (speech.gain_db / 20)
        assert np.corrcoef(track[side, start : start + len(part)], part)[0, 1] > 0.99
    assert len(speeches) > 10
    for side in (0, 1):
        # 0.5 dB: µ-law's steps near zero are as large as this noise.
        assert abs(level_dbov(track[side][silent[side]]) + 60) < 0.5


def test_an_hour_of_everybody_leaves_nothing_behind() -> None:
    centre = Centre(plan(1, EVERYBODY), 1)
    now = datetime(2026, 1, 18, tzinfo=UTC)
    for _ in range(600 * 5):
        centre.step(now)
    left = centre.hang_up()
    assert len(left) <= EVERYBODY and centre.hang_up() == []


async def test_it_publishes_in_real_time_until_it_is_stopped_and_hangs_up(embedded_settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_later(4.0, stop.set)
    began = loop.time()
    await simulate(embedded_settings, stop=stop, seed=3, speed=2.0, agents=5)
    assert 4.0 <= loop.time() - began < 5.0
    consumer = AIOKafkaConsumer(
        *(topic_name(embedded_settings, topic) for topic in ("audio.frames", "call.events", "chat.messages")),
        auto_offset_reset="earliest",
        **connection(embedded_settings),
    )
    await consumer.start()
    try:
        found: list[ConsumerRecord] = []
        while fresh := await consumer.getmany(timeout_ms=1000):
            found += [record for records in fresh.values() for record in records]
    finally:
        await consumer.stop()
    by_topic = defaultdict(list)
    for record in found:
        by_topic[record.topic].append(record)
    events = [parse_call_event(r.value, r.headers) for r in by_topic[topic_name(embedded_settings, "call.events")]]
    started = {event.conversation_id for event in events if event.type == "call.started"}
    assert started and started == {event.conversation_id for event in events if event.type == "call.ended"}
    audio = [parse_audio(r.key, r.value, r.headers) for r in by_topic[topic_name(embedded_settings, "audio.frames")]]
    longest = max(chunk.offset_seconds for chunk in audio)
    # 4 s at double speed are 8 s of the centre's time; its first call began at 0.5 s.
    assert 6.5 < longest < 7.6
    assert by_topic[topic_name(embedded_settings, "chat.messages")]


def test_a_plan_has_no_end() -> None:
    assert len(list(islice(plan(1, 1), 5000))) == 5000
