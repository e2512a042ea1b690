"""Draws a report as one PNG: the charts of the page, with its facts above them."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from stream.recordings import RecordingError
from stream.report.charts import charts_of
from stream.report.facts import Fact, facts_of
from stream.report.page import HATCH, alert_cells, head_of, parts_of, remarks_of, verdict_of
from stream.report.svg import WIDTH, element, number, text, width_of
from stream.report.values import Report
from stream.report.words import Words

MARGIN = 36.0
ZOOM = 2.0
"""Twice the page's pixels: sharp on paper and on a telephone."""
FONTS = "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC','Noto Sans SC','Noto Sans','DejaVu Sans',Arial,sans-serif"
STYLE = """
text { fill: #17202a; font-size: 13px; }
.kind { fill: #0b5a5a; font-weight: 700; font-size: 15px; } .h1 { font-size: 26px; font-weight: 700; }
.h3 { font-size: 15px; font-weight: 700; } .soft { fill: #4c5866; font-size: 13px; } .verdict { font-size: 16px; }
.figure { font-size: 19px; font-weight: 700; } .tile { fill: none; stroke: #d5dbe1; } .told { fill: #eff7f6; }
"""
COLUMNS = 4
TILE_HEIGHT, TILE_GAP = 118.0, 10.0
LINE = 19.0


def png_of(report: Report, words: Words) -> bytes:
    """Return the picture as PNG. Raises RecordingError where its renderer is not installed."""
    try:
        import resvg_py
    except ImportError:
        raise RecordingError(
            "a PNG is drawn by resvg_py; run: pip install 'tonewatch[offline]' (in a checkout: make setup)"
        ) from None
    return bytes(resvg_py.svg_to_bytes(svg_string=drawing_of(report, words), zoom=ZOOM, background="white"))


def drawing_of(report: Report, words: Words) -> str:
    """Return the whole picture as one SVG: what the page says of the recording as a whole."""
    sheet = _Sheet()
    sheet.write(words("title"), "kind", 34)
    sheet.write(report.file_name, "h1", 26)
    sheet.write(head_of(report, words), "soft", 32)
    for line in wrapped(verdict_of(report, words), WIDTH, 16):
        sheet.write(line, "verdict", 24)
    for remark in remarks_of(report, words):
        sheet.paragraph(remark)
    sheet.top += 10
    sheet.tiles(facts_of(report, words), report, words)
    for chart in charts_of(report, words, parts_of(report)[0]):
        sheet.write(words(f"chart.{chart.key}"), "h3", 6)
        sheet.body += element("g", chart.body, transform=f"translate(0,{number(sheet.top)})")
        sheet.top += chart.height + 16
        sheet.paragraph(words(f"chart.{chart.key}.about"))
        sheet.top += 14
    if report.alerts:
        sheet.write(words("alerts"), "h3", LINE + 4)
    for alert in report.alerts:
        time, rule, who, value, limit, meaning = alert_cells(alert, words)
        name, _, rises = rule.partition("\n")
        told = " · ".join(part for part in (time, name, who, value, limit) if part)
        sheet.write(told, f"verdict {alert.severity}-text", LINE + 3)
        sheet.paragraph(" · ".join(part for part in (rises, meaning) if part))
        sheet.top += 8
    sheet.top += 8
    sheet.paragraph(f"{words('foot')} {words('made', version=report.version)}")
    return sheet.svg()


class _Sheet:
    """Fills from top to bottom."""

    def __init__(self) -> None:
        self.body = ""
        self.top = MARGIN

    def write(self, words: str, class_: str, height: float) -> None:
        """One line; the next begins `height` lower."""
        self.body += text(0, self.top, words, class_)
        self.top += height

    def paragraph(self, words: str) -> None:
        """Small words over as many lines as they need."""
        for line in wrapped(words, WIDTH, 13):
            self.write(line, "soft", LINE)

    def tiles(self, facts: list[Fact], report: Report, words: Words) -> None:
        """The facts, four a row."""
        width = (WIDTH - (COLUMNS - 1) * TILE_GAP) / COLUMNS
        for index, fact in enumerate(facts):
            row, column = divmod(index, COLUMNS)
            x, y = column * (width + TILE_GAP), self.top + row * (TILE_HEIGHT + TILE_GAP) - 12
            self.body += element("rect", x=x, y=y, width=width, height=TILE_HEIGHT, rx=8, class_="tile")
            self.body += text(x + 12, y + 22, fact.name, "h3")
            line = y + 48
            for place, value in enumerate(fact.values):
                side = report.sides[place].side if fact.by_side else None
                if side is not None:
                    self.body += text(x + 12, line, words(f"side.{side}"), f"{side}-text")
                class_ = f"figure {side}-text" if side else "figure"
                self.body += text(x + (84 if side else 12), line, value, class_)
                line += 25
            for note in wrapped(fact.note, width - 24, 12)[:2]:
                self.body += text(x + 12, line - 4, note, "tick")
                line += 15
        rows = -(-len(facts) // COLUMNS)
        self.top += rows * (TILE_HEIGHT + TILE_GAP) + 22

    def svg(self) -> str:
        """The sheet as it stands."""
        width, height = WIDTH + 2 * MARGIN, self.top + MARGIN
        style = STYLE + files("stream.report").joinpath("chart.css").read_text(encoding="utf-8")
        ground = element("rect", width=width, height=height, fill="#fff")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{number(height)}" '
            f'font-family="{escape(FONTS)}"><style>{style}</style>{HATCH}{ground}'
            f'<g transform="translate({number(MARGIN)},{number(MARGIN / 2)})">{self.body}</g></svg>'
        )


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Lines that fit: broken at spaces, and between Chinese characters."""
    lines, line = [], ""
    for piece in _pieces(words):
        if line and width_of(line + piece.rstrip(), size) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(words: str) -> list[str]:
    """What may not be broken: a word with its space, or one wide character with the mark behind it."""
    pieces: list[str] = []
    for letter in words:
        wide, mark = width_of(letter, 1) == 1.0, letter in "，。；：、）！？”"
        ended = not pieces or pieces[-1].endswith(" ") or (wide and not mark)
        after_wide = bool(pieces) and width_of(pieces[-1][-1], 1) == 1.0 and letter not in " ，。；：、）！？”"
        if ended or after_wide:
            pieces.append(letter)
        else:
            pieces[-1] += letter
    return pieces
