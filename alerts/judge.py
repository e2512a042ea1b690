"""Judges one message: hits, verdict, and whether it is an interception, a violation or neither. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from alerts.alert import CALL_PLATFORM, SEVERITIES
from alerts.chain import NO_CHAIN, Chain, Try, outcome_of
from alerts.intake.schema import ChatMessage, Delivery, Matched, Turn
from alerts.memory import ConversationMemory
from alerts.policy import Policy
from detectors.phrases.engine import action_of, mask
from detectors.timing import hear
from detectors.values import Hit, PhraseAction, Severity, Side

UNDELIVERED: frozenset[PhraseAction] = frozenset({"block", "review"})
"""Verdicts after which the customer has not seen the text."""
_RANK: dict[Delivery, int] = {"pending": 0, "unverified": 1, "delivered": 2, "intercepted": 2, "replaced": 2}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message or a turn on its way to judgement."""

    kind: Literal["message", "turn"]
    platform: str
    conversation_id: str
    message_id: str
    side: Side
    sender_id: str | None
    sender_name: str | None
    team: str | None
    text: str
    delivery: Delivery
    arrived_at: float
    """Unix time the broker says it came."""
    sent_at: float | None = None
    customer_id: str | None = None
    channel: str | None = None
    queue: str | None = None
    language: str | None = None
    delivered_text: str | None = None
    matched: tuple[str, ...] = ()
    """What the platform's own filter found."""
    start_seconds: float | None = None
    end_seconds: float | None = None
    """Of a turn, in the call's own time."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was concluded about one text."""

    action: PhraseAction
    hits: tuple[Hit, ...]
    verdict: bytes
    """The JSON that the platform gets, byte for byte, however often it asks."""
    reached: bool
    """Whether the other side has it, as far as is known now."""
    intercepted_by: Literal["us", "platform"] | None
    intercepted_how: PhraseAction | None
    violates: bool
    attempt: int
    """Which stopped or violating message of this agent in this conversation, 0 if it is none."""
    reply_seconds: float | None
    is_first_reply: bool
    tries: tuple[Try, ...] = ()
    """The agent's latest attempts in this conversation, in their order."""


def incoming_message(message: ChatMessage, *, source: str, arrived_at: float) -> Incoming:
    """Return the incoming form of a chat message; `source` (topic:partition:offset) stands in for a missing id."""
    sender = message.sender
    is_customer = sender.role == "customer"
    return Incoming(
        kind="message",
        platform=message.platform,
        conversation_id=message.conversation_id,
        message_id=message.message_id or source,
        side=sender.role,
        sender_id=sender.id,
        sender_name=sender.name,
        team=None if is_customer else sender.team,
        text=message.text,
        delivery=message.delivery,
        arrived_at=arrived_at,
        sent_at=message.sent_at.timestamp() if message.sent_at else None,
        customer_id=message.customer.id if message.customer else sender.id if is_customer else None,
        channel=message.channel,
        queue=message.queue,
        language=message.language,
        delivered_text=message.delivered_text,
        matched=tuple(_matched_text(item) for item in message.matched),
    )


def incoming_turn(turn: Turn, *, source: str, arrived_at: float) -> Incoming:
    """Return the incoming form of a turn of a call; `source` stands in for a missing id."""
    by_agent = turn.side == "agent" and turn.agent is not None
    return Incoming(
        kind="turn",
        platform=CALL_PLATFORM,
        conversation_id=turn.conversation_id,
        message_id=turn.turn_id or source,
        side=turn.side,
        sender_id=turn.agent.id if by_agent and turn.agent else None,
        sender_name=turn.agent.name if by_agent and turn.agent else None,
        team=None,
        text=turn.text,
        delivery="delivered",
        arrived_at=arrived_at,
        language=turn.language,
        start_seconds=turn.start_ms / 1000,
        end_seconds=turn.end_ms / 1000,
    )


def _matched_text(item: Matched | str) -> str:
    """Return what a platform's filter found, in whichever form it says so."""
    return item if isinstance(item, str) else item.said


def moves_on(before: str, after: Delivery) -> bool:
    """Whether a later record carries a message on: delivery goes one way."""
    return _RANK[after] > _RANK[before]  # type: ignore[index]  # the database holds only what a Delivery can be


