from __future__ import annotations

import random

import pytest

from detectors.phrases.fold import fold, run_on_view, spaced_words, squeezed_views
from detectors.phrases.halves import HALVES, in_halves
from detectors.phrases.pinyin import ENGLISH_TOO, READINGS, partly_spelled_out, spelled_out
from detectors.phrases.traditional import SIMPLIFIED
from tests.builders_phrases import engine_of, read_in_turn


def found(written: str, text: str, **options: str) -> list[tuple[str, str]]:
    return [(text[slice(*hit.span)], hit.how) for hit in engine_of(written, **options).read(text, "agent").hits]


@pytest.mark.parametrize(
    ("written", "text", "piece"),
    [
        ("骗子", "你是pianzi吗", "pianzi"),
        ("骗子", "Piàn Zǐ!", "Piàn Zǐ"),
        ("骗子", "p i a n z i", "p i a n z i"),
        ("女人", "nǚ rén", "nǚ rén"),
        ("女人", "nvren", "nvren"),
        ("重要", "zhongyao", "zhongyao"),
        ("重复", "chongfu", "chongfu"),
        ("加微信", "jia wei xin", "jia wei xin"),
        ("加微信", "JIAWEIXIN", "JIAWEIXIN"),
    ],
)
@pytest.mark.parametrize("pinyin", ["full", "mixed"])
def test_a_phrase_is_found_in_pinyin_where_the_entry_asks_for_it(
    written: str, text: str, piece: str, pinyin: str
) -> None:
    assert found(written, text, pinyin=pinyin) == [(piece, "pinyin")]
    assert found(written, text) == []


@pytest.mark.parametrize(("text", "piece"), [("骗zi", "骗zi"), ("你pian子", "pian子"), ("骗 ZI 还钱", "骗 ZI")])
def test_a_phrase_partly_in_pinyin_is_found_with_mixed_only(text: str, piece: str) -> None:
    assert found("骗子", text, pinyin="mixed") == [(piece, "pinyin")]
    assert found("骗子", text, pinyin="full") == []


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("骗子", "the pianzist"),
        ("妈的", "made in China"),
        ("我们", "women and men"),
        ("死", "SI units"),
        ("傻逼", "tell sb about it"),
        ("骗子", "пианзи"),
        ("骗子", "骗zip文件"),
        ("骗子", "Apian子"),
    ],
)
def test_what_only_looks_like_pinyin_is_not_found(written: str, text: str) -> None:
    assert found(written, text, pinyin="mixed") == []


@pytest.mark.parametrize(
    ("written", "text", "piece"),
    [
        ("骗子", "你是马扁子", "马扁子"),
        ("骗子", "馬扁子", "馬扁子"),
        ("骗子", "马 扁 子", "马 扁 子"),
        ("加微信", "力口微信", "力口微信"),
        ("傻狗", "傻犭句！", "傻犭句"),
    ],
)
def test_a_character_in_halves_is_found(written: str, text: str, piece: str) -> None:
    assert found(written, text) == [(piece, "separated")]
    assert found(written, text, match="fold") == []


@pytest.mark.parametrize(("written", "text"), [("明天", "日月天地"), ("好人", "女子人才市场")])
def test_halves_that_mean_themselves_are_no_character(written: str, text: str) -> None:
    assert found(written, text) == []


def test_the_tables_hold_only_plain_characters() -> None:
    for character, halves in HALVES.items():
        assert len(halves) == 2 and fold(character + halves) == character + halves
    for character, syllables in READINGS.items():
        assert len(character) == 1 and character not in SIMPLIFIED
        assert all(syllable.isascii() and syllable.isalpha() for syllable in syllables)


def test_every_english_word_of_the_list_would_be_taken_for_pinyin() -> None:
    known = {syllable for syllables in READINGS.values() for syllable in syllables}

    def reads_as_syllables(word: str) -> bool:
        reached = {0}
        for end in range(1, len(word) + 1):
            if any(start in reached and word[start:end] in known for start in range(max(0, end - 6), end)):
                reached.add(end)
        return len(word) in reached

    assert [word for word in sorted(ENGLISH_TOO) if not reads_as_syllables(word)] == []


def test_a_phrase_has_few_spellings_however_many_readings_its_characters_have() -> None:
    worst = max(READINGS, key=lambda character: len(READINGS[character])) * 20
    assert len(list(spelled_out(worst))) <= 64
    assert len(list(partly_spelled_out(worst))) <= 64
    assert list(spelled_out("骗")) == [] and list(in_halves("骗")) == []


ALPHABET = "骗騙子馬马扁pianzidotPÌ ①⑩ｉ\u200b\u0301　，。!1０零壹\ud800\U0001f600é\u00df\u0130ﬁ㍻ｶﾞ한é\n\t#"


def random_texts(number: int) -> list[str]:
    choose = random.Random(11)
    return [
        "".join(
            chr(choose.randrange(0x110000)) if choose.random() < 0.1 else choose.choice(ALPHABET)
            for _ in range(choose.randint(0, 30))
        )
        for _ in range(number)
    ]


def test_folding_twice_is_folding_once() -> None:
    for text in random_texts(3_000):
        assert fold(fold(text)) == fold(text), text
        squeezed = " ".join(fold(text).split())
        assert squeezed_views(text) == (
            squeezed,
            spaced_words(squeezed),
            "" if text.isascii() else run_on_view(squeezed),
        ), text


def test_a_span_is_a_piece_that_folds_to_the_phrase() -> None:
    written = ("骗子", "idiot", "零钱", "加微信")
    engine = engine_of(*written, boundary="none")
    plain = {text: run_on_view(fold(text)) for text in written}
    choose = random.Random(7)
    noise = ["", " ", "\u200b", "·", "。", "\u0301", "　"]
    seen = 0
    for _ in range(2_000):
        phrase = choose.choice(written)
        letters = "".join(letter + choose.choice(noise) for letter in phrase.upper())
        text = f"{choose.choice(ALPHABET)} 好，{letters}。{choose.choice(ALPHABET)}"
        for hit in engine.read(text, "agent").hits:
            if hit.how in ("exact", "folded", "separated"):
                seen += 1
                assert run_on_view(fold(text[slice(*hit.span)])) == plain[hit.phrase], (text, hit)
    assert seen > 1_000  # else nothing was tried


def test_any_text_gives_a_verdict() -> None:
    engine = engine_of("骗子", "idiot", "加微信", pinyin="mixed")
    texts = [*random_texts(1_000), "👨‍👩‍👧‍👦🏳️‍🌈" * 50, "\ud83d" * 100, "骗zi\udc00" * 1_000, "a" * 1_000_000]
    for text in texts:
        for reading in read_in_turn(engine, text, text[::-1]):
            assert all(0 <= start < end <= len(text) for start, end in (hit.span for hit in reading.hits))
