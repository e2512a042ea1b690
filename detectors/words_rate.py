"""How fast a side speaks by its transcript: characters or words a minute of a turn."""

from __future__ import annotations

import re

SHORTEST_TURN_SECONDS = 0.3
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af]")
_WORD = re.compile(r"[^\W_]+(?:[’'-][^\W_]+|(?<=\d)[.,:]\d+)*")


def rate_from_words(text: str, start_seconds: float, end_seconds: float) -> float | None:
    """Characters (字) or words a minute of one transcript turn; None when it is empty or shorter than 0.3 s.

    A text with Chinese, Japanese or Korean characters is counted in characters (letters and digits, no spaces, no
    punctuation), any other in words: "don't", "well-known" and "1,200" are one each.
    """
    seconds = end_seconds - start_seconds
    if seconds < SHORTEST_TURN_SECONDS:
        return None
    count = sum(map(str.isalnum, text)) if _CJK.search(text) else len(_WORD.findall(text))
    return count * 60 / seconds if count else None
