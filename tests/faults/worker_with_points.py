"""`tonewatch worker`, but killed by itself at a named point of a batch when a file asks for it.

The points: `before` the transaction, `after` it, `sent` (verdicts delivered, nothing acknowledged), `acked`.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

import faust

import stream.chat
from stream.cli import main

FOLDER = "FAULT_POINTS"
NAME = "FAULT_NAME"
POINTS = ("before", "after", "sent", "acked")


def _die_if_asked(point: str) -> None:
    asked = Path(os.environ[FOLDER]) / f"{os.environ[NAME]}.{point}"
    if asked.exists():
        asked.unlink()  # the next life is to be longer
        os.kill(os.getpid(), signal.SIGKILL)


def _install() -> None:
    stream_class: Any = faust.Stream
    chat: Any = stream.chat  # `moderate` is not its to export, and a method is not to be assigned: here both are
    moderate, handle, ack = chat.moderate, chat.ChatWorker.handle, stream_class.ack

    async def moderate_with_points(*arguments: Any, **named: Any) -> Any:
        _die_if_asked("before")
        verdicts = await moderate(*arguments, **named)
        _die_if_asked("after")
        return verdicts

    async def handle_with_points(self: Any, batch: Any) -> None:
        await handle(self, batch)
        _die_if_asked("sent")

    async def ack_with_points(self: Any, event: Any) -> Any:
        done = await ack(self, event)
        _die_if_asked("acked")
        return done

    chat.moderate = moderate_with_points
    chat.ChatWorker.handle = handle_with_points
    stream_class.ack = ack_with_points


def _tell_more() -> None:
    """Let Faust and its client say what they do: a stall is explained by nothing else."""
    start: Any = faust.Worker.__init__

    def start_and_tell(self: Any, *arguments: Any, **named: Any) -> None:
        start(self, *arguments, **named | {"loglevel": "info"})
        for name in ("faust", "mode", "aiokafka"):
            logging.getLogger(name).setLevel(logging.INFO)

    worker: Any = faust.Worker
    worker.__init__ = start_and_tell


if __name__ == "__main__":
    _install()
    _tell_more()
    main()
