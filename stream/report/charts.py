"""The six charts of a stretch of a recording, one under the other on one time axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from detectors import intonation, speech_rate, volume
from detectors.arrays import FloatArray
from detectors.columns import STEP_SECONDS, STEPS_PER_SECOND
from stream.report.lanes import AXIS, alert_lanes, turn_lanes
from stream.report.svg import LEFT, PLOT, Panel, element, number, text, time_ticks, width_of, x_of
from stream.report.talk import runs
from stream.report.values import Report, Series, SideReport, Span
from stream.report.words import Words, clock, signed

HEIGHTS = {"agent": 92, "customer": 68}
"""A report is about the agent first."""
GAP = 10
RATE_SECONDS = speech_rate.LEAST_STEPS // STEPS_PER_SECOND
LEVEL_BAND_DB = 3.0
RATE_BAND = 0.1
PITCH_BAND_SEMITONES = 1.5
"""The grey bands of the live floor."""
PITCH_RANGE_SEMITONES = 12.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart, `height` pixels of a drawing that is `svg.WIDTH` wide."""

    key: str
    height: float
    body: str


def charts_of(report: Report, words: Words, window: Span) -> list[Chart]:
    """Return the charts of the part of the recording that `window` is, from what the rules say down to the pitch."""
    lanes, height = alert_lanes(report, words, window)
    found = [_framed("alerts", window, lanes, height)]
    lanes, height = turn_lanes(report, words, window)
    found.append(_framed("turns", window, lanes, height))
    loudest = max((float(np.abs(side.wave).max(initial=0.0)) for side in report.sides), default=0.0)
    draw: dict[str, Callable[[Panel, SideReport], str]] = {
        "wave": lambda panel, side: _wave(panel, side),
        "level": lambda panel, side: _level(panel, side, report, words),
        "rate": lambda panel, side: _rate(panel, side, report, words),
        "pitch": lambda panel, side: _pitch(panel, side, report, words),
    }
    for key, drawn in draw.items():
        body, top = "", 4.0
        for side in report.sides:
            low, high = _range(key, side, report, max(loudest, 0.02))
            panel = Panel(window, low, high, top, HEIGHTS.get(side.side, 80))
            name = text(0, top + 14, words(f"side.{side.side}"), f"side {side.side}-text")
            unit = {"level": "dB", "rate": words.unit("syl/min"), "pitch": words.unit("st")}.get(key, "")
            body += panel.box() + name + text(0, top + 30, unit, "tick") + drawn(panel, side)
            top += panel.height + GAP
        found.append(_framed(key, window, body, top - GAP))
    return found


def _framed(key: str, window: Span, body: str, height: float) -> Chart:
    """A chart with its time axis: lines behind, times below."""
    lines = times = ""
    for tick in time_ticks(window):
        x = float(x_of(window, tick))
        lines += element("line", x1=x, x2=x, y1=4, y2=height, class_="grid")
        times += text(x, height + 14, clock(tick), "tick", "middle")
    return Chart(key, height + AXIS, lines + body + times)


def _range(key: str, side: SideReport, report: Report, loudest: float) -> Span:
    """Lowest and highest value of a panel: a calm call is not blown up into a wild one, and limits are in sight."""
    if key == "wave":
        return -loudest, loudest
    if key == "pitch":
        over = np.abs(_over_usual(side))
        over = over[np.isfinite(over)]
        reach = float(np.percentile(over, 98)) + 1 if len(over) else 0.0
        reach = min(max(PITCH_RANGE_SEMITONES, reach), 2 * PITCH_RANGE_SEMITONES)
        return -reach, reach
    metric = {"level": "volume.over_baseline_db", "rate": "speech_rate.spm"}[key]
    low, high = {"level": (-8.0, 10.0), "rate": (120.0, 330.0)}[key]
    known = side.metrics[metric][np.isfinite(side.metrics[metric])]
    limits = [limit.value for limit in side.limits if limit.metric == metric]
    low, high = min([low, *limits, *known.tolist()]), max([high, *limits, *known.tolist()])
    margin = 0.12 * (high - low)  # room for a limit's name beyond it
    low, high = low - margin, high + 1.3 * margin
    return (low, high) if key == "level" else (max(0.0, low), high)


