from __future__ import annotations

import pytest

from stream.reject_limit import RejectLimit


def after(*runs: tuple[int, bool]) -> RejectLimit:
    limit = RejectLimit()
    for count, is_bad in runs:
        for _ in range(count):
            limit.note(is_bad=is_bad)
    return limit


def alternating(bad: int, good: int, rounds: int) -> list[tuple[int, bool]]:
    return [(bad, True), (good, False)] * rounds


def test_two_hundred_in_a_row_are_too_many() -> None:
    assert after((199, True)).reason() is None
    assert after((200, True)).reason() == "200 records in a row cannot be used"
    assert after((199, True), (1, False), (199, True)).reason() is None


def test_more_than_half_of_the_last_thousand_are_too_many() -> None:
    assert after(*alternating(100, 100, 5)).reason() is None, "half is not more than half"
    beyond = after(*alternating(100, 100, 4), (101, True), (99, False))
    assert beyond.reason() == "501 of the last 1000 records cannot be used"


def test_the_share_is_one_of_a_thousand_before_a_thousand_came() -> None:
    assert after(*alternating(100, 1, 5)).reason() is None
    assert after(*alternating(100, 1, 5), (1, True)).reason() == "501 of the last 506 records cannot be used"


@pytest.mark.parametrize("good", [500, 2000])
def test_what_is_older_than_a_thousand_no_longer_counts(good: int) -> None:
    limit = after((501, True), (good, False))
    assert limit.reason() is None if good >= 500 else limit.reason()
    assert after((150, True), (1, False), (150, True), (1000, False), *alternating(150, 150, 2)).reason() is None
