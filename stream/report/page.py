"""Makes the HTML page of a report: one file that needs nothing else."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from stream.report.charts import Chart, charts_of
from stream.report.facts import Fact, facts_of
from stream.report.lanes import ICONS, alert_time
from stream.report.svg import LEFT, PLOT, WIDTH, element, number
from stream.report.values import AlertSpan, Report, Span
from stream.report.words import Words, clock

PART_SECONDS = 300.0
LONGEST_WHOLE_SECONDS = 360.0
"""A longer call is shown as a whole and then part by part, or a second would be less than three pixels wide."""

HATCH = (
    '<defs><pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff" fill-opacity=".35"/><rect width="2.4" height="6" fill="#17202a"/>'
    "</pattern></defs>"
)
READ_OUT = {
    "volume.over_baseline_db": "level",
    "speech_rate.spm": "rate",
    "intonation.f0_shift_semitones": "pitch",
}
"""What is told of the second under the pointer."""


def page_of(report: Report, words: Words) -> str:
    """Return the page. Everything that comes from outside, the file's name first of all, is escaped."""
    here = files("stream.report")
    heading = f"{words('title')}{words('colon')}{report.file_name}"
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        language="zh-CN" if words.language == "zh" else "en",
        title=escape(heading),
        name=escape(report.file_name),
        kind=escape(words("title")),
        head=escape(head_of(report, words)),
        verdict=escape(verdict_of(report, words)),
        remarks="".join(f"<p class='remark'>{escape(remark)}</p>" for remark in remarks_of(report, words)),
        facts="".join(_tile(fact, report, words) for fact in facts_of(report, words)),
        charts="".join(_section(report, words, part, index) for index, part in enumerate(parts_of(report))),
        alerts=_alerts(report, words),
        foot=escape(words("foot")),
        made=escape(words("made", version=report.version)),
        style=here.joinpath("page.css").read_text(encoding="utf-8")
        + here.joinpath("chart.css").read_text(encoding="utf-8"),
        hatch=f'<svg width="0" height="0" aria-hidden="true">{HATCH}</svg>',
        data=_data(report, words),
        script=here.joinpath("page.js").read_text(encoding="utf-8"),
    )


def head_of(report: Report, words: Words) -> str:
    """Who, how long, when."""
    return words(
        "head",
        sides=words.list_of([words(f"side.{side.side}") for side in report.sides]),
        length=clock(report.seconds),
        date=datetime.datetime.fromtimestamp(report.file_time).strftime("%Y-%m-%d %H:%M"),
    )


def verdict_of(report: Report, words: Words) -> str:
    """What the rules say, in a sentence."""
    if not report.alerts:
        return words("verdict.none")
    told = [words("verdict.one", name=words.name(alert.rule_name), at=clock(alert.begins)) for alert in report.alerts]
    return words("verdict.some", n=len(told), list=words.list_of([*told[:5], *(["…"] if len(told) > 5 else [])]))


def remarks_of(report: Report, words: Words) -> list[str]:
    """What a reader has to know about this recording."""
    if len(report.sides) == 1:
        return [words("one_channel", side=words(f"side.{report.sides[0].side}"))]
    return []


def parts_of(report: Report) -> list[Span]:
    """The whole recording, and where it is long its parts of five minutes."""
    whole = (0.0, max(report.seconds, 1.0))
    if report.seconds <= LONGEST_WHOLE_SECONDS:
        return [whole]
    return [whole, *((at, min(at + PART_SECONDS, report.seconds)) for at in np.arange(0, report.seconds, PART_SECONDS))]


def _tile(fact: Fact, report: Report, words: Words) -> str:
    values = ""
    for index, value in enumerate(fact.values):
        side = report.sides[index].side if fact.by_side else "whole"
        label = f"<span class='who'>{escape(words(f'side.{side}'))}</span>" if fact.by_side else ""
        values += f"<div class='value-{side}'>{label}<b>{escape(value)}</b></div>"
    return f"<div class='tile'><dt>{escape(fact.name)}</dt><dd>{values}<small>{escape(fact.note)}</small></dd></div>"


