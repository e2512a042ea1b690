"""What Tonewatch writes on Kafka, made from fixed input by the code that makes it: topic -> record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from alerts.feeds import FEEDS, FeedRunner
from alerts.intake.schema import ChatMessage
from alerts.judge import incoming_message
from alerts.moderate import moderate
from alerts.policy import Policy, compiled
from detectors.bank import Bank
from detectors.values import Chunk, Score
from stream.calls import Call
from stream.feeds import EVENT_TYPES
from stream.records import Record, json_record, parse_call_event, parse_chat, parse_turn
from stream.score_feed import score_record
from tests.builders_alerts import CALL, database

GOLDEN = Path(__file__).with_name("golden")
PARSERS = {"chat.messages": parse_chat, "transcript.turns": parse_turn, "call.events": parse_call_event}

ARRIVED = 1_795_255_200.0
DECIDED = ARRIVED + 0.0031

RULES = """
[[rule]]
id = "phrase.prohibited"
name = { zh = "违规用语", en = "Prohibited phrase" }
category = "content"
severity = "of_hit"
hits = 1
cooldown_seconds = 600
audience = ["supervisor", "agent"]
"""
PACK = """
[defaults.abuse]
severity = "critical"
action = "block"
speaker = "agent"

[[phrase]]
id = "abuse.zh.017"
phrase = "骗子"
"""


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def a_policy(version: int = 42) -> Policy:
    return compiled(version, {"rules": RULES, "packs": {"a.zh.toml": PACK}})


async def written_of_chat(message: ChatMessage, folder: Path) -> dict[str, tuple[str, Record | bytes]]:
    """Key and record of everything that one chat message leads to: its verdict, and what the feeds tell."""
    told: dict[str, tuple[str, Record | bytes]] = {}

    async def publish(topic: str, key: str, body: dict[str, Any]) -> None:
        told[topic] = (key, json_record(topic, key, EVENT_TYPES[topic], body))

    async with database(f"sqlite:///{folder / 'golden.sqlite3'}") as engine:
        incoming = incoming_message(message, source="chat.messages:0:0", arrived_at=ARRIVED)
        (verdict,) = await moderate(engine, a_policy(), [incoming], lambda: DECIDED)
        for feed in FEEDS:
            await FeedRunner(engine, feed, publish, "golden", lambda: 99, lambda: DECIDED).step()
    return {"chat.verdicts": (message.conversation_id, verdict.value), **told}


def written_of_call() -> bytes:
    """The value of `qa.scores` for a call of which everything is known."""
    bank = Bank()
    silence = np.zeros((2, 8000), np.float32)
    bank.push([Chunk("k-1", ("agent", "customer"), silence, 8000, 0, 0.0)])
    bank.set_baselines("k-1", "agent", {"volume.level_3s_dbov": -24.5})
    metrics = {"volume.level_dbov": -19.25, "speech_rate.spm": 214.0, "intonation.f0_hz": None, "signal.lag_ms": 180.0}
    score = Score("k-1", 61.0, {"agent": metrics, "customer": {**metrics, "speech_rate.spm": None}}, 0.4)
    return score_record(Call(CALL, 0, ARRIVED), score, bank.baselines("k-1"))


def value_of(record: Record | bytes) -> Any:
    return orjson.loads(record.value if isinstance(record, Record) else record)
