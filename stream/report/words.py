"""The words and figures of a report, in Chinese or English; what the pages have words for is said with theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

from alerts.conditions import primary_language
from detectors.metrics import BY_NAME

Language = Literal["zh", "en"]

MINUS = "\N{MINUS SIGN}"
_DIGITS = {"dB": 1, "st": 1, "s": 1, "dBov": 1, "share": 2, "points": 0}


class Words:
    """Says things in one language."""

    def __init__(self, language: Language, call_language: str | None) -> None:
        self.language = language
        self.call_is_chinese = primary_language(call_language) == "zh"
        self._texts: dict[str, str] = {}
        for folder in (files("alerts.web").joinpath("pages", "i18n"), files("stream.report")):
            self._texts |= json.loads(folder.joinpath(f"{language}.json").read_text(encoding="utf-8"))

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key. Raises KeyError for one that there is no text for."""
        return self._texts[key].format(**values) if values else self._texts[key]

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def name(self, names: Mapping[str, str]) -> str:
        """What a rule is called."""
        return names.get(self.language) or next(iter(names.values()))

    def list_of(self, parts: list[str]) -> str:
        """Some words after each other."""
        return self("list").join(parts)

    def metric(self, name: str) -> str:
        """What a metric is called."""
        metric = BY_NAME[name]
        return metric.zh if self.language == "zh" else metric.en

    def unit(self, unit: str) -> str:
        """A unit of the catalogue; syllables of Mandarin are characters."""
        key = f"unit.{unit}"
        if not self.call_is_chinese and f"{key}.other" in self._texts:
            key += ".other"
        return self._texts.get(key, unit)

    def measured(self, metric: str, value: float, digits: int | None = None) -> str:
        """A value with its unit, signed where it is a difference."""
        unit = BY_NAME[metric].unit
        figure = signed(value, self.digits(metric) if digits is None else digits, unit in ("dB", "st"))
        if unit == "share":
            return f"{signed(value * 100, 0)}%"
        return f"{figure} {self.unit(unit)}".strip()

    def digits(self, metric: str) -> int:
        """How many decimals a value of a metric is worth."""
        return _DIGITS.get(BY_NAME[metric].unit, 0)

    def limit(self, metric: str, value: float, is_upper: bool) -> str:
        """A limit of a rule."""
        return self(
            "limit.upper" if is_upper else "limit.lower", limit=self.measured(metric, value, 0 if value % 1 == 0 else 1)
        )


def signed(value: float, digits: int, always: bool = False) -> str:
    """A figure with a true minus sign, and with a plus where it is a difference."""
    written = f"{abs(value):.{digits}f}"
    is_zero = float(written) == 0
    return (MINUS if value < 0 and not is_zero else "+" if always and not is_zero else "") + written


def clock(seconds: float) -> str:
    """A time of the call: 1:05, or 1:02:03."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
