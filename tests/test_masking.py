from __future__ import annotations

import random

import pytest

from alerts.masking import mask_deep, mask_text

HIDDEN = [
    ("电话13800137712谢谢", "电话138****7712谢谢"),
    ("138 0013 7712", "138 **** 7712"),
    ("138-0013-7712", "138-****-7712"),
    ("１３８００１３７７１２", "１３８****７７１２"),
    ("+86 138-0013-7712", "+86 138-****-7712"),
    ("8613800137712", "86138****7712"),
    ("13800137712/13900137712", "138****7712/139****7712"),
    ("010-62345678", "010-****5678"),
    ("+44 20 7946 0958", "+44 2* **** 0958"),
    ("call (415) 555-2671 now", "call (415) ***-2671 now"),
    ("身份证11010519491231002X", "身份证110***********002X"),
    ("身份证 110105 19491231 0021", "身份证 110*** ******** 0021"),
    ("110105491231002", "110********1002"),
    ("卡号 6222 0212 3456 7890 128", "卡号 **** **** **** ***0 128"),
    ("4111111111111111", "************1111"),
    ("zhang.san@qq.com", "z********@qq.com"),
    ("写信到abc@def.cn。", "写信到a**@def.cn。"),
]

READABLE = [
    "订单 20261121000012345",  # 17 digits that fail the check digit
    "2026-11-21 10:00:00",
    "价格 1999 元, 共 12,345.67",
    "order 202611211000",
    "第 1234567 号",
    "@everyone 看一下",
    "",
]


@pytest.mark.parametrize(("text", "masked"), HIDDEN)
def test_personal_numbers_are_hidden(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize("text", READABLE)
def test_other_numbers_stay_readable(text: str) -> None:
    assert mask_text(text) == text


def test_length_and_everything_else_stay_in_place() -> None:
    # Spans point into the original text: one code point more or less and the wrong words are marked.
    rng = random.Random(7)
    pieces = [text for text, _ in HIDDEN] + ["骗子", "ﬁ", "𝟙𝟛𝟠", "👨‍👩‍👧", "①③⑧", "\u200b", " ", "e\u0301"]
    for _ in range(300):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 6)))
        masked = mask_text(text)
        assert len(masked) == len(text)
        assert all(after in (before, "*") for before, after in zip(text, masked, strict=True))


def test_masking_twice_changes_nothing_more() -> None:
    for text, masked in HIDDEN:
        assert mask_text(masked) == masked, text


def test_json_is_masked_inside_and_keeps_its_form() -> None:
    value = {"text": "13800137712", "spans": [[0, 11]], "extra": {"before": ["zs@qq.com", None, 3.5, True]}}
    assert mask_deep(value) == {
        "text": "138****7712",
        "spans": [[0, 11]],
        "extra": {"before": ["z*@qq.com", None, 3.5, True]},
    }
