"""The equations of a fault run: what is in the database and on the topic against what the traffic demands."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import text

from alerts.store.database import open_engine, reading
from stream.settings import Settings
from stream.worker import database_config
from tests.messages import Traffic
from tests.workers import Listener


async def rows(settings: Settings, query: str) -> list[Any]:
    engine = open_engine(database_config(settings))
    try:
        async with reading(engine) as connection:
            return [tuple(row) for row in await connection.execute(text(query))]
    finally:
        await engine.dispose()


async def kept(settings: Settings, traffic: Traffic) -> dict[str, int]:
    """Count what is missing, there twice or wrong in the database."""
    messages = Counter(name for (name,) in await rows(settings, "SELECT message_id FROM messages"))
    logged = await rows(
        settings, "SELECT m.message_id, i.attempt FROM interceptions i JOIN messages m ON m.id = i.message"
    )
    interceptions = Counter(name for name, _ in logged)
    alerts: Counter[tuple[str, str]] = Counter(
        dict(
            (found[:2], found[2])
            for found in await rows(
                settings, "SELECT conversation_id, rule_id, count(*) FROM alerts GROUP BY conversation_id, rule_id"
            )
        )
    )
    told = await rows(settings, "SELECT kind, key, body FROM outbox")
    of_findings = Counter(key for kind, key, _ in told if kind in ("interception", "violation"))
    return {
        "rows": len(logged),
        "missing": len(traffic.ids - set(messages)) + len(set(traffic.attempts) - set(interceptions)),
        "twice": (
            _too_many(messages, traffic.ids)
            + _too_many(interceptions, set(traffic.attempts))
            + abs(len(of_findings) - len(logged))
            + _too_many(of_findings, set(of_findings))
        ),
        "alerts_missing": len(traffic.alerts - set(alerts)),
        "alerts_twice": _too_many(alerts, traffic.alerts) + await _told_twice(settings),
        "attempts_wrong": sum(attempt != traffic.attempts.get(name) for name, attempt in logged),
    }


def said(verdicts: Listener, traffic: Traffic) -> dict[str, int]:
    """Count the messages without a verdict and those whose verdicts are wrong."""
    values: dict[str, set[bytes]] = {}
    actions: dict[str, set[str]] = {}
    for record, body in zip(verdicts.records, verdicts.bodies, strict=True):
        values.setdefault(body["message_id"], set()).add(record.value)
        actions.setdefault(body["message_id"], set()).add(body["action"])
    wrong = {name for name, of_message in values.items() if len(of_message) > 1}
    for name, of_message in actions.items():
        wanted = "block" if name in traffic.attempts else "allow"
        if of_message != {wanted}:
            wrong.add(name)
    return {"verdicts_missing": len(traffic.ids - set(values)), "verdicts_wrong": len(wrong)}


def _too_many(counted: Counter[Any], wanted: set[Any]) -> int:
    return sum(count - (1 if name in wanted else 0) for name, count in counted.items())


async def _told_twice(settings: Settings) -> int:
    """Versions of an alert that stand in the outbox more than once."""
    version = "body->>'version'" if settings.database.startswith("postgresql") else "json_extract(body, '$.version')"
    query = f"SELECT count(*) FROM outbox WHERE kind = 'alert' GROUP BY key, {version} HAVING count(*) > 1"
    return len(await rows(settings, query))
