"""Interceptions and violations as rows: what the log keeps of one, and what it shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from alerts.alert import Conversation
from alerts.chain import outcome_of
from alerts.judge import Incoming, Judgement, gravest, severity_of
from alerts.masking import mask_text


def finding_row(
    kind: str, message: int, conversation: Conversation, incoming: Incoming, judgement: Judgement, policy_version: int
) -> dict[str, Any]:
    """Return the row of an interception or a violation on message row `message`."""
    top = gravest(judgement.hits)
    is_agent = incoming.side == "agent" and incoming.sender_id
    row: dict[str, Any] = {
        "message": message,
        "platform": incoming.platform,
        "conversation_id": incoming.conversation_id,
        "agent_id": incoming.sender_id if is_agent else conversation.agent_id,
        "agent_name": (incoming.sender_name if is_agent else None) or conversation.agent_name,
        "team": conversation.team,
        "category": top.category if top else "unread",
        "severity": severity_of(judgement.hits),
        "phrases": sorted({hit.phrase_id for hit in judgement.hits}),
        "attempt": judgement.attempt,
        "policy_version": policy_version,
        "at": incoming.arrived_at,
    }
    if kind == "interception":
        row |= {"intercepted_by": judgement.intercepted_by, "action": judgement.intercepted_how}
    return row


def log_row(kind: str, id_: int, row: Mapping[str, Any], incoming: Incoming, judgement: Judgement) -> dict[str, Any]:
    """Return a new finding as the log, the WebSocket and the topic `qa.interceptions` show it; texts masked."""
    verdict = orjson.loads(judgement.verdict)
    return {
        "kind": kind,
        "id": id_,
        "at": row["at"],
        "platform": row["platform"],
        "conversation_id": row["conversation_id"],
        "message_id": incoming.message_id,
        "agent_id": row["agent_id"],
        "agent_name": row["agent_name"],
        "team": row["team"],
        "text": mask_text(incoming.text),
        "spans": [[*hit.span, hit.phrase_id] for hit in judgement.hits],
        "category": row["category"],
        "severity": row["severity"],
        "phrases": row["phrases"],
        "outcome": outcome_of(row.get("intercepted_by"), row.get("action")),
        "intercepted_by": row.get("intercepted_by"),
        "attempt": row["attempt"],
        "policy_version": row["policy_version"],
        "review": "pending",
        "review_reason": None,
        "reviewed_by": None,
        "latency_ms": verdict["latency_ms"],
    }
