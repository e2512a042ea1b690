from __future__ import annotations

import orjson
import pytest

from alerts.access import Scope
from alerts.hub import Client, Hub
from alerts.strips import FORGET_SECONDS, KEPT_SECONDS, Strips
from tests.builders_web import NOW, score_record

REFUNDS = Scope(teams=frozenset({"refunds"}))
SALES = Scope(teams=frozenset({"sales"}))
AGENT = Scope(agent_id="a-1")


async def _read(client: Client) -> list[dict[str, object]]:
    """What waits for a client."""
    return [orjson.loads(await client.next()) for _ in range(client._waiting.qsize())]


def _hub(length: int = 8) -> Hub:
    hub = Hub(length)
    hub.begin(0)
    return hub


async def test_each_page_gets_its_own_teams_changes_in_order() -> None:
    hub = _hub()
    refunds, sales, agent, nobody = (hub.join(scope)[0] for scope in (REFUNDS, SALES, AGENT, Scope()))
    for seq, (team, who) in enumerate([("refunds", "a-1"), ("sales", "a-3"), ("refunds", "a-2"), (None, None)], 1):
        hub.publish(seq, team, who, {"seq": seq})
    assert await _read(refunds) == [{"seq": 1}, {"seq": 3}]
    assert await _read(sales) == [{"seq": 2}]
    assert await _read(agent) == [{"seq": 1}]
    assert await _read(nobody) == []


async def test_a_page_that_joins_is_told_from_where_on_it_gets_everything() -> None:
    hub = _hub()
    hub.publish(7, "refunds", None, {"seq": 7})
    client, since = hub.join(REFUNDS)
    hub.publish(8, "refunds", None, {"seq": 8})
    assert since == 7
    assert await _read(client) == [{"seq": 8}]


def test_nobody_joins_before_the_relay_has_begun() -> None:
    with pytest.raises(ConnectionError):
        Hub().join(REFUNDS)


async def test_a_change_pages_are_not_told_of_moves_the_number_on() -> None:
    hub = _hub()
    client, _ = hub.join(REFUNDS)
    hub.publish(9, "refunds", "a-1", None)
    assert hub.seq == 9 and await _read(client) == []


async def test_a_page_that_does_not_read_is_dropped_and_holds_nobody_up() -> None:
    hub = _hub(length=4)
    slow, quick = hub.join(REFUNDS)[0], hub.join(REFUNDS)[0]
    for seq in range(1, 11):
        hub.publish(seq, "refunds", None, {"seq": seq})
        assert await _read(quick) == [{"seq": seq}]
    assert slow.dropped.is_set() and not quick.dropped.is_set()
    # What it has is whole up to the drop: it may resume after number 4.
    assert await _read(slow) == [{"seq": seq} for seq in range(1, 5)]


async def test_scores_never_drop_a_page_and_leave_room_for_alerts() -> None:
    hub = _hub(length=8)
    slow, _ = hub.join(REFUNDS)
    for second in range(50):
        hub.score(score_record("k-1", second, "refunds", "a-1"))
        hub.flush_scores()
        hub.broadcast({"type": "tick"})
    assert not slow.dropped.is_set() and slow._waiting.qsize() == 4
    hub.publish(1, "refunds", None, {"seq": 1})
    assert not slow.dropped.is_set()


async def test_scores_are_sent_together_newest_of_each_call_only_to_who_may_see() -> None:
    hub = _hub()
    refunds, sales, nobody = (hub.join(scope)[0] for scope in (REFUNDS, SALES, Scope()))
    for record in (
        score_record("k-1", 1, "refunds", "a-1"),
        score_record("k-1", 2, "refunds", "a-1"),
        score_record("k-2", 9, "refunds", "a-2"),
        score_record("k-3", 3, "sales", "a-3"),
        score_record("k-4", 3, None, None),
    ):
        hub.score(record)
    hub.flush_scores()
    hub.flush_scores()
    (message,) = await _read(refunds)
    assert message["type"] == "scores"
    assert message["items"] == [score_record("k-1", 2, "refunds", "a-1"), score_record("k-2", 9, "refunds", "a-2")]
    assert [len(sent["items"]) for sent in await _read(sales)] == [1]  # type: ignore[arg-type]  # JSON
    assert await _read(nobody) == []


def test_strips_keep_two_minutes_and_forget_calls_that_ended() -> None:
    strips = Strips()
    for second in range(1000):
        strips.add(score_record("k-1", second, "refunds", "a-1", **{"speech_rate.spm": float(second)}), NOW + second)
    strips.add(score_record("k-2", 5, "refunds", "a-2"), NOW + 950)
    strip = strips.get("k-1")
    assert strip is not None
    assert [moment["at_seconds"] for moment in strip.moments()] == [
        float(s) for s in range(999 - int(KEPT_SECONDS), 1000)
    ]
    assert strip.points("speech_rate.spm", 3) == [(997.0, 997.0), (998.0, 998.0), (999.0, 999.0)]
    assert len(list(strips.live(NOW + 1000))) == 2
    assert [s.latest["conversation_id"] for s in strips.live(NOW + 951 + FORGET_SECONDS)] == ["k-1"]
    assert strips.get("k-2") is None


def test_a_repeated_or_older_score_changes_nothing() -> None:
    # The tail is read from a little before its end, and a call that moved may be scored twice for a second.
    strips = Strips()
    for second in (1, 2, 3, 2, 3, 4):
        strips.add(score_record("k-1", second, "refunds", "a-1"), NOW)
    strip = strips.get("k-1")
    assert strip is not None and [at for at, _ in strip.points("speech_rate.spm", 60)] == [1, 2, 3, 4]


def test_one_late_line_does_not_make_the_page_late() -> None:
    strips = Strips()
    for number in range(40):
        record = score_record(f"k-{number}", 1, "refunds", None) | {"lag_ms": 40_000 if number == 0 else 300}
        strips.add(record, NOW)
    assert strips.lag_seconds(NOW, 10) == 0.3
    assert strips.lag_seconds(NOW + 11, 10) == 0.0  # nobody speaks
