"""Draws in SVG: a panel maps seconds and values to a place, and its functions give elements as text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from detectors.arrays import FloatArray
from stream.report.talk import runs
from stream.report.values import Span

WIDTH = 1160
LEFT, RIGHT = 104, 16
PLOT = WIDTH - LEFT - RIGHT
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 14


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, content: str | None = None, **attributes: object) -> str:
    """One element; `class_` is class, `stroke_width` is stroke-width, and text content is escaped by `text`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}/>" if content is None else f"<{name}{written}>{content}</{name}>"


def text(x: float, y: float, words: str, class_: str, anchor: str | None = None) -> str:
    """A line of text; `anchor` is middle or end."""
    return element("text", escape(words), x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def width_of(words: str, size: float = 12.0) -> float:
    """About how wide a line of text will be: nobody knows the reader's fonts."""
    return size * sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.54 for letter in words)


def time_ticks(window: Span) -> list[float]:
    """Round times within the window, a dozen or so, in seconds of the call."""
    length = window[1] - window[0]
    step = next((step for step in _TICKS if length / step <= MOST_TICKS), _TICKS[-1])
    return [float(t) for t in np.arange(np.ceil(window[0] / step) * step, window[1] + 1e-9, step)]


def x_of(window: Span, seconds: FloatArray | float) -> FloatArray:
    """Pixels from the left edge."""
    share = (np.asarray(seconds, np.float64) - window[0]) / (window[1] - window[0])
    return np.asarray(LEFT + share * PLOT)


def within(window: Span, spans: Iterable[Span], least_pixels: float = 0.5) -> list[Span]:
    """Pixels (x, width) of the parts of `spans` that lie in the window; such as nobody could tell apart are joined."""
    found: list[Span] = []
    for begins, ends in spans:
        if ends <= window[0] or begins >= window[1]:
            continue
        x = float(x_of(window, max(begins, window[0])))
        end = float(x_of(window, min(ends, window[1])))
        if found and x - (found[-1][0] + found[-1][1]) < least_pixels:
            found[-1] = (found[-1][0], end - found[-1][0])
        else:
            found.append((x, max(end - x, least_pixels)))
    return found


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot of one metric of one side within a chart."""

    window: Span
    low: float
    high: float
    top: float
    height: float

    def y(self, values: FloatArray | float) -> FloatArray:
        """Pixels from the chart's upper edge, held within the panel."""
        share = np.clip((np.asarray(values, np.float64) - self.low) / (self.high - self.low), 0, 1)
        return np.asarray(self.top + self.height * (1 - share))

    def box(self) -> str:
        """The panel's ground."""
        return element("rect", x=LEFT, y=self.top, width=PLOT, height=self.height, class_="ground")

    def band(self, low: float, high: float, class_: str) -> str:
        """A stripe across the panel, between two values."""
        top, bottom = float(self.y(high)), float(self.y(low))
        return element("rect", x=LEFT, y=top, width=PLOT, height=bottom - top, class_=class_)

    def level(self, value: float, class_: str) -> str:
        """A line across the panel at a value."""
        y = float(self.y(value))
        return element("line", x1=LEFT, x2=LEFT + PLOT, y1=y, y2=y, class_=class_)

    def stretches(self, spans: Iterable[Span], class_: str) -> str:
        """Stretches of time, from the panel's top to its bottom."""
        return "".join(
            element("rect", x=x, y=self.top, width=width, height=self.height, class_=class_)
            for x, width in within(self.window, spans)
        )

    def ticks(self, values: Sequence[float], labels: Sequence[str]) -> str:
        """Values at the left edge, each with its line."""
        lines = "".join(self.level(value, "grid") for value in values)
        named = zip(values, labels, strict=True)
        return lines + "".join(text(LEFT - 6, float(self.y(v)) + 4, label, "tick", "end") for v, label in named)

    def line(self, seconds: FloatArray, values: FloatArray, class_: str) -> str:
        """A line through the values within the window, broken where they are NaN; a value on its own is a dot."""
        inside = (seconds >= self.window[0]) & (seconds <= self.window[1])
        seconds, values = seconds[inside], values[inside]
        known = np.isfinite(values)
        if not known.any():
            return ""
        xs, ys = x_of(self.window, seconds), self.y(np.where(known, values, self.low))
        parts = []
        for first, end in runs(known):
            points = [f"{number(x)} {number(y)}" for x, y in zip(xs[first:end], ys[first:end], strict=True)]
            parts.append(f"M{'L'.join(points)}" + ("h.01" if end - first == 1 else ""))
        return element("path", d="".join(parts), class_=class_)