def judge(policy: Policy, memory: ConversationMemory, incoming: Incoming, now: float) -> Judgement:
    """Judge a text that was not judged before, and change `memory` by it. `now` is Unix time, for the latency."""
    tail = memory.of_speaker(incoming.side, incoming.sender_id)
    reading = policy.phrases.read(incoming.text, incoming.side, tail)
    hits = _with_platform_hits(reading.hits, incoming)
    ours = incoming.side != "customer"
    action = action_of(reading.hits)
    if not reading.complete and action != "block":
        action = "review"  # the rest was not read, so nobody can say that it is clean
    by, how = _interception(incoming, action)
    chain = memory.chain_of(incoming.sender_id) if ours else NO_CHAIN
    if ours and not hits and by is None:
        hits = chain.near(policy.phrases, incoming.text, incoming.arrived_at)
    if incoming.kind == "turn" or incoming.delivery in ("delivered", "unverified"):
        action = "allow"  # too late for anything else; the hits are its reasons, and a violation
    reached = by is None or how == "mask"
    if reached:
        memory.keep(incoming.side, incoming.sender_id, reading.memory)
    violates = ours and bool(hits) and by is None
    attempt = 0
    if ours and (violates or by is not None):
        attempt, chain = tried(policy, memory, incoming, hits, by, how)
    reply_seconds, is_first = None, False
    if incoming.kind == "message":
        is_first = not memory.waits.first_replied
        memory.waits, reply_seconds = hear(memory.waits, incoming.side, incoming.arrived_at, reached, incoming.sent_at)
    return Judgement(
        action=action,
        hits=hits,
        verdict=_verdict(policy.version, incoming, action, hits, now),
        reached=reached,
        intercepted_by=by if ours else None,
        intercepted_how=how if ours else None,
        violates=violates,
        attempt=attempt,
        tries=chain.tries,
        reply_seconds=reply_seconds,
        is_first_reply=is_first and reply_seconds is not None,
    )


def tried(
    policy: Policy,
    memory: ConversationMemory,
    incoming: Incoming,
    hits: Sequence[Hit],
    by: str | None,
    how: PhraseAction | None,
) -> tuple[int, Chain]:
    """Count one more attempt, remember it and return its number and the chain; who is stopped is followed from now."""
    attempt = memory.count_attempt(incoming.sender_id)
    at, text = incoming.arrived_at, incoming.text
    chain = memory.chain_of(incoming.sender_id)
    chain = chain.tried(attempt, at, incoming.message_id, text, hits, outcome_of(by, how))
    if by is not None:
        chain = chain.stop(policy.phrases, hits, text, at)
    memory.keep_chain(incoming.sender_id, chain)
    return attempt, chain


def _interception(
    incoming: Incoming, action: PhraseAction
) -> tuple[Literal["us", "platform"] | None, PhraseAction | None]:
    """Return who stopped the text and how; (None, None) if it goes out as written."""
    if incoming.kind == "turn":
        return None, None  # nobody can stop speech
    if incoming.delivery == "intercepted":
        return "platform", "block"
    if incoming.delivery == "replaced":
        return "platform", "mask"
    if incoming.delivery == "pending" and action != "allow":
        return "us", action
    return None, None


def _with_platform_hits(hits: Sequence[Hit], incoming: Incoming) -> tuple[Hit, ...]:
    """Return our hits, and the platform's own where it stopped a text that ours find nothing in."""
    if hits or incoming.delivery not in ("intercepted", "replaced"):
        return tuple(hits)
    found = []
    for phrase in incoming.matched or ("?",):
        start = max(incoming.text.find(phrase), 0)
        span = (start, start + len(phrase)) if phrase in incoming.text else (0, len(incoming.text))
        found.append(Hit(f"platform.{phrase[:80]}", phrase, "platform", "warning", "allow", span, "platform"))
    return tuple(found)


def gravest(hits: Sequence[Hit]) -> Hit | None:
    """Return the hit that names a finding: the gravest, the first of equals."""
    return max(hits, key=lambda hit: SEVERITIES.index(hit.severity), default=None)


def severity_of(hits: Sequence[Hit]) -> Severity:
    """Return the gravest severity, warning where a text was stopped without a hit."""
    top = gravest(hits)
    return top.severity if top else "warning"


def _verdict(version: int, incoming: Incoming, action: PhraseAction, hits: Sequence[Hit], now: float) -> bytes:
    """Return the verdict's JSON."""
    body: dict[str, Any] = {
        "message_id": incoming.message_id,
        "conversation_id": incoming.conversation_id,
        "platform": incoming.platform,
        "action": action,
        "replacement": mask(incoming.text, hits) if action == "mask" else None,
        "reasons": [
            {
                "phrase_id": hit.phrase_id,
                "category": hit.category,
                "severity": hit.severity,
                "span": list(hit.span),
                "how": hit.how,
            }
            for hit in hits
        ],
        "policy_version": version,
        "decided_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "latency_ms": round(max(0.0, now - incoming.arrived_at) * 1000, 1),
    }
    return orjson.dumps(body)


def recalled(verdict: bytes, incoming: Incoming) -> Judgement:
    """Return the judgement of a text that was judged before, with what a later record says became of it."""
    body = orjson.loads(verdict)
    hits = tuple(
        Hit(
            phrase_id=reason["phrase_id"],
            phrase=incoming.text[slice(*reason["span"])],
            category=reason["category"],
            severity=reason["severity"],
            action="allow",
            span=(reason["span"][0], reason["span"][1]),
            how=reason["how"],
        )
        for reason in body["reasons"]
    )
    hits = _with_platform_hits(hits, incoming)
    by, how = _interception(incoming, body["action"])
    return Judgement(
        action=body["action"],
        hits=hits,
        verdict=verdict,
        reached=by is None or how == "mask",
        intercepted_by=by if incoming.side != "customer" else None,
        intercepted_how=how if incoming.side != "customer" else None,
        violates=by is None and bool(hits) and incoming.side != "customer",
        attempt=0,
        reply_seconds=None,
        is_first_reply=False,
    )
