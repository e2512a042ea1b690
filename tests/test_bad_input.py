"""Each kind of bad input between good records, on real workers: kept with its reason, nothing else is disturbed."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from alerts.bodies import ScoreBody, VerdictBody
from alerts.store.tables import conversations, messages, violations
from detectors.metrics import CATALOGUE
from stream.records import MAX_VALUE_BYTES
from stream.settings import Settings
from stream.topics import rejected_name
from tests.builders_audio import side_by_side, voice
from tests.builders_records import golden
from tests.workers import Listener, Worker, producer, rows, workers

Send = Callable[..., Awaitable[Any]]
SECONDS = 40.0

MESSAGE = golden("chat.messages")["value"]
TURN = golden("transcript.turns")["value"]
EVENT = golden("call.events")["value"]


@dataclass(frozen=True)
class Bad:
    noun: str
    reason: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    key: str | None = "k-1"


@dataclass(frozen=True)
class Sent:
    bad: Bad
    topic: str
    partition: int
    offset: int


@pytest.fixture(params=["kafka with PostgreSQL", "embedded with SQLite"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A broker and a database, each kind in one of the two."""
    if request.param.startswith("kafka"):
        settings, url = request.getfixturevalue("kafka_settings"), request.getfixturevalue("postgres_url")
    else:
        settings, url = request.getfixturevalue("embedded_settings"), f"sqlite:///{tmp_path / 'bad.sqlite3'}"
    assert isinstance(settings, Settings)
    return settings.model_copy(update={"database": url})


def not_json(noun: str, body: dict[str, Any], house: Settings) -> list[Bad]:
    """What is bad on every topic of JSON; `body` is a good record of it."""
    bad = [
        Bad(noun, "json", b"hello"),
        Bad(noun, "json", json.dumps(body).encode()[:-1]),
        Bad(noun, "json", json.dumps({**body, "note": "\ud800"}).encode()),
        Bad(noun, "json", b"[" * 100_000),
        Bad(noun, "encoding", orjson.dumps({**body, "note": "x"}).replace(b'"x"', b'"\xff"')),
        Bad(noun, "encoding", orjson.dumps({**body, "note": "x"}).replace(b'"x"', b'"\xed\xa0\x80"')),
        Bad(noun, "null", None),
        Bad(noun, "schema", b"[]"),
        Bad(noun, "schema", orjson.dumps({name: v for name, v in body.items() if name != "conversation_id"})),
        Bad(noun, "schema", orjson.dumps({**body, "conversation_id": "k\0"})),
        Bad(noun, "cloudevent", orjson.dumps(body), (("content-type", b"application/cloudevents+json"),)),
    ]
    if not house.kafka_embedded:  # the mock keeps 5 MiB a partition: the records before would be gone
        bad.append(Bad(noun, "size", orjson.dumps({**body, "note": "x" * 5_000_000})))
        assert len(bad[-1].value or b"") > MAX_VALUE_BYTES
    return bad


def bad_audio(house: Settings) -> list[Bad]:
    """What is bad on `audio.frames`; the headers are whole but for what each case takes away."""

    def frame(reason: str, value: bytes | None = bytes(6400), key: str | None = "k-1", **more: bytes | None) -> Bad:
        kind = b"audio/pcm;encoding=s16le;rate=8000;channels=2"
        said = {"content-type": kind, "seq": b"3", "offset_ms": b"600", "sides": b"agent,customer"}
        said |= {name.replace("_type", "-type"): value for name, value in more.items()}  # type: ignore[misc]  # None leaves it out
        headers = tuple((name, value) for name, value in said.items() if value is not None)
        return Bad("audio.frames", reason, value, headers, key)

    bad = [
        frame("audio", content_type=b"audio/opus"),
        frame("audio", content_type=b"audio/pcm;rate=44100;channels=2"),
        frame("audio", content_type=b"audio/pcm;channels=2;rate=" + b"9" * 5000),
        frame("audio", bytes(6399)),
        frame("audio", bytes(64_000)),
        frame("sides", sides=b"agent"),
        frame("sides", sides=b"agent,boss"),
        frame("sides", sides=None),
        frame("header", seq=None),
        frame("header", offset_ms=None),
        frame("header", seq=b"-1"),
        frame("audio", content_type=None),
        frame("empty", b""),
        frame("empty", None),
        frame("key", key=None),
        frame("key", key="k\0"),
    ]
    return bad if house.kafka_embedded else [*bad, frame("audio", bytes(5_000_000))]


async def send_bad(send: Send, bad: Bad) -> Sent:
    # A record without a key would go to any partition; it is to stand between the good ones.
    report = await send(bad.noun, bad.key, bad.value, list(bad.headers))
    return Sent(bad, report.topic, report.partition, report.offset)


