"""Records that cannot be used, each with the reason that must be told of it; made with a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

Headers = list[tuple[str, bytes]]

NUMBER = "test-number"
"""Header by which a reject is found again; what is set aside keeps the headers it came with."""
BIG_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True)
class Poison:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str


def good_chat(number: int, conversations: int = 60) -> dict[str, Any]:
    return {
        "message_id": f"good-{number}",
        "conversation_id": f"c-{number % conversations}",
        "platform": "test",
        "sender": {"id": f"a-{number % conversations}", "role": "agent", "team": "refunds"},
        "text": f"好的，第 {number} 号订单已经查到了",
    }


def bad_chat(count: int, seed: int, big: int = 5) -> list[Poison]:
    """`count` records for `chat.messages`, `big` of them of 5 MB."""
    chance = random.Random(seed)
    made = [_chat(chance, name) for name in _mixed(chance, count - big, list(CHAT_KINDS))]
    made += [("size", orjson.dumps({**good_chat(n), "text": "长" * (BIG_BYTES // 3)}), []) for n in range(big)]
    chance.shuffle(made)
    keys = [
        # aiokafka sends nothing that has neither.
        None if value is not None and chance.random() < 0.1 else f"c-{chance.randrange(60)}".encode()
        for _, value, _ in made
    ]
    return [
        Poison("chat.messages", key, value, [*headers, (NUMBER, b"%d" % number)], reason)
        for number, (key, (reason, value, headers)) in enumerate(zip(keys, made, strict=True))
    ]


def bad_audio(count: int, seed: int, big: int = 5) -> list[Poison]:
    """`count` records for `audio.frames`, `big` of them of 5 MB."""
    chance = random.Random(seed)
    made = [AUDIO_KINDS[name](chance) for name in _mixed(chance, count - big, list(AUDIO_KINDS))]
    made += [("audio", b"k-1", chance.randbytes(BIG_BYTES), _audio_headers(chance)) for _ in range(big)]
    chance.shuffle(made)
    return [
        Poison("audio.frames", key, value, [*headers, (NUMBER, b"%d" % number)], reason)
        for number, (reason, key, value, headers) in enumerate(made)
    ]


def _mixed(chance: random.Random, count: int, kinds: list[str]) -> list[str]:
    return [kinds[number % len(kinds)] for number in range(count)]


def _chat(chance: random.Random, kind: str) -> tuple[str, bytes | None, Headers]:
    return CHAT_KINDS[kind](chance)


def _with(chance: random.Random, **wrong: Any) -> bytes:
    return orjson.dumps({**good_chat(chance.randrange(1000)), **wrong})


def _wrong_type(chance: random.Random) -> bytes:
    nothing: tuple[Any, ...] = ([1], {"a": 1}, True, 3.5, "", -1)
    wrong: dict[str, tuple[Any, ...]] = {
        **dict.fromkeys(("message_id", "conversation_id", "platform", "sender", "customer", "delivery"), nothing),
        "text": ([1], {"a": 1}, True, 3.5),
        "sent_at": ([1], {"a": 1}, "", "soon", "2026-11-21T10:00:00"),
    }
    name = chance.choice(list(wrong))
    return _with(chance, **{name: chance.choice(wrong[name])})


def _missing(chance: random.Random) -> bytes:
    body = good_chat(chance.randrange(1000))
    del body[chance.choice(["conversation_id", "sender", "text"])]
    return orjson.dumps(body)


def _not_json(chance: random.Random) -> bytes:
    whole = _with(chance)
    return chance.choice(
        [
            whole[: chance.randrange(1, len(whole) - 1)].decode("utf-8", "ignore").encode(),
            b"message=" + whole,
            whole.replace(b'"text"', b"text"),
            b'{"text": NaN}',
            b'{"sent_at": 1e999}',
            b"",
        ]
    )


def _bad_utf8(chance: random.Random) -> bytes:
    whole = _with(chance)
    at = chance.randrange(whole.index(b'"text":"') + 8, len(whole) - 2)
    return whole[:at] + chance.choice([b"\xff", b"\xc3\x28", b"\xf0\x28\x8c\xbc", b"\xed\xa0\x80"]) + whole[at:]


def _not_event(chance: random.Random) -> bytes:
    event: dict[str, Any] = {"specversion": "1.0", "id": "1", "type": "chat.message", "source": "/test"}
    wrong: dict[str, Any] = chance.choice(
        [{"specversion": 7}, {"id": None}, {"time": "soon"}, {"data_base64": 5}, {"type": []}]
    )
    return orjson.dumps({**event, **wrong})


STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]

CHAT_KINDS: dict[str, Callable[[random.Random], tuple[str, bytes | None, Headers]]] = {
    "null": lambda chance: ("null", None, []),
    "not JSON": lambda chance: ("json", _not_json(chance), []),
    "bad UTF-8": lambda chance: ("encoding", _bad_utf8(chance), []),
    "a lone surrogate": lambda chance: ("json", b'{"text": "\\ud83d"}', []),
    "wrong type": lambda chance: ("schema", _wrong_type(chance), []),
    "a field is missing": lambda chance: ("schema", _missing(chance), []),
    "no object": lambda chance: ("schema", chance.choice([b"[]", b"3", b'"text"', b"null", b"[[1],[2]]"]), []),
    "NUL in an id": lambda chance: ("schema", _with(chance, conversation_id="c\0-1"), []),
    "too deep": lambda chance: ("json", b"[" * (depth := chance.randrange(1100, 50_000)) + b"]" * depth, []),
    "deep": lambda chance: ("schema", b'{"text":' * (depth := chance.randrange(100, 900)) + b"1" + b"}" * depth, []),
    "random bytes": lambda chance: ("encoding", b"\xff" + chance.randbytes(chance.randrange(1, 5000)), []),
    "no CloudEvent": lambda chance: ("cloudevent", _not_event(chance), STRUCTURED),
}


def _audio_headers(chance: random.Random, **other: bytes | None) -> Headers:
    headers: dict[str, bytes | None] = {
        "content-type": b"audio/pcm;encoding=s16le;rate=8000;channels=2",
        "seq": b"%d" % chance.randrange(1000),
        "offset_ms": b"%d" % chance.randrange(100_000),
        "sides": b"agent,customer",
    }
    headers.update({name.replace("content_type", "content-type"): value for name, value in other.items()})
    return [(name, value) for name, value in headers.items() if value is not None]


def _frame(
    chance: random.Random, reason: str, **other: bytes | None
) -> tuple[str, bytes | None, bytes | None, Headers]:
    return reason, f"k-{chance.randrange(60)}".encode(), chance.randbytes(3200), _audio_headers(chance, **other)


def _typed(chance: random.Random, *types: bytes) -> tuple[str, bytes | None, bytes | None, Headers]:
    return _frame(chance, "audio", content_type=chance.choice(types))


AUDIO_KINDS: dict[str, Callable[[random.Random], tuple[str, bytes | None, bytes | None, Headers]]] = {
    "no key": lambda chance: ("key", None, b"\0" * 3200, _audio_headers(chance)),
    "key is no text": lambda chance: ("encoding", b"\xff\xfe", b"\0" * 3200, _audio_headers(chance)),
    "null": lambda chance: ("empty", b"k-1", None, _audio_headers(chance)),
    "empty": lambda chance: ("empty", b"k-1", b"", _audio_headers(chance)),
    "odd bytes": lambda chance: (
        "audio",
        b"k-1",
        chance.randbytes(4 * chance.randrange(1, 800) + chance.choice([1, 2, 3])),
        _audio_headers(chance),
    ),
    "too long": lambda chance: ("audio", b"k-1", b"\0" * 4 * 8001, _audio_headers(chance)),
    "unknown type": lambda chance: _typed(
        chance, b"audio/opus", b"text/plain", b"", b"\xff\xff", b"audio/pcm;encoding=s24le"
    ),
    "unknown rate": lambda chance: _typed(
        chance,
        b"audio/pcm;rate=44100;channels=2",
        b"audio/pcm;rate=0;channels=2",
        b"audio/pcm;rate=" + b"9" * 5000 + b";channels=2",
        b"audio/PCMU;rate=fast;channels=2",
    ),
    "channels": lambda chance: _typed(chance, b"audio/pcm;rate=8000;channels=3", b"audio/pcm;rate=8000;channels=0"),
    "no seq": lambda chance: _frame(chance, "header", seq=None),
    "bad seq": lambda chance: _frame(chance, "header", seq=chance.choice([b"-1", b"1.5", b"", b"\xff", b"9" * 400])),
    "bad offset": lambda chance: _frame(
        chance, "header", offset_ms=chance.choice([b"soon", b"1e9", b"-20", b"9" * 16])
    ),
    "sides": lambda chance: _frame(
        chance, "sides", sides=chance.choice([None, b"agent", b"agent,agent", b"agent,boss", b"a,b,c", b"\xff"])
    ),
}
