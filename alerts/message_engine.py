"""Judges messages one by one and waits by the clock: hits, rates in words and late replies become changes of alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from alerts.alert import SEVERITIES, Change, Conversation, Evidence, is_graver
from alerts.chain import Try
from alerts.conditions import Compare, Facts, HitCount, NoReply, PastHit, holds, leaves, matches, readings
from alerts.evidence import change_of, excerpt, measured
from alerts.masking import mask_text
from alerts.rules import Level, Rule, RuleSet
from detectors.timing import Waits
from detectors.values import Hit, Severity, Side


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What the rules may look at in one message or turn."""

    side: Side
    message_id: str
    text: str
    """As it was written; spans of `hits` point into it. An alert shows it masked."""
    hits: tuple[Hit, ...]
    action: str
    delivered: bool
    """Whether the other side has it."""
    attempts: int
    """How many messages of this agent were stopped or should have been, this one among them; 0 if it is none."""
    reply_seconds: float | None = None
    """How long the customer had waited for it; None where it answers nothing."""
    first_reply: bool = False
    words_spm: float | None = None
    """Of a transcript turn: 字/分 or words a minute."""
    turn_seconds: float | None = None
    """Of a transcript turn: its length."""
    tries: tuple[Try, ...] = ()
    """The agent's latest attempts, in their order."""
    past: tuple[PastHit, ...] = ()
    """Hits of earlier messages, for counts in a window; see `remember`."""


def judge_message(rules: RuleSet, conversation: Conversation, facts: MessageFacts, at: float) -> list[Change]:
    """Return what the chat path's rules want done about one message. `at` is the Unix time it arrived.

    Every change opens its alert or carries the open one on; it ends `cooldown_seconds` after the last.
    """
    looked_at = _facts(conversation, facts, at)
    if not looked_at.hits and all(value is None for value in looked_at.sides[facts.side].values()):
        return []  # most messages: there is nothing that a rule could be about
    changes = []
    for rule in rules.chat:
        if not rule.applies_to(conversation):
            continue
        level = next(
            (lv for lv in reversed(rule.levels) if _is_about(lv, looked_at) and holds(lv.condition, looked_at)), None
        )
        if level is not None:
            severity = _gravest(level, facts, looked_at) if rule.severity_of_hit else level.severity
            evidence = _evidence(level, facts, looked_at)
            changes.append(
                change_of("open", rule, severity, conversation, at, evidence, cooldown_seconds=rule.cooldown_seconds)
            )
    return changes


def past_hits(hits: Iterable[Hit], side: Side, delivered: bool, at: float) -> tuple[PastHit, ...]:
    """Return hits in the form that conditions count."""
    return tuple(PastHit(at, side, hit.severity, hit.category, hit.phrase_id, delivered) for hit in hits)


def recent_hits(rules: RuleSet, hits: Iterable[PastHit], at: float) -> tuple[PastHit, ...]:
    """Return the hits that a rule may still ask for at Unix time `at`."""
    return tuple(hit for hit in hits if at - rules.longest_window_seconds < hit.at)


def remember(rules: RuleSet, facts: MessageFacts, at: float) -> tuple[PastHit, ...]:
    """Return what the next message of the conversation is to be given as `past`."""
    return recent_hits(rules, (*facts.past, *past_hits(facts.hits, facts.side, facts.delivered, at)), at)


def next_due(rules: RuleSet, conversation: Conversation, waits: Waits) -> float | None:
    """Return the Unix time at which the next rule over waits is to be judged, None while none is."""
    return min((due for due, _, _ in _pending(rules, conversation, waits)), default=None)


def judge_due(rules: RuleSet, conversation: Conversation, waits: Waits, now: float) -> tuple[Waits, list[Change]]:
    """Judge the waits that are over at Unix time `now`; the waits returned remember what was asked."""
    raised: list[str] = []
    changes: list[Change] = []
    for due, rule, level in sorted(_pending(rules, conversation, waits), key=lambda pending: pending[0]):
        if due > now or waits.waiting_since is None:
            continue
        raised.append(_mark(rule, level))
        metric = "timing.reply_seconds" if waits.first_replied else "timing.first_reply_seconds"
        evidence = Evidence(
            metric=metric,
            value=now - waits.waiting_since,
            limit=due - waits.waiting_since,
            unit="s",
            side="agent",
            extra={"waiting_since": waits.waiting_since},
        )
        # The store keeps the gravest of two levels that are due at once.
        changes.append(change_of("open", rule, level.severity, conversation, due, evidence))
    return replace(waits, raised=(*waits.raised, *raised)), changes


