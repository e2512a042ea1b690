"""Hides phone numbers, ID cards, bank cards and e-mail addresses in a text without changing its length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

STAR = "*"

# One separator between two digits is read over: "138 0013 8000", "138-0013-8000", "1.3.8...".
_GAP = r"[ .\-_/\u00b7\u2010-\u2015\u2212]?"
_START = r"(?<!\d)"
_END = r"(?!\d)"

_EMAIL = re.compile(r"(?P<number>[A-Za-z0-9._%+\-]+)@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+")
# GB 11643-1999: area (6), birthday (8), sequence (3), check (digit or X); and the older form of 15 digits.
_ID_CARD = re.compile(
    rf"{_START}(?P<number>[1-9](?:{_GAP}\d){{5}}"
    rf"(?:{_GAP}(?:1{_GAP}9|2{_GAP}0)(?:{_GAP}\d){{9}}{_GAP}[\dXx]|(?:{_GAP}\d){{9}}))(?![\dXx])"
)
_CARD = re.compile(rf"{_START}(?P<number>\d(?:{_GAP}\d){{12,18}}){_END}")
# Mainland mobile, with or without the country's code.
_MOBILE = re.compile(rf"(?:{_START}(?:\+|00)?86{_GAP}|{_START})(?P<number>1{_GAP}[3-9](?:{_GAP}\d){{9}}){_END}")
_OTHER_PHONES = (
    # E.164 and the usual ways to write it: + and 8 to 15 digits.
    re.compile(rf"(?P<number>\+\d(?:[ .\-()]{{0,2}}\d){{7,14}}){_END}"),
    # Mainland landline, area code first.
    re.compile(rf"{_START}(?P<number>0\d{{2,3}}[ \-\u2010-\u2015]?\d{{7,8}}){_END}"),
    # North America.
    re.compile(rf"{_START}(?P<number>\(?[2-9]\d{{2}}\)?[ .\-]\d{{3}}[ .\-]\d{{4}}){_END}"),
)


def _digits(found: re.Match[str]) -> list[int]:
    """Return where the digits of a number stand in the text (and the X that may end an ID card)."""
    return [at for at in range(*found.span("number")) if found.string[at] in "0123456789Xx"]


def _all_but(first: int, last: int) -> Callable[[re.Match[str]], Iterable[int]]:
    """Return a rule that hides a number but its `first` and `last` digits."""
    return lambda found: _digits(found)[first:-last]


def _card(found: re.Match[str]) -> Iterable[int]:
    """Hide a bank card; a number that fails the check digit of ISO/IEC 7812-1 (an order number) stays."""
    digits = [int(found.string[at]) for at in _digits(found)]
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    return () if (sum(digits[-1::-2]) + sum(doubled)) % 10 else _digits(found)[:-4]


def _mailbox(found: re.Match[str]) -> Iterable[int]:
    """Hide the local part but its first character; the domain says whose mailbox and stays."""
    start, end = found.span("number")
    return range(start + 1, end)


# The longer numbers first: what is hidden already no longer looks like a shorter one.
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterable[int]]], ...] = (
    (_EMAIL, _mailbox),
    (_ID_CARD, _all_but(3, 4)),
    (_CARD, _card),
    (_MOBILE, _all_but(3, 4)),
    *((phone, _all_but(3, 4)) for phone in _OTHER_PHONES),
)


@lru_cache(8192)
def _plain(char: str) -> str:
    """Return the one character that a full-width, circled or other script's one stands for."""
    folded = str(unicodedata.decimal(char)) if char.isdecimal() else unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char


def mask_text(text: str) -> str:
    """Return `text` with personal numbers starred; as many code points, so spans still point at the same words."""
    read = text if text.isascii() else "".join(map(_plain, text))
    hidden: set[int] = set()
    for pattern, rule in _RULES:
        found = {at for match in pattern.finditer(read) for at in rule(match)}
        if found:
            hidden |= found
            read = "".join(STAR if at in found else char for at, char in enumerate(read))
    return "".join(STAR if at in hidden else char for at, char in enumerate(text)) if hidden else text


def mask_optional(text: str | None) -> str | None:
    """Mask a text that may be absent."""
    return None if text is None else mask_text(text)


def mask_deep(value: Any) -> Any:
    """Mask every string inside JSON values; keys are ours and stay."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: mask_deep(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mask_deep(inner) for inner in value]
    return value


def mask_alert(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alert, as `alerts.store.alerts.alert_body` gives it, with its texts masked; ids stay whole."""
    evidence = body["evidence"]
    return {
        **body,
        "note": mask_optional(body["note"]),
        "evidence": {
            **evidence,
            "text": mask_optional(evidence.get("text")),
            "extra": mask_deep(evidence.get("extra") or {}),
        },
    }


def mask_finding(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the interception log with its texts masked; ids stay whole."""
    return {**row, "text": mask_text(row["text"]), "review_reason": mask_optional(row["review_reason"])}
