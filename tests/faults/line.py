"""What one fault run found: one line of the table, which holds or fails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = (
    ("kind", 30),
    ("broker", 8),
    ("database", 10),
    ("sent", 5),
    ("to block", 8),
    ("rows", 5),
    ("missing", 7),
    ("twice", 5),
    ("verdicts missing", 16),
    ("wrong", 5),
    ("alerts missing", 14),
    ("twice", 5),
    ("attempts wrong", 14),
    ("stall", 7),
    ("exit", 6),
    ("bar", 22),
    ("", 5),
)


@dataclass(frozen=True)
class Bar:
    """What a run may take: seconds of stall, counted from `since`, and of a worker's exit where it is told to go."""

    stall_seconds: float
    since: str = "publishing"
    exit_seconds: float | None = None

    def __str__(self) -> str:
        stall = f"{self.stall_seconds:g} s" + ("" if self.since == "publishing" else f" after {self.since}")
        return stall if self.exit_seconds is None else f"{stall}, exit {self.exit_seconds:g} s"


@dataclass(frozen=True)
class Line:
    kind: str
    broker: str
    database: str
    sent: int
    to_be_blocked: int
    rows: int
    missing: int
    """Messages without their row, and interceptions that are not logged."""
    twice: int
    """Rows too many: of messages, of interceptions, of what is told of either."""
    verdicts_missing: int
    verdicts_wrong: int
    """A repeat that says something else, or another action than the text demands."""
    alerts_missing: int
    alerts_twice: int
    """Alerts too many, and versions of one that were told twice."""
    attempts_wrong: int
    longest_stall_seconds: float
    longest_exit_seconds: float | None
    bar: Bar
    faults: int
    """How many were really made."""
    seconds: float

    @property
    def holds(self) -> bool:
        counts = (
            *(self.missing, self.twice, self.verdicts_missing, self.verdicts_wrong),
            *(self.alerts_missing, self.alerts_twice, self.attempts_wrong),
        )
        exits = self.bar.exit_seconds is None or (self.longest_exit_seconds or 0.0) <= self.bar.exit_seconds
        return not any(counts) and self.longest_stall_seconds <= self.bar.stall_seconds and exits

    @property
    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"holds": self.holds}

    def __str__(self) -> str:
        exits = "-" if self.longest_exit_seconds is None else f"{self.longest_exit_seconds:.1f} s"
        values = (
            *(self.kind, self.broker, self.database, self.sent, self.to_be_blocked, self.rows, self.missing),
            *(self.twice, self.verdicts_missing, self.verdicts_wrong, self.alerts_missing, self.alerts_twice),
            *(self.attempts_wrong, f"{self.longest_stall_seconds:.2f} s", exits, self.bar),
            "holds" if self.holds else "FAILS",
        )
        return _row(values)


def head() -> str:
    return _row([name for name, _ in COLUMNS])


def _row(values: Any) -> str:
    return "  ".join(f"{value!s:<{width}}" for value, (_, width) in zip(values, COLUMNS, strict=True)).rstrip()
