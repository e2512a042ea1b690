"""The live floor's first paint: who is at work, how they sound just now, and what asks for somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException
from sqlalchemy import Row

from alerts.store.alert_log import recent_alerts
from alerts.store.database import reading
from alerts.store.floor_view import AgentAtWork, agents_at_work, baselines_of, live_conversations
from alerts.strips import STRIP_METRICS, Strip
from alerts.web.bodies import Floor, refusals
from alerts.web.context import SCORED_WITHIN_SECONDS, Here, Web
from alerts.web.login import Who

router = APIRouter(prefix="/api", tags=["floor"])

CLOSED_SHOWN_SECONDS = 3600.0
STRIP_SECONDS = 60.0
DEGRADED_LOST_SECONDS = 0.5
"""Audio lost within 10 s, from which on a call counts as degraded (as the rule about it does)."""
DEGRADED_LAG_MS = 5000.0
"""Later than this, audio is skipped instead of scored."""


@router.get("/floor", response_model=Floor, responses=refusals(401, 503))
async def floor(web: Here, who: Who) -> dict[str, Any]:
    """Return everything the page shows when it is opened."""
    # Read before the rows: a change in between is then sent once more by the WebSocket, never left out.
    seq = web.hub.seq
    if seq is None:
        raise HTTPException(503, "The server is starting; try again in a second")
    now = web.now()
    async with reading(web.engine) as connection:
        live = await live_conversations(connection, who.scope, now)
        agents = await agents_at_work(connection, who.scope, live, now)
        baselines = await baselines_of(connection, [agent.agent_id for agent in agents if agent.live])
        found = await recent_alerts(connection, who.scope, now - CLOSED_SHOWN_SECONDS)
        alerts = await web.presenter.alerts(connection, found)
    calls = [row for row in live if row.kind == "call"]
    strips = {row.conversation_id: strip for row in calls if (strip := web.strips.get(row.conversation_id))}
    scored = sum(strip.heard_at > now - SCORED_WITHIN_SECONDS for strip in strips.values())
    rows = [_row_of_agent(agent, strips, baselines.get(agent.agent_id, {})) for agent in agents]
    rows += [_row_of_nobody(call, strips) for call in calls if call.agent_id is None]
    return {
        "server_time": now,
        "seq": seq,
        "lag_seconds": web.lag_seconds(),
        "teams": sorted({row["team"] for row in rows}),
        "calls": {"live": len(calls), "scored": scored},
        "limits": _limits(web, live),
        "agents": rows,
        "alerts": alerts,
    }


def _limits(web: Web, live: Iterable[Row[Any]]) -> dict[str, float]:
    """Return the limits for the language that most conversations are in: one dashed line stands for all rows."""
    if web.links.limits is None:
        return {}
    languages = [row.language for row in live if row.kind == "call" and row.language]
    return web.links.limits(max(set(languages), key=languages.count) if languages else None)


def _row_of_agent(agent: AgentAtWork, strips: Mapping[str, Strip], baseline: Mapping[str, float]) -> dict[str, Any]:
    """Return an agent's line: the call stands before the chats, the newest before the older."""
    calls = [row for row in agent.live if row.kind == "call"]
    chats = [row for row in agent.live if row.kind == "chat"]
    shown = next(iter((*calls, *chats)), None)
    strip = strips.get(calls[0].conversation_id) if calls else None
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "team": agent.team,
        "state": _call_state(strip) if calls else "chat" if chats else "idle",
        "since": shown.started_at if shown is not None else agent.last_at,
        "platform": shown.platform if shown is not None else None,
        "conversation_id": shown.conversation_id if shown is not None else None,
        "chats": len(chats),
        "language": shown.language if shown is not None else None,
        "hits": agent.hits,
        **_measured(strip),
        "baseline": {**baseline, **_own_baselines(strip)},
    }


def _call_state(strip: Strip | None) -> str:
    """Return whether a call is talked in or on hold."""
    return "hold" if strip is not None and strip.latest.get("hold") else "call"


def _own_baselines(strip: Strip | None) -> dict[str, float]:
    """Return what the call itself says is usual for its agent: newer than what earlier calls left."""
    known = strip.latest.get("baselines", {}).get("agent", {}) if strip is not None else {}
    return {metric: baseline["value"] for metric, baseline in known.items()}


def _row_of_nobody(call: Row[Any], strips: Mapping[str, Strip]) -> dict[str, Any]:
    """Return the line of a call whose agent is not known yet."""
    return {
        "agent_id": None,
        "name": None,
        "team": call.team,
        "state": "call",
        "since": call.started_at,
        "platform": call.platform,
        "conversation_id": call.conversation_id,
        "chats": 0,
        "language": call.language,
        "hits": 0,
        "baseline": {},
        **_measured(strips.get(call.conversation_id)),
    }


def _measured(strip: Strip | None) -> dict[str, Any]:
    """Return what is known of a call's sound; without a score, that nothing is."""
    if strip is None:
        return {"degraded": False, "lost_share": 0.0, "lag_ms": None, "latest": {}, "strips": {}}
    record = strip.latest
    agent: Mapping[str, float | None] = record.get("sides", {}).get("agent") or {}
    lag_ms: float | None = record.get("lag_ms")
    lost_now = max((side.get("signal.lost_seconds") or 0.0 for side in _sides(record)), default=0.0)
    return {
        "degraded": bool(record.get("degraded"))
        or lost_now > DEGRADED_LOST_SECONDS
        or (lag_ms or 0.0) > DEGRADED_LAG_MS,
        "lost_share": min(1.0, (record.get("lost_ms") or 0.0) / max(record["at_ms"], 1.0)),
        "lag_ms": lag_ms,
        "latest": dict(agent),
        "strips": {metric: strip.points(metric, STRIP_SECONDS) for metric in STRIP_METRICS},
    }


def _sides(record: Mapping[str, Any]) -> Sequence[Mapping[str, float | None]]:
    """Return the metrics of each side that a record has."""
    return [side for side in record.get("sides", {}).values() if side]
