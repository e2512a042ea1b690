"""Writes what a batch of messages concluded: one statement a table, all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import engine as rule_engine
from alerts.alert import Change, Conversation
from alerts.finding import finding_row, log_row
from alerts.judge import Incoming, Judgement
from alerts.memory import ConversationMemory
from alerts.policy import Policy
from alerts.store import alerts as alert_store
from alerts.store import conversations as conversation_store
from alerts.store import messages as message_store
from alerts.store.conversations import ConversationKey
from alerts.store.messages import TextKey
from alerts.store.outbox import OutboxRow
from alerts.store.round_trip import Writer


@dataclass(slots=True)
class OpenConversation:
    """One conversation while its messages of this batch are judged."""

    conversation: Conversation
    memory: ConversationMemory
    columns: dict[str, Any]
    learned_agent: bool = False
    changes: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """What one transaction has to write."""

    judged: dict[TextKey, tuple[Incoming, Judgement]] = field(default_factory=dict)
    moves: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    undone: list[int] = field(default_factory=list)
    late: list[tuple[str, int, Incoming, Judgement]] = field(default_factory=list)
    """Findings on messages of earlier batches: (kind, message row, incoming, judgement)."""


async def keep(
    connection: AsyncConnection,
    policy: Policy,
    work: Batch,
    open_: Mapping[ConversationKey, OpenConversation],
    now: float,
) -> None:
    """Write the batch: messages, findings, alerts, outbox, and the conversations' rows with their memory."""
    await alert_store.apply_changes(
        connection,
        [change for conversation in open_.values() for change in conversation.changes],
        policy.version,
        now,
        learned=[conversation.conversation for conversation in open_.values() if conversation.learned_agent],
        beside=_writing(connection, policy, work, open_, now),
    )


def _writing(
    connection: AsyncConnection,
    policy: Policy,
    work: Batch,
    open_: Mapping[ConversationKey, OpenConversation],
    now: float,
) -> Writer[list[OutboxRow]]:
    """Write messages, conversations and findings, and return what is to be told of them."""
    rows = [_message_row(key, incoming, judgement, policy) for key, (incoming, judgement) in work.judged.items()]
    conversation_rows = [
        {
            "platform": platform,
            "conversation_id": name,
            **conversation.columns,
            "memory": conversation.memory.to_json(),
            "due_at": rule_engine.next_due(policy.rules, conversation.conversation, conversation.memory.waits),
        }
        for (platform, name), conversation in sorted(open_.items())
    ]
    conversations = conversation_store.writing(connection, conversation_rows)
    ids = {}
    if rows:
        ids = yield from message_store.adding(connection, rows, conversations)
    else:
        yield [conversations]
    yield from message_store.moving_deliveries(connection, work.moves)
    yield from message_store.marking_delivered(work.undone, now)
    findings = [
        (kind, ids[key], incoming, judgement)
        for key, (incoming, judgement) in work.judged.items()
        for kind in _kinds(judgement)
    ] + work.late
    return (yield from _writing_findings(connection, policy, open_, findings)) if findings else []


def _kinds(judgement: Judgement) -> Iterable[str]:
    """Return which findings a judgement makes."""
    if judgement.intercepted_by:
        yield "interception"
    if judgement.violates:
        yield "violation"


def _writing_findings(
    connection: AsyncConnection,
    policy: Policy,
    open_: Mapping[ConversationKey, OpenConversation],
    findings: Sequence[tuple[str, int, Incoming, Judgement]],
) -> Writer[list[OutboxRow]]:
    """Write interceptions, violations and their hits, and return what is to be told of them."""
    made: list[tuple[str, dict[str, Any], Incoming, Judgement]] = []
    hit_rows: list[dict[str, Any]] = []
    for kind, message, incoming, judgement in findings:
        conversation = open_[incoming.platform, incoming.conversation_id].conversation
        row = finding_row(kind, message, conversation, incoming, judgement, policy.version)
        made.append((kind, row, incoming, judgement))
        hit_rows += [
            {
                "message": message,
                "position": position,
                "phrase_id": hit.phrase_id,
                "category": hit.category,
                "severity": hit.severity,
                "how": hit.how,
                "team": row["team"],
                "agent_id": row["agent_id"],
                "at": row["at"],
            }
            for position, hit in enumerate(judgement.hits)
        ]
    stopped = [row for kind, row, _, _ in made if kind == "interception"]
    passed = [row for kind, row, _, _ in made if kind == "violation"]
    steps = {}
    if stopped:
        steps["interception"] = message_store.adding_interceptions(connection, stopped)
    if passed:
        steps["violation"] = message_store.adding_violations(connection, passed)
    if hit_rows:
        steps["hit"] = message_store.adding_hits(connection, hit_rows)
    added = dict(zip(steps, (yield list(steps.values())), strict=True))
    interception_ids = {(row.message, row.intercepted_by): row.id for row in added.get("interception", ())}
    violation_ids = {row.message: row.id for row in added.get("violation", ())}
    told = []
    for kind, row, incoming, judgement in made:
        id_ = (
            interception_ids.get((row["message"], row["intercepted_by"]))
            if kind == "interception"
            else violation_ids.get(row["message"])
        )
        if id_ is not None:
            body = log_row(kind, id_, row, incoming, judgement)
            told.append(OutboxRow(kind, f"{kind}:{id_}", row["team"], row["agent_id"], body, row["at"]))
    return told


def _message_row(key: TextKey, incoming: Incoming, judgement: Judgement, policy: Policy) -> dict[str, Any]:
    """Return the row of a judged message."""
    return {
        **key._asdict(),
        "kind": incoming.kind,
        "side": incoming.side,
        "sender_id": incoming.sender_id,
        "sender_name": incoming.sender_name,
        "text": incoming.text,
        "delivered_text": incoming.delivered_text,
        "sent_at": incoming.sent_at,
        "arrived_at": incoming.arrived_at,
        "start_seconds": incoming.start_seconds,
        "end_seconds": incoming.end_seconds,
        "delivery": incoming.delivery,
        "action": judgement.action,
        "spans": [[*hit.span, hit.phrase_id] for hit in judgement.hits],
        "policy_version": policy.version,
        "verdict": judgement.verdict,
    }
