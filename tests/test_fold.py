from __future__ import annotations

import random
import sys

import pytest

from detectors.phrases.fold import (
    Mapped,
    fold,
    fold_character,
    is_mark,
    is_unspaced,
    run_on_view,
    spaced_words,
    squeezed_views,
    words_view,
)
from detectors.phrases.lookalikes import LATIN_LOOKALIKES
from detectors.phrases.traditional import SIMPLIFIED


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("ＳＨＵＴ　ＵＰ", "shut up"),
        ("𝓼𝓽𝓾𝓹𝓲𝓭", "stupid"),
        ("⒮⒯⒰", "stu"),
        ("🅸🄳🅘", "idi"),
        ("🇮🇩", "id"),
        ("①➀❶⒈١壹", "111111"),
        ("1️⃣", "1"),
        ("騙子", "骗子"),
        ("妳們", "你们"),
        ("老", "老"),
        ("㊙", "秘"),
        ("mộrộn", "moron"),
        ("f̷̛o̴͝o̶͘l̵̾", "fool"),
        ("sсаm", "scam"),
        ("50µs", "50us"),
        ("straße", "strasse"),
        ("ﬃ", "ffi"),
        ("İ", "i"),
        ("s\u200bc\u00ada\u2060m\ufe0f", "scam"),
        ("骗\u3164子", "骗子"),
        ("傻…瓜", "傻 瓜"),
        ("傻😂瓜", "傻 瓜"),
        ("\ud800骗", " 骗"),
        ("ガ", "ガ"),
        ("한", "한"),
    ],
)
def test_characters_are_written_in_plain_spelling(written: str, plain: str) -> None:
    assert fold(written) == plain


def test_folding_twice_changes_nothing() -> None:
    # Phrases, texts and tails of earlier messages meet folded once or twice; Unicode has 1.1 million code points.
    wrong = [
        code
        for code in range(0, sys.maxunicode + 1, 1)
        if (folded := fold_character(chr(code))) != chr(code) and "".join(map(fold_character, folded)) != folded
    ]
    assert wrong == []


def test_tables_lead_to_plain_letters() -> None:
    assert all(latin in "abcdefghijklmnopqrstuvwxyz" for latin in LATIN_LOOKALIKES.values())
    assert len(SIMPLIFIED) > 2_900
    assert not set(SIMPLIFIED) & set(SIMPLIFIED.values())


def test_which_scripts_have_blanks_between_words() -> None:
    assert all(map(is_unspaced, "骗ガ한ไ㐀𠀀"))
    assert not any(map(is_unspaced, "aяα5áა "))


def test_marks_of_letters_are_no_accents() -> None:
    assert is_mark("\u0301") and is_mark("\u20dd") and is_mark("\u0489")
    assert not is_mark("\u0e34") and not is_mark("\u094d") and not is_mark("\u3099")  # Thai i, virama, dakuten


def test_latin_view_holds_padded_words() -> None:
    assert words_view(fold("Hello,你这个IDIOT别说 ok_1")) == " hello idiot ok 1 "
    assert run_on_view(fold("你 这，个 IDIOT")) == "你这个idiot"


def random_text(seed: int, alphabet: str, length: int = 60) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


@pytest.mark.parametrize("seed", range(20))
def test_mapped_views_are_the_fast_views_with_the_way_back(seed: int) -> None:
    text = random_text(seed, "aB1 ，。骗騙\u200b①ﬃ😀é́Ж\ud800\n.")
    tail = "你 ab\n骗"
    for earlier in ("", tail):
        mapped = Mapped(earlier, text)
        joined = f"{earlier}\n{fold(text)}" if earlier else fold(text)
        assert mapped.words().text == words_view(joined)
        assert mapped.run_on().text == run_on_view(joined)
        for view in (mapped.words(), mapped.run_on()):
            assert len(view.at) == len(view.text)
            for character, index in zip(view.text, view.at, strict=True):
                if character != " " and mapped.origin[index] >= 0:
                    assert character in fold(text[mapped.origin[index]])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "letters",
    [
        "".join(map(chr, range(128))),
        "abAB 12,.。，！ 好的您傻瓜退\u3000ＡＢ\n",
        "傻瓜 ＡＢｃ，。\u200b\u3164\ufe0fß①é騙ี\ud800",
    ],
)
def test_the_short_ways_lead_to_the_same_views(seed: int, letters: str) -> None:
    text = random_text(seed, letters)
    squeezed, words, run_on = squeezed_views(text)
    assert squeezed == " ".join(fold(text).split())
    assert f" {words} " == words_view(fold(text))
    assert run_on == ("" if text.isascii() else run_on_view(fold(text)))


def test_the_views_of_a_text_are_the_ends_of_the_views_that_lead_back_to_it() -> None:
    # The engine looks through the first and takes what it found there for places of the second.
    letters = [*"ab1é骗子6陆①.,! \n\t", "\u200b", "ﬁ", "Ａ", "ก", "๑", "㏂", "⒈", "ß", "\ud800", "👍", "가", "е"]
    generator = random.Random(11)
    for _ in range(5_000):
        before, text = ("".join(generator.choices(letters, k=generator.randrange(25))) for _ in range(2))
        tail, (own, words, run_on) = squeezed_views(before)[0], squeezed_views(text)
        mapped = Mapped(tail, text)
        if words:
            spaced = spaced_words(tail)
            assert mapped.words().text == (f" {spaced} {words} " if spaced else f" {words} "), (tail, text)
        assert mapped.run_on().text == run_on_view(tail) + (run_on or own.replace(" ", "")), (tail, text)
