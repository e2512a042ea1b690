from __future__ import annotations

import json

import pytest

from detectors.phrases.memory import EMPTY, TAIL_CODE_POINTS, SpeakerMemory
from tests.builders_phrases import engine_of, read_in_turn

ENGINE = engine_of("骗子", "包赚不赔", "shut up", "idiot", "加微信", "去死")


def spans(*texts: str, memory: SpeakerMemory = EMPTY) -> list[list[tuple[str, tuple[int, int], str]]]:
    readings = read_in_turn(ENGINE, *texts, memory=memory)
    return [[(hit.phrase, hit.span, hit.how) for hit in reading.hits] for reading in readings]


def test_a_phrase_split_over_messages_lies_in_the_last() -> None:
    assert spans("骗", "子") == [[], [("骗子", (0, 1), "across")]]
    assert spans("你这个骗", " 「子」还钱") == [[], [("骗子", (2, 3), "across")]]
    assert spans("包", "赚", "不", "赔") == [[], [], [], [("包赚不赔", (0, 1), "across")]]
    assert spans("shut", "up") == [[], [("shut up", (0, 2), "across")]]
    assert spans("idi", "ot!") == [[], [("idiot", (0, 2), "across")]]
    assert spans("i", "d", "i", "o t") == [[], [], [], [("idiot", (0, 3), "across")]]


def test_another_speaker_does_not_finish_it() -> None:
    agent = ENGINE.read("骗", "agent").memory
    assert ENGINE.read("子", "customer").hits == ()
    assert ENGINE.read("子", "agent", agent).hits != ()


def test_what_was_reported_is_not_reported_again() -> None:
    assert spans("你这个骗子", "是的", "子") == [[("骗子", (3, 5), "exact")], [], []]
    assert spans("骗子", "子子子") == [[("骗子", (0, 2), "exact")], []]
    assert spans("骗子" + " " * 500, "子") == [[("骗子", (0, 2), "exact")], []]
    assert spans("shut up", "up") == [[("shut up", (0, 7), "exact")], []]


def test_a_repeated_letter_now_does_not_bring_back_a_repeated_phrase_from_before() -> None:
    assert spans("骗骗骗子", "谢谢，骗骗") == [[("骗子", (0, 4), "repeated")], []]


def test_the_same_words_again_are_a_new_hit() -> None:
    assert [len(hits) for hits in spans("骗子", "骗子", "骗", "子")] == [1, 1, 0, 1]


def test_a_blocked_message_is_not_remembered() -> None:
    # The customer never saw it: whoever blocks keeps the memory from before.
    before = ENGINE.read("你好", "agent").memory
    blocked = ENGINE.read("你这个骗子", "agent", before)
    assert blocked.hits and blocked.memory != before
    assert ENGINE.read("子", "agent", before).hits == ()
    first = ENGINE.read("骗", "agent", before).memory
    second = ENGINE.read("子", "agent", first)
    assert second.hits
    assert ENGINE.read("子还钱", "agent", first).hits  # the second try, after the first was blocked


def test_words_of_two_sentences_are_no_phrase() -> None:
    assert spans("sorry, the shop is shut", "up to you when you come") == [[], []]
    assert spans("请问您现在要去", "死机的那家店吗") == [[], []]
    assert spans("您可以追加", "微信支付") == [[], []]
    anywhere = engine_of("去死", boundary="none")
    assert [reading.hits for reading in read_in_turn(anywhere, "请问您现在要去", "死机的那家店吗")] == [(), ()]


def test_a_clean_message_between_ends_it() -> None:
    assert spans("骗", "好的，稍等", "子") == [[], [], []]


def test_a_message_of_signs_does_not_end_it() -> None:
    assert spans("骗", "😀😀", "\u200b", "子") == [[], [], [], [("骗子", (0, 1), "across")]]


def test_memory_stays_small_and_forgets_what_is_too_far_back() -> None:
    memory = EMPTY
    for number in range(200):
        memory = ENGINE.read(f"好的{number}骗子 ok", "agent", memory).memory
        assert len(memory.tail) <= TAIL_CODE_POINTS
        assert len(memory.reported) <= TAIL_CODE_POINTS
        assert all(0 < end <= len(memory.tail) for _, end in memory.reported)
    assert len(json.dumps(memory.to_json())) < 2_000


def test_a_long_message_is_remembered_by_its_end() -> None:
    assert [len(hits) for hits in spans("好" * 500 + "骗", "子")] == [0, 1]
    assert [len(hits) for hits in spans("好的 " * 100_000 + "骗", "子")] == [0, 0]  # read to 100,000 code points


def test_a_word_too_long_to_remember_stands_between_what_was_before_and_after() -> None:
    assert [len(hits) for hits in spans("shut", "x" * (TAIL_CODE_POINTS + 6), "up")] == [0, 0, 0]


def test_a_whole_word_behind_a_chinese_letter_is_remembered_where_the_memory_begins() -> None:
    behind = "好" * (TAIL_CODE_POINTS - len("idi"))
    assert ENGINE.read(f"我idi{behind}", "agent").memory.tail == f"idi{behind}"
    assert ENGINE.read(f"midi{behind}", "agent").memory.tail == behind


def test_a_word_cut_by_the_limit_is_no_word() -> None:
    rest = "y" * (TAIL_CODE_POINTS - len("idiot "))
    assert EMPTY.after(f"idiot {rest}").tail == f"idiot {rest}"
    assert EMPTY.after(f"xidiot {rest}").tail == rest
    assert EMPTY.after("骗" * 100).tail == "骗" * TAIL_CODE_POINTS


@pytest.mark.parametrize("texts", [(), ("骗",), ("骗子", "shut"), ("好" * 100,)])
def test_memory_survives_json(texts: tuple[str, ...]) -> None:
    memory = read_in_turn(ENGINE, *texts)[-1].memory if texts else EMPTY
    assert SpeakerMemory.from_json(json.loads(json.dumps(memory.to_json()))) == memory


def test_nothing_stored_is_an_empty_memory_and_rubbish_is_refused() -> None:
    assert SpeakerMemory.from_json(None) == SpeakerMemory.from_json({}) == EMPTY
    with pytest.raises(ValueError, match="write"):
        SpeakerMemory.from_json({"tail": 5})
    with pytest.raises(ValueError, match="write"):
        SpeakerMemory.from_json(["骗"])
