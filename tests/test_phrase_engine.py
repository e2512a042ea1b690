from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import MAX_CODE_POINTS, MAX_HITS, PhraseEngine, action_of, mask
from detectors.phrases.fold import is_unspaced
from detectors.phrases.lexicon import Lexicon
from tests.builders_phrases import engine_of, evasion_cases, phrase, reading_of_case


def found(engine: PhraseEngine, text: str, side: Any = "agent") -> list[tuple[str, str, str]]:
    return [(hit.phrase, text[slice(*hit.span)], hit.how) for hit in engine.read(text, side).hits]


def script_of(case: dict[str, Any]) -> str:
    return "zh" if any(map(is_unspaced, case["phrase"])) else "en"


# Tier 1 is a must and complete. Tier 2: what is missing are two compounds that need an exception of the pack (垃圾分类,
# 打你电话). Tier 3 is opt-in or beyond spelling (homophones, markup, quotes); its counts only hold what works besides.
@pytest.mark.parametrize(
    ("tier", "script", "is_hit", "right_at_least", "of"),
    [
        (1, "en", True, 31, 31),
        (1, "zh", True, 42, 42),
        (1, "en", False, 32, 32),
        (1, "zh", False, 15, 15),
        (2, "en", True, 12, 12),
        (2, "zh", True, 23, 23),
        (2, "en", False, 7, 7),
        (2, "zh", False, 36, 38),
        (3, "en", True, 1, 9),
        (3, "zh", True, 2, 12),
        (3, "en", False, 1, 2),
        (3, "zh", False, 2, 8),
    ],
)
def test_evasion_cases_by_tier(tier: int, script: str, is_hit: bool, right_at_least: int, of: int) -> None:
    cases = [c for c in evasion_cases() if (c["tier"], script_of(c), c["hit"]) == (tier, script, is_hit)]
    assert len(cases) == of
    wrong = [case for case in cases if bool(reading_of_case(case).hits) != is_hit]
    assert len(cases) - len(wrong) >= right_at_least, wrong


def test_every_case_that_is_found_has_the_exact_span() -> None:
    for case in evasion_cases():
        spans = [list(hit.span) for hit in reading_of_case(case).hits]
        if case["hit"] and spans:
            assert case["span"] in spans, case


# Spellings that are not in the case file: the same tricks on other words and languages.
@pytest.mark.parametrize(
    ("written", "text", "slice_", "how"),
    [
        ("废物", "你是廢  物！", "廢  物", "separated"),
        ("废物", "废废废废物", "废废废废物", "repeated"),
        ("骗子", "你个骗骗骗子子", "骗骗骗子子", "repeated"),  # "骗子" stands in it too: it is shown whole
        ("moron", "you M o R-o n!", "M o R-o n", "separated"),
        ("moron", "mooooron", "mooooron", "repeated"),
        ("asshole", "you a$$h0le!!", "a$$h0le", "leet"),
        ("liar", "l1ar!", "l1ar", "leet"),
        ("idiot", "(1d1ot)", "1d1ot", "leet"),
        ("get lost", "GET\tL0ST now", "GET\tL0ST", "leet"),
        ("don't call", "dont call", "dont call", "folded"),
        ("don't call", "don’t  call", "don’t  call", "folded"),
        ("идиот", "ты ИДИОТ", "ИДИОТ", "folded"),
        ("урод", "урод!", "урод", "exact"),
        ("バカ", "このバカ！", "バカ", "exact"),
        ("바보", "넌 바보야", "바보", "exact"),
        ("dummkopf", "Du Dummkopf", "Dummkopf", "folded"),
        ("señor idiota", "SENOR IDIOTA", "SENOR IDIOTA", "folded"),
        ("*sync*", "an async-call", "async", "folded"),
        ("scam*", "two scammers", "scammers", "folded"),
        ("*head", "a block-head", "head", "exact"),
        ("保证*退款", "我保证明天退款", "保证明天退款", "folded"),
        ("never*refund", "we never ever refund", "never ever refund", "folded"),
    ],
)
def test_other_spellings_are_found(written: str, text: str, slice_: str, how: str) -> None:
    assert [(piece, kind) for _, piece, kind in found(engine_of(written, boundary="none"), text)] == [(slice_, how)]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("hell", "he'll call you"),
        ("god", "good morning"),
        ("boob", "8008 and b008"),
        ("сука", "cyka"),
        ("cop", "сор"),
        ("加v", "加very good"),
        ("qq123", "qq1234"),
        ("加qq123", "加qq1234"),
        ("qq*加", "qqq好加"),
        ("fool", "ffffol"),
        ("滚", "滚天沟停车场"),
        ("他妈", "他妈妈"),
        ("保证*退款", "我保证，退款要走流程"),
        ("scam*", "a descam"),
        ("12345", "1 2 3 4 5"),
        ("password", "pass word"),
    ],
)
def test_what_only_looks_like_it_is_not_found(written: str, text: str) -> None:
    assert found(engine_of(written), text) == []


