"""Conversations, scores, hits, changes and rules for tests of what is judged and asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.alert import Change, Conversation, Evidence
from alerts.config import DatabaseConfig
from alerts.policy import SHIPPED_RULES
from alerts.rules import RuleSet, parse_rules
from alerts.store.database import open_engine
from alerts.store.schema import upgrade
from detectors.values import Hit, Score

START = 1_700_000_000.0

CALL = Conversation("call", "k-1", "call", agent_id="a-1", agent_name="Lin", team="refunds", language="zh")
CHAT = Conversation("openim", "c-1", "chat", agent_id="a-1", agent_name="Lin", team="refunds", language="zh")

SHIPPED = parse_rules(SHIPPED_RULES.read_text(encoding="utf-8"), "rules.toml")


def rules_of(*bodies: str) -> RuleSet:
    """Rules of TOML bodies; name and category need not be written, severity is warning where there is none."""
    text = ""
    for body in bodies:
        head = '[[rule]]\nname = { zh = "规则", en = "rule" }\n'
        head += "" if "category = " in body else 'category = "manner"\n'
        head += "" if "severity = " in body else 'severity = "warning"\n'
        text += head + body + "\n"
    return parse_rules(text, "rules.toml")


def score(at_seconds: float, agent: Mapping[str, float | None], active: float | None = 1.0, **customer: Any) -> Score:
    sides: dict[Any, Mapping[str, float | None]] = {"agent": {"speech.active": active, **agent}}
    if customer:
        sides["customer"] = customer["customer"]
    return Score("k-1", at_seconds, sides, 0.0)


def hit(phrase_id: str = "abuse.zh.001", severity: Any = "warning", span: tuple[int, int] = (0, 2)) -> Hit:
    return Hit(phrase_id, "骗子", phrase_id.split(".")[0], severity, "block", span, "exact")


def change(kind: Any = "open", at: float = START, **more: Any) -> Change:
    values: dict[str, Any] = {
        "conversation": CALL,
        "rule_id": "volume.raised",
        "severity": "warning",
        "audience": ("supervisor",),
        "evidence": Evidence(metric="volume.over_baseline_db", value=11.0, limit=10.0, unit="dB", side="agent"),
        "rule_name": {"zh": "音量升高", "en": "Raised level"},
        "category": "manner",
    }
    return Change(kind=kind, at=at, **(values | more))


@asynccontextmanager
async def database(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty database with this version's tables."""
    engine = open_engine(DatabaseConfig(url))
    try:
        await upgrade(engine)
        yield engine
    finally:
        await engine.dispose()
