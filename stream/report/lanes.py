"""The two charts of who and what, without a scale: the alerts as bars, and the turns of both sides."""

from __future__ import annotations

from collections.abc import Set

from detectors.columns import STEP_SECONDS
from stream.report.svg import LEFT, PLOT, WIDTH, element, number, text, width_of, within, x_of
from stream.report.talk import runs
from stream.report.values import AlertSpan, Report, Span
from stream.report.words import Words, clock

AXIS = 20.0
"""Pixels under a chart for its times."""
BAR, LANE = 20.0, 26.0
TURN, BETWEEN = 26.0, 6.0
MARKS = 14.0
LEGEND = 24.0
ICONS = {"critical": "●", "warning": "▲", "info": "■"}
"""A severity is never a colour alone; the same signs as on the pages."""


def alert_lanes(report: Report, words: Words, window: Span) -> tuple[str, float]:
    """Bars of the alerts within the window, in as many lanes as are needed; returns (drawing, height)."""
    lanes: list[float] = []
    body = ""
    for alert in report.alerts:
        found = within(window, [alert.within(report.seconds)], 3.0)
        if not found:
            continue
        x, width = found[0]
        label = f"{ICONS[alert.severity]} {words.name(alert.rule_name)} {clock(alert.begins)}"
        wanted = width_of(label) + 12
        # The words stand in the bar, else behind it, else before it: never across its edge.
        inside = wanted <= width
        behind = inside or x + width + wanted <= LEFT + PLOT
        starts = x if behind else x - wanted
        ends = x + width + (wanted if behind and not inside else 0)
        lane = next((i for i, taken in enumerate(lanes) if taken + 4 < starts), len(lanes))
        lanes[lane:] = [ends] if lane == len(lanes) else [ends, *lanes[lane + 1 :]]
        top = 4 + lane * LANE
        body += element("rect", x=x, y=top, width=width, height=BAR, rx=3, class_=f"bar {alert.severity}-bar")
        place = x + 6 if inside else x + width + 6 if behind else x - 6
        body += text(place, top + 14, label, f"name {alert.severity}-text", None if behind else "end")
    if not lanes:
        return text(LEFT, 18, words("chart.alerts.none"), "tick"), 4 + LANE
    return body, 4 + LANE * len(lanes)


def turn_lanes(report: Report, words: Words, window: Span) -> tuple[str, float]:
    """The speech of each side as blocks, what happens between them, and the legend; returns (drawing, height)."""
    body, top = "", 4.0 + MARKS
    tops: dict[str, float] = {}
    for side in report.sides:
        tops[side.side] = top
        body += text(0, top + 17, words(f"side.{side.side}"), f"side {side.side}-text")
        body += element("rect", x=LEFT, y=top, width=PLOT, height=TURN, class_="ground")
        spans = [(first * STEP_SECONDS, end * STEP_SECONDS) for first, end in runs(side.speech)]
        for x, width in within(window, spans):
            body += element("rect", x=x, y=top, width=width, height=TURN, class_=f"{side.side}-fill")
        top += TURN + BETWEEN
    first, last = 4.0 + MARKS, top - BETWEEN
    for event in report.talk.events:
        for x, width in within(window, [(event.begins, event.ends)]):
            body += element("rect", x=x, y=first - 2, width=width, height=last - first + 4, class_=event.kind)
            label = words("seconds", n=f"{event.ends - event.begins:.1f}")
            if event.kind != "overtalk" and width > width_of(label, 11) + 8:
                name = f"{words(f'legend.{event.kind}')} {label}"
                label = name if width > width_of(name, 11) + 8 else label
                body += text(x + width / 2, (first + last) / 2 + 4, label, "event", "middle")
    for cut in report.talk.interruptions:
        if window[0] <= cut.at < window[1]:
            x = float(x_of(window, cut.at))
            y = first - 3 if tops[cut.side] == first else last + MARKS - 2
            body += _mark(x, y, f"{cut.side}-fill")
    shown: set[str] = {event.kind for event in report.talk.events}
    if report.talk.interruptions:
        shown.add("interruption")
    if not shown:
        return body, last + 4
    return body + _legend(words, shown, last + MARKS), last + MARKS + LEGEND


def _mark(x: float, y: float, class_: str) -> str:
    """A triangle whose point is at (x, y): here somebody came in."""
    return element("path", d=f"M{number(x)} {number(y)}l-5 -9h10z", class_=class_)


def _legend(words: Words, shown: Set[str], top: float) -> str:
    """What the patterns that are to be seen mean, in a line at the right."""
    body, x = "", float(WIDTH)
    for kind in ("interruption", "hold", "dead_air", "overtalk"):
        if kind not in shown:
            continue
        label = words(f"legend.{kind}")
        x -= width_of(label, 11) + 44
        if kind == "interruption":
            body += _mark(x + 8, top + 12, "agent-fill")
        else:
            body += element("rect", x=x, y=top + 2, width=20, height=11, class_=kind)
        body += text(x + 26, top + 12, label, "tick")
    return body


def alert_time(alert: AlertSpan, words: Words) -> str:
    """From when to when an alert stood."""
    return f"{clock(alert.begins)} – {words('alert.to_end') if alert.ends is None else clock(alert.ends)}"