def test_match_says_how_far_from_the_written_form_a_hit_may_be() -> None:
    texts = ("Get lost", "GET LOST", "g e t lost", "get l0st")
    hits = {match: [bool(found(engine_of("Get lost", match=match), text)) for text in texts] for match in MATCHES}
    assert hits == {
        "exact": [True, False, False, False],
        "fold": [True, True, False, False],
        "evasive": [True, True, True, True],
    }


MATCHES = ("exact", "fold", "evasive")


def test_a_phrase_is_looked_for_in_the_words_of_its_speaker() -> None:
    sides = {speaker: engine_of("骗子", speaker=speaker) for speaker in ("agent", "customer", "any")}
    heard = {
        speaker: [bool(engine.read("骗子", side).hits) for side in ("agent", "customer", "bot")]
        for speaker, engine in sides.items()
    }
    assert heard == {"agent": [True, False, True], "customer": [False, True, False], "any": [True, True, True]}


def test_boundary_none_takes_a_phrase_inside_words() -> None:
    assert found(engine_of("最低价"), "最低价位") == []
    assert found(engine_of("最低价", boundary="none"), "最低价位") == [("最低价", "最低价", "exact")]


def test_without_words_of_the_language_longer_phrases_are_taken_anywhere() -> None:
    engine = PhraseEngine(Lexicon((phrase("骗子"), phrase("操", 2))))
    assert found(engine, "大骗子们") == [("骗子", "骗子", "exact")]
    assert found(engine, "请操作") == []
    assert found(engine, "操！") == [("操", "操", "exact")]


def test_an_exception_must_cover_the_hit() -> None:
    engine = engine_of("骗子", allow=("防骗子",), boundary="none")
    assert found(engine, "教您防骗子") == []
    assert found(engine, "教您防骗子，他是骗子") == [("骗子", "骗子", "exact")]


def test_negation_in_the_same_clause_voids_a_promise() -> None:
    engine = engine_of("保证退款", "guarantee a refund", negation=("不能", "cannot"))
    assert found(engine, "我们不能跟您保证退款") == []
    assert found(engine, "不能等了，我保证退款") == [("保证退款", "保证退款", "exact")]
    assert found(engine, "We cannot ever guarantee a refund") == []
    assert found(engine, "I cannot wait. I guarantee a refund") == [("guarantee a refund",) * 2 + ("exact",)]


def test_negation_in_a_gap_voids_the_hit_and_a_question_negates_nothing() -> None:
    engine = engine_of("验证码*发我", negation=("不要", "不能"))
    assert found(engine, "验证码请不要发我") == []
    assert found(engine, "验证码能不能发我") == [("验证码*发我", "验证码能不能发我", "folded")]
    assert found(engine, "能不能把验证码发我") == [("验证码*发我", "验证码发我", "folded")]
    assert found(engine, "能不能把您收到的6位数验证码发我") == [("验证码*发我", "验证码发我", "folded")]
    assert found(engine_of("不能不*付", negation=("不能",)), "不能不先付") == [("不能不*付", "不能不先付", "folded")]


@pytest.mark.parametrize("said", ["dispute it and you'll lose", "dispute it and youll lose"])
def test_an_apostrophe_may_be_left_out_in_a_part_of_a_gap(said: str) -> None:
    assert found(engine_of("dispute*you'll lose", gap=12), f"Go on, {said}!") == [
        ("dispute*you'll lose", said, "folded")
    ]


def test_hits_come_in_order_and_an_inner_weaker_one_is_left_out() -> None:
    phrases = (
        phrase("加我微信", 1, boundary="none"),
        phrase("微信", 2, action="allow", boundary="none"),
        phrase("微信号", 3, category="privacy", boundary="none"),
    )
    engine = PhraseEngine(Lexicon(phrases))
    pieces = [piece for _, piece, _ in found(engine, "微信号，加我微信号")]
    assert pieces == ["微信号", "微信", "加我微信", "微信号"]


def test_mask_replaces_what_is_to_be_masked_code_point_by_code_point() -> None:
    engine = PhraseEngine(Lexicon((phrase("废话", 1, action="mask"), phrase("骗子", 2))))
    text = "😀少说废 话，骗子"
    hits = engine.read(text, "agent").hits
    assert mask(text, hits) == "😀少说***，骗子"
    assert mask(text, hits, every=True) == "😀少说***，**"
    assert len(mask(text, hits)) == len(text)