def assert_kept(records: list[Any], sent: list[Sent], readers: Counter[str]) -> None:
    """Every bad record is in its `.rejected` once a reader, as it came, with what is wrong and where it was."""
    kept: dict[tuple[str, int, int], list[Any]] = {}
    for record in records:
        said = dict(record.headers)
        where = (said["topic"].decode(), int(said["partition"]), int(said["offset"]))
        assert record.topic == rejected_name(where[0])
        kept.setdefault(where, []).append((record, said))
    assert set(kept) == {(one.topic, one.partition, one.offset) for one in sent}
    for one in sent:
        copies = kept[one.topic, one.partition, one.offset]
        assert len(copies) == readers[one.bad.noun], one.bad
        for record, said in copies:
            assert record.key == (one.bad.key.encode() if one.bad.key is not None else None), one.bad
            assert record.value == one.bad.value, one.bad
            assert said["reason"].decode() == one.bad.reason, (one.bad.reason, said["error"], one.bad.headers)
            assert said["error"], one.bad
            assert set(one.bad.headers) <= set(said.items()), one.bad


def rejected_counts(worker: Worker) -> Counter[str]:
    """What the worker itself counts: topic -> records sent to its `.rejected`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    counts: Counter[str] = Counter()
    for line in lines:
        if line.startswith("tonewatch_rejected_records_total{"):
            counts[line.split('topic="')[1].split('"')[0]] += int(float(line.rsplit(" ", 1)[1]))
    return counts


async def assert_unharmed(settings: Settings, worker: Worker, pid: int, sent: list[Sent]) -> None:
    assert worker.is_alive and worker.pid == pid, worker.output[-4000:]
    assert await asyncio.to_thread(worker.ready)
    assert await asyncio.to_thread(rejected_counts, worker) == Counter(one.topic for one in sent)


# The chat worker ------------------------------------------------------------------------------------------


def good_messages() -> dict[str, tuple[Any, list[tuple[str, bytes]], str]]:
    """Message id -> (record, headers, the verdict's action); between them they are everything that is allowed."""
    structured = [("content-type", b"application/cloudevents+json")]
    binary = [(name, said.encode()) for name, said in golden("chat.messages")["headers"].items()]
    told: dict[str, tuple[str, str]] = {
        "nul": ("您好\0请稍等", "allow"),
        "nul in a phrase": ("\0你就是骗子\0", "block"),
        "long": ("好" * 100_001, "review"),
        "long and blocked": ("你就是骗子" + "好" * 100_001, "block"),
        "long, blocked where nobody reads": ("好" * 100_001 + "你就是骗子", "review"),
        "astral": ("😀👍🏽𠮷", "allow"),
    }
    good: dict[str, tuple[Any, list[tuple[str, bytes]], str]] = {}
    for number, (name, (said, action)) in enumerate(told.items()):
        good[name] = ({**MESSAGE, "message_id": name, "conversation_id": f"c-{number}", "text": said}, [], action)
    event = {"specversion": "1.0", "id": "1", "source": "/p", "type": "chat.message"}
    clean = {**MESSAGE, "conversation_id": "c-x", "text": "好的，马上为您处理"}
    good["structured"] = ({**event, "data": {**clean, "message_id": "structured"}}, structured, "allow")
    good["binary"] = ({**clean, "message_id": "binary"}, binary, "allow")
    good |= {f"m-{n}": ({**clean, "message_id": f"m-{n}"}, [], "allow") for n in range(40)}
    return good


def random_id(seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chr(chance.randrange(0x20000, 0x2A000)) for _ in range(256))


@pytest.mark.timeout(180)
async def test_the_chat_worker_goes_on_between_all_kinds_of_bad_input(house: Settings, tmp_path: Path) -> None:
    good = good_messages()
    bad = not_json("chat.messages", MESSAGE, house) + not_json("transcript.turns", TURN, house)
    bad.append(Bad("chat.messages", "schema", orjson.dumps({**MESSAGE, "sender": {"id": "a\0"}})))
    bad.append(Bad("transcript.turns", "schema", orjson.dumps({**TURN, "end_ms": 1})))
    if house.database.startswith("postgresql"):
        # Ids of 1 kB each that cannot be compressed: PostgreSQL's indexes take 2.7 kB in all, SQLite's any.
        ids = {name: random_id(seed) for seed, name in enumerate(("platform", "conversation_id", "message_id"))}
        bad.append(Bad("chat.messages", "database", orjson.dumps({**MESSAGE, **ids})))
    sent: list[Sent] = []
    nouns = ("chat.messages.rejected", "transcript.turns.rejected")
    async with workers(house, tmp_path, chat=1) as (worker,), producer(house) as send:
        pid = worker.pid
        async with Listener(house, "chat.verdicts") as verdicts, Listener(house, *nouns) as rejected:
            waiting = list(bad)
            for number, (name, (record, headers, _)) in enumerate(good.items()):
                # All under one key, and so on one partition: the good ones really stand behind the bad ones.
                await send("chat.messages", "k-1", record, headers)
                turn = {**TURN, "turn_id": f"t-{name}", "text": "你就是\0骗子" if number == 0 else "您好"}
                await send("transcript.turns", "k-1", turn)
                if waiting:
                    sent.append(await send_bad(send, waiting.pop(0)))
            assert not waiting, "every bad record is to stand between two good ones"
            await verdicts.until(lambda heard: len(heard.records) >= len(good), SECONDS, "a verdict for every message")
            await rejected.until(lambda heard: len(heard.records) >= len(bad), SECONDS, "every rejection")
            said = {body["message_id"]: body["action"] for body in verdicts.bodies}
            assert said == {name: action for name, (_, _, action) in good.items()}
            assert len(verdicts.records) == len(good)
            for record in verdicts.records:
                VerdictBody.model_validate_json(record.value, extra="forbid")
                told = dict(record.headers)
                assert told["content-type"] == b"application/json" and told["ce_type"] == b"chat.verdict"
            assert_kept(rejected.records, sent, Counter({"chat.messages": 1, "transcript.turns": 1}))
            await assert_unharmed(house, worker, pid, sent)
    kept = await rows(house, select(messages))
    texts = {row["message_id"]: row["text"] for row in kept if row["kind"] == "message"}
    assert set(texts) == set(good)
    assert texts["nul"] == "您好\ufffd请稍等"
    assert texts["long"] == "好" * 100_001
    assert {row["message_id"] for row in kept if row["kind"] == "turn"} == {f"t-{name}" for name in good}
    assert len(kept) == 2 * len(good)
    (violation,) = await rows(house, select(violations))
    assert violation["message"] == next(row["id"] for row in kept if row["message_id"] == "t-nul")


# The audio worker -----------------------------------------------------------------------------------------

CALL_SECONDS = 12
PIECE = 1600
"""200 ms at 8 kHz."""


@pytest.mark.timeout(180)
async def test_the_audio_worker_goes_on_between_all_kinds_of_bad_input(house: Settings, tmp_path: Path) -> None:
    sound = side_by_side(voice(CALL_SECONDS), voice(CALL_SECONDS, 220.0, level_dbov=-30.0, seed=2))
    frames = (sound.T * 32767).astype("<i2")
    bad = bad_audio(house) + not_json("call.events", EVENT, house) + not_json("transcript.turns", TURN, house)
    sent: list[Sent] = []
    nouns = ("audio.frames.rejected", "call.events.rejected", "transcript.turns.rejected")
    async with workers(house, tmp_path, audio=1) as (worker,), producer(house) as send:
        pid = worker.pid
        async with Listener(house, "qa.scores") as scores, Listener(house, *nouns) as rejected:
            await send("call.events", "k-1", {**EVENT, "type": "call.started", "hold": False, "team": "nobody's yet"})
            waiting = list(bad)
            pieces = [frames[at : at + PIECE] for at in range(0, len(frames), PIECE)]
            for seq, piece in enumerate(pieces):
                headers = {
                    "content-type": b"audio/pcm;encoding=s16le;rate=8000;channels=2",
                    "seq": b"%d" % seq,
                    "offset_ms": b"%d" % (200 * seq),
                    "sides": b"agent,customer",
                }
                await send("audio.frames", "k-1", piece.tobytes(), list(headers.items()))
                await send("transcript.turns", "k-1", {**TURN, "turn_id": f"t-{seq}"})
                await send("call.events", "k-1", {**EVENT, "hold": False})
                if seq == 10:
                    # Scored before anything bad came: what is degraded later was not from the start.
                    await scores.until(lambda heard: len(heard.records) > 0, SECONDS, "a first score")
                if waiting and seq > 10:
                    sent.append(await send_bad(send, waiting.pop(0)))
            assert not waiting, "every bad record is to stand between two good ones"
            await send("call.events", "k-1", {**EVENT, "type": "call.ended", "hold": False})
            whole = CALL_SECONDS - 1
            await scores.until(lambda heard: len(heard.records) >= whole, SECONDS, "a score for every second")
            await rejected.until(lambda heard: len(heard.records) >= len(bad), SECONDS, "every rejection")
            await assert_unharmed(house, worker, pid, sent)
            assert_kept(rejected.records, sent, Counter({"audio.frames": 1, "call.events": 1, "transcript.turns": 1}))
            told = [ScoreBody.model_validate_json(record.value, extra="forbid") for record in scores.records]
    assert {score.conversation_id for score in told} == {"k-1"}
    seconds = [score.at_ms // 1000 for score in told]
    assert seconds[:whole] == list(range(1, whole + 1)), "a second is missing or came twice"
    last = told[whole - 1]
    assert last.lost_ms == 0, "a bad record is no lost audio"
    assert (last.agent_id, last.team) == (EVENT["agent"]["id"], EVENT["team"])
    assert last.degraded and not told[0].degraded
    names = {metric.name for metric in CATALOGUE if metric.from_ == "audio"}
    assert set(last.sides["agent"]) == set(last.sides["customer"]) == names
    level = last.sides["agent"]["volume.level_dbov"]
    assert level is not None and abs(level + 24) < 2, "the level the voice was made with, ripple of its syllables"
    (call,) = await rows(house, select(conversations))
    assert (call["conversation_id"], call["agent_id"], call["team"]) == ("k-1", EVENT["agent"]["id"], EVENT["team"])