def _section(report: Report, words: Words, window: Span, index: int) -> str:
    """The charts of one part; what each shows is said once, at the first."""
    many = report.seconds > LONGEST_WHOLE_SECONDS
    title = words("whole") if index == 0 else words("part", **{"from": clock(window[0]), "to": clock(window[1])})
    drawn = "".join(_figure(chart, words, window, is_first=index == 0) for chart in charts_of(report, words, window))
    heading = f"<h2>{escape(words('parts'))}</h2>" if index == 1 else ""
    return heading + f"<section>{f'<h2>{escape(title)}</h2>' if many else ''}{drawn}</section>"


def _figure(chart: Chart, words: Words, window: Span, is_first: bool) -> str:
    name = words(f"chart.{chart.key}")
    about = f"<figcaption>{escape(words(f'chart.{chart.key}.about'))}</figcaption>" if is_first else ""
    cursor = element("line", x1=0, x2=0, y1=4, y2=float(chart.height - 20), class_="cursor")
    drawing = element(
        "svg",
        chart.body + cursor,
        viewBox=f"0 0 {WIDTH} {number(chart.height)}",
        role="img",
        aria_label=name,
        data_from=number(window[0]),
        data_to=number(window[1]),
    )
    return f"<figure><h3>{escape(name)}</h3>{drawing}{about}</figure>"


def alert_cells(alert: AlertSpan, words: Words) -> Sequence[str]:
    """What is told of an alert: when, its rule, who, the furthest value, the limit, what it means."""
    rule = f"{ICONS[alert.severity]} {words.name(alert.rule_name)}"
    rises = [words("alert.rose", severity=words(f"severity.{severity}"), at=clock(at)) for severity, at in alert.rises]
    if len(rises) == 1:
        rises = [words(f"severity.{alert.severity}")]
    shared = alert.side is None or alert.metric in ("turns.dead_air_seconds", "turns.overtalk_seconds")
    who = words("alert.both") if shared else words(f"side.{alert.side}")
    value = limit = meaning = ""
    if alert.metric is not None:
        value = words.measured(alert.metric, alert.worst) if alert.worst is not None else ""
        limit = words.limit(alert.metric, alert.limit, not alert.is_lower) if alert.limit is not None else ""
        meaning = words(key) if (key := f"meaning.{alert.metric}") in words else words.metric(alert.metric)
    return alert_time(alert, words), f"{rule}\n{words.list_of(rises)}", who, value, limit, meaning


def _alerts(report: Report, words: Words) -> str:
    if not report.alerts:
        return ""
    columns = ("time", "rule", "side", "value", "limit", "meaning")
    head = "".join(f"<th scope='col'>{escape(words(f'alert.{name}'))}</th>" for name in columns)
    rows = ""
    for alert in report.alerts:
        cells = []
        for name, cell in zip(columns, alert_cells(alert, words), strict=True):
            first, _, rest = cell.partition("\n")
            more = f"<small>{escape(rest)}</small>" if rest else ""
            cells.append(f"<td class='c-{name} {alert.severity if name == 'rule' else ''}'>{escape(first)}{more}</td>")
        rows += f"<tr>{''.join(cells)}</tr>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section class='alerts'><h2>{escape(words('alerts'))}</h2>{table}</section>"


def _data(report: Report, words: Words) -> str:
    """What the pointer reads out: the values of every side and second, null where unknown, with their words."""
    sides = []
    for side in report.sides:
        values = {
            key: {
                "name": words(f"tile.{key}_name"),
                "unit": words.unit("syl/min") if key == "rate" else words(f"tile.{key}"),
                "signed": key != "rate",
                "at": [
                    round(v, words.digits(metric)) if np.isfinite(v) else None for v in side.metrics[metric].tolist()
                ],
            }
            for metric, key in READ_OUT.items()
        }
        sides.append({"side": side.side, "name": words(f"side.{side.side}"), "values": values})
    data = {"left": LEFT, "plot": PLOT, "width": WIDTH, "sides": sides}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
