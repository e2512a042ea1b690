"""A figure beside its bar and beside the peer's, and how a benchmark begins and ends."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One figure; without a bar it is only told."""

    what: str
    value: float
    unit: str = ""
    bar: float | None = None
    at_least: bool = False
    """True where more is better, a correlation for instance."""
    peer: float | None = None
    """The peer's figure of the same run, Praat's for instance; with a bar ours has to be better than it, too."""
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.bar is None or (self._good(self.bar) and (self.peer is None or self._good(self.peer)))

    def _good(self, other: float) -> bool:
        return self.value >= other if self.at_least else self.value <= other


def arguments(description: str) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON")
    return parser


def told(line: Line, width: int) -> str:
    peer = "" if line.peer is None else f"{line.peer:.3f}"
    bar = "" if line.bar is None else f"{'≥' if line.at_least else '≤'} {line.bar:g}"
    verdict = "" if line.bar is None else "holds" if line.holds else "MISSED"
    return f"{line.what:<{width}} {line.value:8.3f} {line.unit:<5} {peer:>8}  {bar:<8} {verdict:<7}{line.note}".rstrip()


def conclude(lines: Sequence[Line], file: Path | None) -> int:
    """Print every line and return the exit status: 1 where a bar is missed or the peer is better."""
    width = max(len(line.what) for line in lines)
    print(f"{'':<{width}} {'ours':>8} {'':<5} {'peer':>8}  {'bar':<8}")
    for line in lines:
        print(told(line, width))
    if file is not None:
        file.write_text(json.dumps([asdict(line) | {"holds": line.holds} for line in lines], indent=1))
    return 0 if all(line.holds for line in lines) else 1
