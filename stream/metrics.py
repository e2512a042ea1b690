"""What a worker counts, for /metrics: names and units by Prometheus conventions."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REJECTED = Counter("tonewatch_rejected_records", "Records sent to <topic>.rejected", ["topic", "reason"])
HELD = Gauge("tonewatch_topic_held", "1 while the worker holds the topic because most of it cannot be used", ["topic"])
EVENTS = Counter("tonewatch_events", "Events handled and acknowledged", ["topic"])
LAG = Gauge("tonewatch_lag_records", "Records of an assigned partition not yet acknowledged", ["topic", "partition"])
LOOP_LAG_SECONDS = Gauge("tonewatch_loop_lag_seconds", "How late the event loop came back from its last pause")
INTERCEPTED = Counter("tonewatch_intercepted_messages", "Lines written to the interception log", ["action", "by"])
DUPLICATES = Counter(
    "tonewatch_duplicates_ignored", "Texts that had been judged before; nothing is logged twice", ["topic"]
)
DATABASE_RETRIES = Counter("tonewatch_database_retries", "Transactions that were tried again")
VERDICTS = Counter("tonewatch_verdicts", "Verdicts sent", ["action", "repeat"])
VERDICT_SECONDS = Histogram(
    "tonewatch_verdict_seconds",
    "From the broker's time of a message to its verdict's delivery",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
STALE_CHUNKS = Counter("tonewatch_stale_chunks", "Audio records skipped because they were too old")
LOST_SECONDS = Counter("tonewatch_lost_audio_seconds", "Audio lost by gaps in seq")
CALLS = Gauge("tonewatch_calls", "Calls being scored")
SCORE_LAG_SECONDS = Histogram(
    "tonewatch_score_lag_seconds",
    "From the broker's time of the last audio of a second to its score",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
WAITING = Gauge("tonewatch_inbox_events", "Events waiting in the inbox")
POLICY_VERSION = Gauge("tonewatch_policy_version", "Version of the policy in force")
