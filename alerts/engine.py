"""How rules judge: calls second by second, messages one by one, waits by the clock."""

from __future__ import annotations

from alerts.call_engine import (
    RuleState,
    RuleStates,
    hear_turn,
    judge_end,
    judge_score,
    limits_for,
    over_limits,
    states_from_open,
)
from alerts.message_engine import MessageFacts, judge_due, judge_message, judge_reply, next_due, remember

__all__ = [
    "MessageFacts",
    "RuleState",
    "RuleStates",
    "hear_turn",
    "judge_due",
    "judge_end",
    "judge_message",
    "judge_reply",
    "judge_score",
    "limits_for",
    "next_due",
    "over_limits",
    "remember",
    "states_from_open",
]
