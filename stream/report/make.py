"""`tonewatch report`: measures a recording and writes the page, and the picture where one is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from alerts.policy import SHIPPED_RULES
from alerts.rules import parse_rules
from stream.command import progress_bar
from stream.recordings import RecordingError
from stream.report.measure import measure
from stream.report.page import page_of
from stream.report.picture import png_of
from stream.report.values import Span
from stream.report.words import Language, Words

_TIME = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)")


def make_report(
    path: Path,
    *,
    output: Path | None = None,
    png: Path | None = None,
    language: Language = "zh",
    call_language: str | None = None,
    sides: Sequence[str] | None = None,
    holds: Sequence[str] = (),
    rules: Path | None = None,
) -> list[Path]:
    """Write the page, `<name>.html` in the current folder if nothing else is said, and return what was written.

    Raises RecordingError for the recording or an option, RuleError for the rules, OSError where nothing can be
    written: before anything is measured, as far as that can be known.
    """
    output = output if output is not None else Path(f"{path.stem}.html")
    on_hold = [read_hold(hold) for hold in holds]
    judged = parse_rules((rules or SHIPPED_RULES).read_text(encoding="utf-8"), (rules or SHIPPED_RULES).name)
    for written in (output, png):
        if written is not None and not written.parent.is_dir():
            raise RecordingError(f"the folder {written.parent} is not there; make it, or name another")
        if written is not None and written.exists() and path.exists() and written.samefile(path):
            raise RecordingError(f"{written} is the recording itself; write another name with -o or --png")
    spoken = call_language or language
    with progress_bar() as progressed:
        report = measure(path, judged, sides=sides, language=spoken, holds=on_hold, progressed=progressed)
    words = Words(language, spoken)
    # The picture first: it may fail for a missing renderer, and a page alone would look as if all were done.
    picture = png_of(report, words) if png is not None else b""
    output.write_text(page_of(report, words), encoding="utf-8")
    if png is None:
        return [output]
    png.write_bytes(picture)
    return [output, png]


def read_hold(told: str) -> Span:
    """Return (from, to) in seconds of "1:05-1:40" or "65-100". Raises RecordingError."""
    begins, _, ends = told.partition("-")
    span = _seconds(begins), _seconds(ends)
    if span[0] is None or span[1] is None or span[0] >= span[1]:
        raise RecordingError(f"the hold is {told!r}; write from and to, like 1:05-1:40 or 65-100")
    return span[0], span[1]


def _seconds(told: str) -> float | None:
    found = _TIME.fullmatch(told.strip())
    if found is None:
        return None
    parts = [float(part) for part in found.groups() if part is not None]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))
