"""Breaks what a running house stands on, kind by kind, and compares what came out with what had to."""
