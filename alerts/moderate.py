"""Judges and keeps a batch of messages in one transaction: the only durable path, for the chat worker and for HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alerts import engine as rule_engine
from alerts.alert import UNASSIGNED, Change
from alerts.chain import outcome_of
from alerts.judge import UNDELIVERED, Incoming, Judgement, judge, moves_on, recalled, tried
from alerts.keep import Batch, OpenConversation, keep
from alerts.memory import ConversationMemory
from alerts.policy import Policy
from alerts.store import conversations as conversation_store
from alerts.store import messages as message_store
from alerts.store.conversations import ConversationKey
from alerts.store.database import in_transaction
from alerts.store.messages import TextKey
from detectors.timing import hear
from detectors.words_rate import rate_from_words


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one incoming message."""

    value: bytes
    """The JSON, byte for byte what was said the first time."""
    action: str
    is_repeat: bool
    intercepted_by: str | None = None
    """us or platform where this very message wrote a line of the interception log."""


async def moderate(
    engine: AsyncEngine, policy: Policy, batch: Sequence[Incoming], now: Callable[[], float]
) -> list[Verdict]:
    """Judge what is new in `batch`, keep it, and return a verdict for each, in order; committed on return.

    A text that is known already (a redelivery, a retry, the platform's later report) is answered with the
    bytes it got before and changes nothing but its delivery. Raises what the database raises; nothing is
    kept then, and the same call may be made again.
    """
    if not batch:
        return []

    async def work(connection: AsyncConnection, *, all_new: bool = False) -> list[Verdict]:
        at = now()
        return [verdict for part in _parts(batch) for verdict in await _moderate(connection, policy, part, at, all_new)]

    if all(incoming.delivery == "pending" for incoming in batch):
        # Hardly ever does one come again, and to ask for them first costs every batch a round trip.
        with suppress(message_store.KnownText):
            return await in_transaction(engine, partial(work, all_new=True))
    return await in_transaction(engine, work)


def _key(m: Incoming) -> TextKey:
    """Return the identity of an incoming text."""
    return message_store.text_key(m.platform, m.conversation_id, m.message_id, m.text)


def _parts(batch: Sequence[Incoming]) -> Iterator[list[tuple[TextKey, Incoming]]]:
    """Cut a batch before a later report about a text of the same batch: it needs that text's row."""
    part: list[tuple[TextKey, Incoming]] = []
    seen: dict[TextKey, str] = {}
    for incoming in batch:
        key = _key(incoming)
        if key in seen and moves_on(seen[key], incoming.delivery):
            yield part
            part, seen = [], {}
        part.append((key, incoming))
        seen.setdefault(key, incoming.delivery)
    yield part


async def _moderate(
    connection: AsyncConnection, policy: Policy, part: Sequence[tuple[TextKey, Incoming]], now: float, all_new: bool
) -> list[Verdict]:
    """Judge and write one part, inside the caller's transaction. Raises KnownText where `all_new` is not so."""
    open_ = await _open_conversations(connection, [incoming for _, incoming in part])
    known = {} if all_new else await message_store.find(connection, {key for key, _ in part})
    work = Batch()
    verdicts: list[Verdict] = []
    for key, incoming in part:
        conversation = open_[incoming.platform, incoming.conversation_id]
        _learn(conversation, incoming)
        if key in known:
            row = known[key]
            by = _carry_on(policy, work, conversation, incoming, row)
            verdicts.append(Verdict(bytes(row.verdict), row.action, is_repeat=True, intercepted_by=by))
        elif key in work.judged:
            judgement = work.judged[key][1]
            verdicts.append(Verdict(judgement.verdict, judgement.action, is_repeat=True))
        else:
            judgement = judge(policy, conversation.memory, incoming, now)
            work.judged[key] = (incoming, judgement)
            conversation.changes += _changes(policy, conversation, incoming, judgement)
            verdicts.append(
                Verdict(judgement.verdict, judgement.action, is_repeat=False, intercepted_by=judgement.intercepted_by)
            )
    await keep(connection, policy, work, open_, now)
    return verdicts


async def _open_conversations(
    connection: AsyncConnection, batch: Sequence[Incoming]
) -> dict[ConversationKey, OpenConversation]:
    """Make and lock the rows of the batch's conversations and read their memory."""
    new: dict[ConversationKey, dict[str, Any]] = {}
    for m in batch:
        kind = "call" if m.kind == "turn" else "chat"
        new.setdefault(
            (m.platform, m.conversation_id), {"kind": kind, "started_at": m.arrived_at, "last_at": m.arrived_at}
        )
    rows = await conversation_store.lock(connection, new)
    return {
        key: OpenConversation(
            conversation=conversation_store.conversation_of(row),
            memory=ConversationMemory.from_json(row.memory),
            columns={
                name: getattr(row, name)
                for name in ("agent_id", "agent_name", "team", "queue", "channel", "customer_id", "language", "last_at")
            },
        )
        for key, row in rows.items()
    }


