"""What is counted of the checks that come in over HTTP, for /metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Counter, Histogram, Metric


class CheckNumbers:
    """Counters of one application, not of the process: tests have several."""

    def __init__(self) -> None:
        self.verdicts = Counter(
            "tonewatch_web_verdicts", "Verdicts answered over HTTP", ["via", "action", "repeat"], registry=None
        )
        self.seconds = Histogram(
            "tonewatch_web_verdict_seconds",
            "From the arrival of a check over HTTP to its answer",
            ["via"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1, 2, 5),
            registry=None,
        )
        self.late = Counter(
            "tonewatch_web_late_verdicts",
            "Checks that missed their deadline and were answered by fail_policy; they are judged afterwards",
            ["via", "policy"],
            registry=None,
        )
        self.refused = Counter(
            "tonewatch_web_refused_checks", "Checks over HTTP that were refused", ["via", "status"], registry=None
        )
        self.events = Counter(
            "tonewatch_web_platform_events",
            "Events of platforms about their own interceptions, by what was taken of them",
            ["platform", "taken"],
            registry=None,
        )
        self.intercepted = Counter(
            "tonewatch_intercepted_messages",
            "Lines written to the interception log",
            ["action", "by"],
            registry=None,
        )

    def collect(self) -> Iterator[Metric]:
        """Yield all of them."""
        for each in (self.verdicts, self.seconds, self.late, self.refused, self.events, self.intercepted):
            yield from each.collect()