def _times(series: Series) -> FloatArray:
    """When each value of a series was scored, in seconds of the call."""
    return np.arange(1, len(series) + 1, dtype=np.float64)


def _wave(panel: Panel, side: SideReport) -> str:
    """The swing of the sound by columns of pixels: speech in the side's colour on its shade, the rest pale."""
    first, end = (round(edge / STEP_SECONDS) for edge in panel.window)
    wave, speech = side.wave[first:end], side.speech[first:end]
    columns = min(PLOT, len(wave))
    if not columns:
        return ""
    starts = np.linspace(0, len(wave), columns, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(wave[:, 0], starts), np.maximum.reduceat(wave[:, 1], starts)
    spoken = np.logical_or.reduceat(speech, starts)
    xs = x_of(panel.window, (starts + first + 0.5 * (len(wave) / columns)) * STEP_SECONDS)
    tops, bottoms = panel.y(high), panel.y(low)
    body = panel.stretches(speech_spans(side), f"shade {side.side}-shade")
    stroke = max(1.0, PLOT / columns * 0.8)
    for is_speech, class_ in ((False, "noise"), (True, f"{side.side}-line")):
        bars = "".join(
            f"M{number(x)} {number(top)}V{number(max(bottom, top + 0.5))}"
            for x, top, bottom in zip(
                xs[spoken == is_speech], tops[spoken == is_speech], bottoms[spoken == is_speech], strict=True
            )
        )
        body += element("path", d=bars, class_=f"wave {class_}", stroke_width=stroke) if bars else ""
    return body


def _level(panel: Panel, side: SideReport, report: Report, words: Words) -> str:
    metric = "volume.over_baseline_db"
    ticks = [v for v in (-20.0, -10.0, 0.0, 10.0, 20.0) if panel.low <= v <= panel.high]
    return (
        panel.band(-LEVEL_BAND_DB, LEVEL_BAND_DB, "band")
        + panel.ticks(ticks, [signed(v, 0, True) for v in ticks])
        + panel.level(0, "zero")
        + _judged(panel, side, metric, report, words)
        + _unknown(panel, side.metrics[metric], words("axis.unknown", n=round(volume.BASELINE_AFTER_SECONDS)))
    )


def _rate(panel: Panel, side: SideReport, report: Report, words: Words) -> str:
    metric = "speech_rate.spm"
    weight = np.nan_to_num(side.metrics["speech.active"])
    known = np.isfinite(side.metrics[metric])
    body = ""
    if (weight * known).sum() >= speech_rate.BASELINE_AFTER_SECONDS:
        own = float(np.average(side.metrics[metric][known], weights=weight[known] + 1e-9))
        body = panel.band(own * (1 - RATE_BAND), own * (1 + RATE_BAND), "band")
    ticks = [float(v) for v in range(100, 800, 100) if panel.low <= v <= panel.high]
    return (
        body
        + panel.ticks(ticks, [f"{v:.0f}" for v in ticks])
        + _judged(panel, side, metric, report, words)
        + _unknown(
            panel,
            side.metrics[metric],
            words("axis.unknown", n=RATE_SECONDS),
            panel.height / 2,
        )
    )


def _pitch(panel: Panel, side: SideReport, report: Report, words: Words) -> str:
    """The contour against the usual pitch as it stood then, and the live median the rule looks at."""
    metric = "intonation.f0_shift_semitones"
    usual = usual_pitch(side)
    step = 6.0 if panel.high < 15 else 12.0
    ticks = [-step, 0.0, step]
    body = panel.band(-PITCH_BAND_SEMITONES, PITCH_BAND_SEMITONES, "band")
    body += panel.ticks(ticks, [signed(v, 0, True) for v in ticks]) + panel.level(0, "zero")
    known = usual[np.isfinite(usual)]
    if not len(known):
        return body
    body += text(0, panel.top + 46, words("axis.zero_hz", n=f"{known[-1]:.0f}"), "tick")
    over = _over_usual(side)
    over[~((over > panel.low) & (over < panel.high))] = np.nan
    body += _contour(panel, np.arange(len(over)) * STEP_SECONDS, over, f"contour {side.side}-line")
    return (
        body
        + _judged(panel, side, metric, report, words)
        + _unknown(panel, side.metrics[metric], words("axis.voiced", n=round(intonation.BASELINE_AFTER_SECONDS)))
    )


def usual_pitch(side: SideReport) -> Series:
    """The baseline that each second's shift was taken against, in Hz; before it is known, the first that is.

    A side that never spoke long enough for one is held against the median of its contour.
    """
    base = side.metrics["intonation.f0_hz"] / 2 ** (side.metrics["intonation.f0_shift_semitones"] / 12)
    known = np.flatnonzero(np.isfinite(base))
    if len(known):
        return np.asarray(base[known[np.maximum(np.searchsorted(known, np.arange(len(base)), side="right") - 1, 0)]])
    voiced = side.pitch_hz[np.isfinite(side.pitch_hz)]
    return np.full(max(len(base), 1), np.median(voiced) if len(voiced) else np.nan)


def _over_usual(side: SideReport) -> Series:
    """(steps,): the contour in semitones over the usual pitch of its time."""
    usual = usual_pitch(side)
    at = np.clip((np.arange(len(side.pitch_hz)) * STEP_SECONDS).astype(int), 0, len(usual) - 1)
    return np.asarray(12 * np.log2(side.pitch_hz / usual[at]))


def _contour(panel: Panel, seconds: FloatArray, values: FloatArray, class_: str) -> str:
    """A contour that has many points a pixel: the median of each half pixel."""
    first, end = np.searchsorted(seconds, panel.window)
    seconds, values = seconds[first:end], values[first:end]
    per = max(1, -(-len(values) // (2 * PLOT)))
    if per > 1:
        padded = np.pad(values, (0, -len(values) % per), constant_values=np.nan).reshape(-1, per)
        ordered = np.sort(padded, axis=1)  # NaN last
        count = np.isfinite(padded).sum(axis=1)
        values = np.where(count > 0, ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2], np.nan)
        seconds = seconds[::per]
    return panel.line(seconds, values, class_)


def _judged(panel: Panel, side: SideReport, metric: str, report: Report, words: Words) -> str:
    """A metric a rule looks at: its alerts' time, its limits dashed, its line, thick where it is past a limit."""
    series, times = side.metrics[metric], _times(side.metrics[metric])
    alerts = [alert for alert in report.alerts if alert.metric == metric and alert.side == side.side]
    body = "".join(panel.stretches([alert.within(report.seconds)], f"{alert.severity}-shade") for alert in alerts)
    beyond, names = np.zeros(len(series), bool), ""
    for limit in side.limits:
        if limit.metric != metric:
            continue
        beyond |= series > limit.value if limit.is_upper else series < limit.value
        body += panel.level(limit.value, "limit")
        label = words.limit(metric, limit.value, limit.is_upper)
        names += text(LEFT + 6, float(panel.y(limit.value)) + (-4 if limit.is_upper else 12), label, "limit-text")
    shown = np.where(_recent(side), series, np.nan)
    body += panel.line(times, shown, f"value {side.side}-line")
    return body + panel.line(times, np.where(beyond, shown, np.nan), "value beyond") + names


def _recent(side: SideReport) -> FloatArray:
    """(seconds,): whether the side spoke within the reach of the live windows."""
    active = np.nan_to_num(side.metrics["speech.active"]) > 0
    last = np.maximum.accumulate(np.where(active, np.arange(len(active)), -1e9)) if len(active) else np.zeros(0)
    return np.asarray(np.arange(len(active)) - last < speech_rate.WINDOW_SECONDS)


def _unknown(panel: Panel, series: Series, why: str, up: float = 6) -> str:
    """Say why a panel is empty at first, where there is room for it, `up` pixels over its lower edge."""
    known = np.flatnonzero(np.isfinite(series))
    until = float(known[0]) if len(known) else float(len(series))
    begin, end = (float(x) for x in x_of(panel.window, np.clip([0.0, until], *panel.window)))
    if end - begin < width_of(why, 10.5) + 12:
        return ""
    return text(begin + 6, panel.top + panel.height - up, why, "tick")


def speech_spans(side: SideReport) -> Iterable[Span]:
    """Seconds of every stretch the side speaks."""
    return [(first * STEP_SECONDS, end * STEP_SECONDS) for first, end in runs(side.speech)]