def _learn(open_: OpenConversation, incoming: Incoming) -> None:
    """Take over what a message tells about its conversation; what it leaves out stays as it was."""
    told: dict[str, Any] = {
        "queue": incoming.queue,
        "channel": incoming.channel,
        "customer_id": incoming.customer_id,
        "language": incoming.language,
    }
    if incoming.side == "agent" and incoming.sender_id:
        told |= {"agent_id": incoming.sender_id, "agent_name": incoming.sender_name, "team": incoming.team}
    open_.columns |= {name: value for name, value in told.items() if value is not None}
    open_.columns["last_at"] = max(open_.columns["last_at"], incoming.arrived_at)
    before = open_.conversation
    open_.conversation = replace(
        before, **{name: open_.columns[name] for name in ("agent_id", "agent_name", "team", "queue", "language")}
    )
    open_.learned_agent |= before.team == UNASSIGNED and open_.conversation.team != UNASSIGNED


def _changes(policy: Policy, open_: OpenConversation, incoming: Incoming, judgement: Judgement) -> list[Change]:
    """Return what the rules of the chat path want done about one judged message."""
    facts = rule_engine.MessageFacts(
        side=incoming.side,
        message_id=incoming.message_id,
        text=incoming.text,
        hits=judgement.hits,
        action=judgement.action,
        delivered=judgement.reached,
        attempts=judgement.attempt,
        tries=judgement.tries,
        reply_seconds=judgement.reply_seconds,
        first_reply=judgement.is_first_reply,
        words_spm=_words_rate(incoming),
        turn_seconds=_turn_seconds(incoming),
        past=open_.memory.past,
    )
    changes = rule_engine.judge_message(policy.rules, open_.conversation, facts, incoming.arrived_at)
    open_.memory.past = rule_engine.remember(policy.rules, facts, incoming.arrived_at)
    if judgement.reply_seconds is not None:
        changes += rule_engine.judge_reply(policy.rules, open_.conversation, incoming.arrived_at)
    return changes


def _words_rate(incoming: Incoming) -> float | None:
    """Return a turn's rate in words, None for a chat message."""
    if incoming.start_seconds is None or incoming.end_seconds is None:
        return None
    return rate_from_words(incoming.text, incoming.start_seconds, incoming.end_seconds)


def _turn_seconds(incoming: Incoming) -> float | None:
    """Return a turn's length, None for a chat message."""
    if incoming.start_seconds is None or incoming.end_seconds is None:
        return None
    return incoming.end_seconds - incoming.start_seconds


def _carry_on(policy: Policy, work: Batch, open_: OpenConversation, incoming: Incoming, row: Any) -> str | None:
    """Move a known message's delivery on; what the platform did with it may make a finding of its own.

    Return who intercepted it, where that is new.
    """
    if not moves_on(work.moves.get(row.id, (row.delivery, None))[0], incoming.delivery):
        return None
    work.moves[row.id] = (incoming.delivery, incoming.delivered_text)
    was_kept_back = row.action in UNDELIVERED and row.delivery == "pending"
    report = recalled(bytes(row.verdict), incoming)
    if report.intercepted_by:
        attempt = _stopped_late(policy, open_.memory, incoming, report, is_new=row.action == "allow" and not row.spans)
        work.late.append(("interception", row.id, incoming, replace(report, attempt=attempt)))
    elif was_kept_back:
        # The customer has it after all: it answers a wait, and the next message may complete a phrase with it.
        tail = open_.memory.of_speaker(incoming.side, incoming.sender_id)
        read = policy.phrases.read(incoming.text, incoming.side, tail)
        open_.memory.keep(incoming.side, incoming.sender_id, read.memory)
        open_.memory.waits, _ = hear(open_.memory.waits, incoming.side, incoming.arrived_at, True)
        if row.action == "block":
            attempt = _attempt_of(open_.memory, incoming)
            chain = open_.memory.chain_of(incoming.sender_id)
            open_.memory.keep_chain(
                incoming.sender_id, chain.came_to(incoming.message_id, incoming.text, outcome_of(None, None))
            )
            work.undone.append(row.id)
            work.late.append(("violation", row.id, incoming, replace(report, attempt=attempt)))
    return report.intercepted_by


def _attempt_of(memory: ConversationMemory, incoming: Incoming) -> int:
    """Return which attempt a text was that was judged before; the latest where it is too long ago to be known."""
    known = memory.chain_of(incoming.sender_id).attempt_of(incoming.message_id, incoming.text)
    return memory.attempts.get(incoming.sender_id or "", 0) if known is None else known


def _stopped_late(
    policy: Policy, memory: ConversationMemory, incoming: Incoming, report: Judgement, *, is_new: bool
) -> int:
    """Follow an agent whom the platform has stopped, and return which attempt it was.

    A text that was neither stopped nor violating until now counts as an attempt from now on.
    """
    by, how = report.intercepted_by, report.intercepted_how
    if is_new:
        return tried(policy, memory, incoming, report.hits, by, how)[0]
    chain = memory.chain_of(incoming.sender_id)
    chain = chain.came_to(incoming.message_id, incoming.text, outcome_of(by, how))
    chain = chain.stop(policy.phrases, report.hits, incoming.text, incoming.arrived_at)
    memory.keep_chain(incoming.sender_id, chain)
    return _attempt_of(memory, incoming)
