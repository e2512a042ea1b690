"""The facts at the head of a report: a dozen numbers of the whole call, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.report.values import Report, SideReport
from stream.report.words import Words, clock, signed

UNKNOWN = "—"
TALKING_SHARE = 0.5
"""A second counts for the usual rate when its side speaks for at least half of it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One tile: a value for the whole call, or one a side in the order of the report's sides."""

    name: str
    values: tuple[str, ...]
    by_side: bool
    note: str


def facts_of(report: Report, words: Words) -> list[Fact]:
    """Return the tiles in the order they are shown."""
    sides, talk = report.sides, report.talk
    spoken = sum(side.speech_seconds for side in sides)

    def each(name: str, values: list[str], note: str) -> Fact:
        return Fact(words(f"fact.{name}"), tuple(values), True, note)

    def whole(name: str, value: str, note: str) -> Fact:
        return Fact(words(f"fact.{name}"), (value,), False, note)

    found = [
        each("level", [_or_unknown(s.level_dbov, 1, words.unit("dBov"), -99) for s in sides], words("fact.level_note")),
        each("rate", [_or_unknown(usual_rate(s), 0, words.unit("syl/min")) for s in sides], words("fact.rate_note")),
        each("pitch", [_or_unknown(median_pitch(s), 0, "Hz") for s in sides], words("fact.pitch_note")),
    ]
    if len(sides) == 2:
        shares = [f"{side.speech_seconds / spoken:.0%}" if spoken else UNKNOWN for side in sides]
        seconds = words.list_of([words("span.seconds", n=round(side.speech_seconds)) for side in sides])
        found.insert(0, each("talk_share", shares, seconds + words("fact.talk_share_note")))
        counts = [sum(cut.side == side.side for cut in talk.interruptions) for side in sides]
        found.append(each("interruptions", [str(count) for count in counts], words("fact.interruptions_note")))
        found.append(
            whole("overtalk", words("seconds", n=signed(talk.overtalk_seconds, 1)), words("fact.overtalk_note"))
        )
        silence, note = UNKNOWN, words("fact.silence_none")
        if talk.longest_silence is not None:
            begins, ends = talk.longest_silence
            silence, note = words("seconds", n=signed(ends - begins, 1)), words("fact.silence_note", at=clock(begins))
        found.append(whole("silence", silence, note))
    kinds = [alert.severity for alert in report.alerts]
    counted = [f"{kinds.count(s)} × {words(f'severity.{s}')}" for s in ("critical", "warning", "info") if s in kinds]
    found.append(whole("alerts", str(len(kinds)), words.list_of(counted) or words("fact.alerts_none")))
    return found


def usual_rate(side: SideReport) -> float:
    """Median of the live rate over the seconds in which the side speaks, syllables a minute; NaN if there is none."""
    rates = side.metrics["speech_rate.spm"][side.metrics["speech.active"] >= TALKING_SHARE]
    rates = rates[np.isfinite(rates)]
    return float(np.median(rates)) if len(rates) else float("nan")


def median_pitch(side: SideReport) -> float:
    """Median of the contour in Hz; NaN where nothing is voiced."""
    voiced = side.pitch_hz[np.isfinite(side.pitch_hz)]
    return float(np.median(voiced)) if len(voiced) else float("nan")


def _or_unknown(value: float, digits: int, unit: str, from_: float = float("-inf")) -> str:
    return f"{signed(value, digits)} {unit}" if value > from_ else UNKNOWN
