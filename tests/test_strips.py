from __future__ import annotations

from typing import Any

from alerts.strips import FORGET_SECONDS, Strips


def record(name: str, second: int) -> dict[str, Any]:
    return {"conversation_id": name, "at_ms": 1000 * second, "sides": {"agent": {"speech_rate.spm": 210.0}}}


def test_calls_that_are_over_are_forgotten_though_no_page_is_open() -> None:
    strips = Strips()
    for now in range(3600):  # a call begins every second and is heard for a minute
        for begun in range(max(0, now - 60), now + 1):
            strips.add(record(f"c-{begun}", now - begun), float(now))
    assert len(strips) <= 60 + FORGET_SECONDS + 1


def test_a_call_is_live_for_a_while_after_its_last_score() -> None:
    strips = Strips()
    strips.add(record("c-1", 1), 0.0)
    assert [strip.at_seconds for strip in strips.live(FORGET_SECONDS)] == [1.0]
    assert list(strips.live(FORGET_SECONDS + 1)) == []
    assert len(strips) == 0