def judge_reply(rules: RuleSet, conversation: Conversation, at: float) -> list[Change]:
    """Return the ends of the wait alerts: the agent has answered at Unix time `at`."""
    return [
        change_of("end", rule, rule.levels[0].severity, conversation, at)
        for rule in rules.waits
        if rule.applies_to(conversation)
    ]


def _pending(rules: RuleSet, conversation: Conversation, waits: Waits) -> Iterator[tuple[float, Rule, Level]]:
    """Yield (Unix time, rule, level) of what is still to be asked about the present wait."""
    if waits.waiting_since is None:
        return
    which = "later" if waits.first_replied else "first"
    for rule in rules.waits:
        for level in rule.levels if rule.applies_to(conversation) else ():
            wait = level.condition
            if isinstance(wait, NoReply) and wait.which in (which, "any") and _mark(rule, level) not in waits.raised:
                yield waits.waiting_since + wait.seconds, rule, level


def _mark(rule: Rule, level: Level) -> str:
    """Name a level of a rule in `Waits.raised`."""
    return f"{rule.id}:{level.severity}"


def _facts(conversation: Conversation, facts: MessageFacts, at: float) -> Facts:
    """Return what conditions look at."""
    metrics = {
        "speech_rate.from_words_spm": facts.words_spm,
        "turns.turn_seconds": facts.turn_seconds,
        "timing.reply_seconds": facts.reply_seconds,
        "timing.first_reply_seconds": facts.reply_seconds if facts.first_reply else None,
        # Of a clean message this is not known, else every later one would carry the alert on.
        "phrases.attempts": float(facts.attempts) if facts.attempts else None,
    }
    return Facts(
        at=at,
        language=conversation.language,
        sides={facts.side: metrics},
        hits=past_hits(facts.hits, facts.side, facts.delivered, at),
        past=facts.past,
    )


def _is_about(level: Level, facts: Facts) -> bool:
    """Whether this message has something to do with the level, and not only an earlier one."""
    for leaf in leaves(level.condition):
        if isinstance(leaf, HitCount) and any(matches(leaf, hit) for hit in facts.hits):
            return True
        if isinstance(leaf, Compare) and any(True for _ in readings(leaf, facts)):
            return True
    return False


def _matching(level: Level, facts: MessageFacts, looked_at: Facts) -> list[Hit]:
    """Return the message's hits that the level counts; all of them where it counts none."""
    counts = [leaf for leaf in leaves(level.condition) if isinstance(leaf, HitCount)]
    if not counts:
        return list(facts.hits)
    return [
        hit
        for hit, counted in zip(facts.hits, looked_at.hits, strict=True)
        if any(matches(count, counted) for count in counts)
    ]


def _gravest(level: Level, facts: MessageFacts, looked_at: Facts) -> Severity:
    """Return the gravest severity of the hits that the level counts."""
    severity: Severity = SEVERITIES[0]
    for hit in _matching(level, facts, looked_at):
        severity = hit.severity if is_graver(hit.severity, severity) else severity
    return severity


def _evidence(level: Level, facts: MessageFacts, looked_at: Facts) -> Evidence:
    """Return the sentence with its hits, and the value beside its limit where there is one."""
    hits = _matching(level, facts, looked_at)
    text, spans, extra = excerpt(mask_text(facts.text), [hit.span for hit in hits])
    if any(isinstance(leaf, Compare) and leaf.metric == "phrases.attempts" for leaf in leaves(level.condition)):
        extra = {**extra, "attempts": [one.told() for one in facts.tries]}
    return replace(
        measured(level.condition, looked_at) or Evidence(),
        side=facts.side,
        message_id=facts.message_id,
        text=text,
        spans=spans,
        phrases=tuple(dict.fromkeys(hit.phrase_id for hit in hits)),
        extra={"action": facts.action, "delivered": facts.delivered, **extra},
    )
