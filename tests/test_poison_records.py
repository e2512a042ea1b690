from __future__ import annotations

import random
from collections import Counter

import orjson

from stream.audio_records import parse_audio
from stream.records import (
    BadRecord,
    parse_call_event,
    parse_chat,
    parse_turn,
)
from tests.builders_poison import AUDIO_KINDS, CHAT_KINDS, good_chat


def test_whatever_comes_is_a_record_or_a_bad_record() -> None:
    chance = random.Random(31)
    parsers = (parse_chat, parse_turn, parse_call_event)
    made = [CHAT_KINDS[kind](chance)[1:] for kind in CHAT_KINDS for _ in range(50)]
    made += [(chance.randbytes(chance.randrange(60)), []) for _ in range(2000)]
    whole = orjson.dumps(
        {**good_chat(1), "matched": [{"phrase": "x", "deep": [[]]}], "sent_at": "2026-11-21T10:00:00Z"}
    )
    for _ in range(6000):
        bent = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            bent[chance.randrange(len(bent))] = chance.choice(b'"{}[]0e\\u9-,:\x00\xff')
        made.append((bytes(bent), chance.choice([[], [("content-type", b"application/cloudevents+json")]])))
    outcomes: Counter[str] = Counter()
    for value, headers in made:
        for parse in parsers:
            try:
                parse(value, headers)
                outcomes["good"] += 1
            except BadRecord as error:
                outcomes[error.reason] += 1
    assert outcomes.keys() >= {"good", "null", "json", "encoding", "schema", "cloudevent"}


def test_whatever_sound_comes_is_a_chunk_or_a_bad_record() -> None:
    chance = random.Random(32)
    outcomes: Counter[str] = Counter()
    for number in range(6000):
        reason, key, value, headers = AUDIO_KINDS[chance.choice(list(AUDIO_KINDS))](chance)
        if number % 2:
            at = chance.randrange(len(headers)) if headers else 0
            headers[at : at + 1] = [(name, chance.randbytes(chance.randrange(9))) for name, _ in headers[at : at + 1]]
        try:
            parse_audio(key, value, headers)
            outcomes["good"] += 1
        except BadRecord as error:
            outcomes[error.reason] += 1
            assert number % 2 or error.reason == reason
    assert outcomes.keys() >= {"key", "encoding", "empty", "audio", "header", "sides"}
