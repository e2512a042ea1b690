"""Chat traffic of which is known what must come of it: what is blocked, as which attempt, and with which alerts."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

CONVERSATIONS = 40
BLOCKED = ("您这个人就是骗子", "你真是个白痴", "骗 子，别打了", "you idiot, stop calling")
HALVES = ("骗", "子")
"""Clean one by one; the second one completes the phrase."""


@dataclass(frozen=True)
class Traffic:
    messages: list[dict[str, Any]]
    """In the order in which they are to be published."""
    attempts: dict[str, int]
    """Message id of each that must be blocked -> which attempt of its agent it is."""

    @property
    def ids(self) -> set[str]:
        return {message["message_id"] for message in self.messages}

    @property
    def alerts(self) -> set[tuple[str, str]]:
        """(conversation, rule) by the shipped rules: one when a phrase came, one more when it came again."""
        names = {m["message_id"]: m["conversation_id"] for m in self.messages}
        found = Counter(names[name] for name in self.attempts)
        once = {(conversation, "phrase.prohibited") for conversation in found}
        return once | {(conversation, "phrase.repeated") for conversation, n in found.items() if n > 1}


def traffic(count: int, seed: int = 7) -> Traffic:
    """`count` messages: a fifth or more to be blocked, among them halves of a phrase and chains of attempts."""
    chance = random.Random(seed)
    waiting: dict[int, deque[tuple[str, str, bool]]] = {number: deque() for number in range(CONVERSATIONS)}
    messages: list[dict[str, Any]] = []
    attempts: dict[str, int] = {}
    made: Counter[int] = Counter()
    for number in range(count):
        conversation = chance.randrange(CONVERSATIONS)
        if not waiting[conversation]:
            waiting[conversation].extend(_scene(chance, number))
        role, text, is_blocked = waiting[conversation].popleft()
        name = f"m-{number}"
        messages.append(
            {
                "conversation_id": f"c-{conversation}",
                "message_id": name,
                "platform": "test",
                "sender": {"id": f"{role}-{conversation}", "role": role, "team": "refunds"},
                "text": text,
            }
        )
        if is_blocked:
            made[conversation] += 1
            attempts[name] = made[conversation]
    assert len(attempts) >= count / 5, "too little to be blocked"
    return Traffic(messages, attempts)


def _scene(chance: random.Random, number: int) -> list[tuple[str, str, bool]]:
    """(role, text, must be blocked) of the next messages of a conversation."""
    match chance.choices(("chain", "halves", "one", "customer", "clean"), (8, 8, 10, 8, 66))[0]:
        case "chain":
            return [("agent", chance.choice(BLOCKED), True) for _ in range(chance.randint(2, 4))]
        case "halves":
            return [("agent", HALVES[0], False), ("agent", HALVES[1], True)]
        case "one":
            return [("agent", chance.choice(BLOCKED), True)]
        case "customer":
            return [("customer", "你们都是骗子吧", False)]
        case _:
            return [("agent", f"好的，第 {number} 号订单已经查到了", False)]
