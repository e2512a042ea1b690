"""Which Latin letter a letter of another alphabet looks like."""

from __future__ import annotations

# Single letters of Unicode's confusables.txt (UTS #39, Unicode License v3) whose look-alike is one of a-z, taken after
# NFKC and case folding (μ, η by their small form); only alphabets that are met in such spellings, so that Burmese or
# Ethiopic text stays itself.
_LOOK_LIKE = {
    "a": "ɑαаᎪᗅꓮ",
    "b": "ƅβвьᏏᏴᑲᖯᗷꓐꞵ",
    "c": "сᏟᴄⲥꓚ",
    "d": "ԁᎠᏧᑯᗞᗪꓒꓓ",
    "e": "εеҽᎬꓰꬲ",
    "f": "ϝքᖴẝꓝꞙꬵ",
    "g": "ƍɡԍցᏀᏳᶃꓖ",
    "h": "нһհᎻᏂᕼⲏꓧ",
    "i": "ıɩɪιіӏᎥꙇ",
    "j": "ʝϳјᎫᒍꓙ",
    "k": "κкᏦⲕꓗ",
    "l": "ǀᏞᒪⲓⳑꓡꓲ",
    "m": "ϻмᎷᗰⲙꓟ",
    "n": "ηոռⲛꓠ",
    "o": "οσоօᴏᴑⲟꓳꬽ",
    "p": "ρрᏢᑭⲣꓑ",
    "q": "ԛգզ",
    "r": "ʀгᎡᎱᏒᖇᴦⲅꓣꭇꭈ",
    "s": "ƽѕտᏕᏚꓢꜱ",
    "t": "τтᎢⲧꓔ",
    "u": "ʋμυսᑌᴜꓴꞟꭎꭒ",
    "v": "νѵᏙᐯᴠꓦ",
    "w": "ɯѡԝաᎳᏔᴡꓪ",
    "x": "χхᕁᕽⲭꓫꭓ",
    "y": "ɣʏγуүᎩᎽᶌỿⲩꓬꭚ",
    "z": "ζᏃᴢꓜ",
}

# Letters with a stroke have no decomposition in Unicode, yet are read as the letter below it.
_STROKED = dict(zip("abcdeghilot", "ⱥƀȼđɇǥħɨłøŧ", strict=True))

LATIN_LOOKALIKES: dict[str, str] = {
    like: latin for table in (_LOOK_LIKE, _STROKED) for latin, likes in table.items() for like in likes
}
"""Folded letter -> the letter of a-z it is read as."""
