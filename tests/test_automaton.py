from __future__ import annotations

import random

import pytest

from detectors.phrases.automaton import installed_matchers, matcher_of
from tests.builders_phrases import chat_texts, evasion_cases, reading_of_case

MATCHERS = ("daachorse", "ahocorasick_rs", "pyahocorasick")


def found_by_search(strings: list[str], haystack: str) -> list[tuple[int, int, int]]:
    return sorted(
        (start, start + len(string), index)
        for index, string in enumerate(strings)
        for start in range(len(haystack) - len(string) + 1)
        if haystack.startswith(string, start)
    )


def test_all_three_are_installed_for_development() -> None:
    assert installed_matchers() == MATCHERS


@pytest.mark.parametrize("name", MATCHERS)
@pytest.mark.parametrize("seed", range(5))
def test_finds_all_overlapping_occurrences_with_code_point_offsets(name: str, seed: int) -> None:
    choose = random.Random(seed)
    letters = "ab骗子😀 "
    strings = sorted({"".join(choose.choices(letters, k=choose.randint(1, 4))) for _ in range(40)})
    haystack = "".join(choose.choices(letters, k=300))
    assert sorted(matcher_of(strings, name).find(haystack)) == found_by_search(strings, haystack)


@pytest.mark.parametrize("name", MATCHERS)
def test_hits_are_the_same_whichever_is_installed(name: str) -> None:
    for case in evasion_cases():
        assert reading_of_case(case, name).hits == reading_of_case(case).hits, case


@pytest.mark.parametrize("name", MATCHERS)
def test_no_strings_find_nothing(name: str) -> None:
    assert matcher_of([], name).find("anything") == []


def test_an_empty_string_is_refused() -> None:
    with pytest.raises(ValueError, match="leave it out"):
        matcher_of(["a", ""])


def test_an_unknown_matcher_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="ahocorasick_rs"):
        matcher_of(["a"], "grep")


@pytest.mark.parametrize("name", MATCHERS)
def test_chinese_turns_give_the_same_as_plain_search(name: str) -> None:
    strings = ["您好", "好", "推荐", "的餐馆", "100元"]
    matcher = matcher_of(strings, name)
    for text in chat_texts("crosswoz_val.jsonl")[:300]:
        assert sorted(matcher.find(text)) == found_by_search(strings, text)