def test_the_strongest_action_decides() -> None:
    def hits(*actions: str) -> Any:
        texts = ("甲乙丙", "丁戊己", "庚辛壬", "癸子丑")
        phrases = [phrase(text, n, action=action) for n, (text, action) in enumerate(zip(texts, actions, strict=False))]
        return PhraseEngine(Lexicon(tuple(phrases))).read(" ".join(texts[: len(actions)]), "agent").hits

    assert action_of(()) == "allow"
    assert action_of(hits("allow", "mask")) == "mask"
    assert action_of(hits("mask", "review", "allow")) == "review"
    assert action_of(hits("mask", "block", "review", "allow")) == "block"


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\udfff骗\ud83d子", "\x00", "\U0010ffff", "́", "*", "骗" * 7])
def test_any_text_is_read(text: str) -> None:
    reading = engine_of("骗子").read(text, "agent")
    assert all(0 <= start < end <= len(text) for start, end in (hit.span for hit in reading.hits))


def test_random_text_gives_spans_inside_it_and_the_same_twice() -> None:
    engine = engine_of("骗子", "idiot", "加v", "shut up", "*head", "保证*退款", boundary="none")
    choose = random.Random(5)
    alphabet = "骗子騙idotshuphead保证退款加v \n\u200b10!$😀é\u0301сο.,，"
    for _ in range(2_000):
        text = "".join(choose.choices(alphabet, k=choose.randint(0, 40)))
        memory = engine.read("骗 保证 id shut", "agent").memory
        first, second = engine.read(text, "agent", memory), engine.read(text, "agent", memory)
        assert first == second
        assert all(0 <= start < end <= len(text) for start, end in (hit.span for hit in first.hits))


def test_a_text_is_read_to_its_limit() -> None:
    engine = engine_of("骗子")
    assert found(engine, "好" * (MAX_CODE_POINTS - 2) + "骗子") == [("骗子", "骗子", "exact")]
    assert found(engine, "好" * (MAX_CODE_POINTS - 1) + "骗子") == []
    assert [engine.read("好" * length, "agent").complete for length in (MAX_CODE_POINTS, MAX_CODE_POINTS + 1)] == [
        True,
        False,
    ]


def test_hits_are_looked_for_until_there_are_many() -> None:
    engine = engine_of("骗子", boundary="none")
    few, many = (engine.read("骗子，" * number, "agent") for number in (MAX_HITS - 1, 2 * MAX_HITS))
    assert (len(few.hits), few.complete) == (MAX_HITS - 1, True)
    assert (len(many.hits), many.complete) == (MAX_HITS, False)


HOSTILE: dict[str, Callable[[int], str]] = {
    "hits": lambda n: "骗子" * (n // 2),
    "one letter": lambda n: "骗" * n,
    "latin letter": lambda n: "o" * n,
    "blanks inside": lambda n: "骗" + " " * n + "子",
    "half hits": lambda n: "骗 " * (n // 2),
    "leet": lambda n: "1d1o7 " * (n // 6),
    "leet signs": lambda n: "!" * n + "a",
    "marks": lambda n: "i" + "\u0301" * n,
    "words": lambda n: "id iot shut up " * (n // 15),
    "gaps": lambda n: "保证" * (n // 4) + "退款" * (n // 4),
    "lone parts of gaps": lambda n: "保证" * (n // 2),
    "exceptions": lambda n: "防骗子" * (n // 3),
    "negated": lambda n: "不能骗子，" * (n // 5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_costs_more_than_its_length(name: str) -> None:
    options: dict[str, Any] = {"negation": ("不能",), "allow": ("防骗子",), "boundary": "none"}
    engine = engine_of("骗子", "idiot", "shut up", "fool", "保证*退款", **options)
    make = HOSTILE[name]

    def seconds(length: int) -> float:
        text = make(length)
        spent = []
        for _ in range(3):
            gc.collect()
            gc.disable()  # what the other tests left behind is not the text's cost
            begin = time.process_time()
            engine.read(text, "agent")
            spent.append(time.process_time() - begin)
            gc.enable()
        return min(spent)

    chinese_words("骗子")
    short, long = seconds(10_000), seconds(100_000)
    # Ten times the text may cost ten times; 25 leaves room for caches and a busy machine, a square would give 100.
    # Below 5 ms the clock says more than the text.
    assert long < max(25 * short, 0.005), (short, long)
    assert long < 4.0  # 40 µs a character at worst, on the slowest machine this should run on


def test_chinese_is_cut_into_the_words_of_the_dictionary_and_nothing_else_is_lost() -> None:
    """Past emoji and other scripts too, for the places of words are counted from what it returns."""
    assert chinese_words("客服😀退款abc 没问题") == ["客服", "😀", "退款", "abc", " ", "没", "问题"]
