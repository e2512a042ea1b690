"""What every command shares: the settings or what is wrong with them, and a failure as one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stream.settings import PREFIX, Settings

T = TypeVar("T")

Progressed = Callable[[str, float, float], None]
"""Told (what, done, of): seconds of a recording, lines of a JSON Lines file."""

out, err = Console(), Console(stderr=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end."""
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def read_settings(**overrides: Any) -> Settings:
    """Return the settings, or say which one is wrong."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = []
        for found in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in found["loc"])
            lines.append(f"{PREFIX}{name.upper()}: {found['msg']}" if name else found["msg"])
        fail("\n".join(lines), 2)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; what a user can mend is said in one line."""
    from aiokafka.errors import KafkaError
    from sqlalchemy.exc import DBAPIError

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except KafkaError as error:
        fail(f"Kafka: {error}. Check TONEWATCH_KAFKA, then: tonewatch doctor")
    except DBAPIError as error:
        fail(f"database: {error.orig}. Check TONEWATCH_DATABASE, then: tonewatch doctor")
    except (ValueError, LookupError, OSError, ModuleNotFoundError) as error:
        fail(str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error))


@contextmanager
def progress_bar() -> Iterator[Progressed]:
    """Give a callback that draws a bar in the terminal for everything it is told of."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn()) as drawn:
        tasks: dict[str, TaskID] = {}

        def progressed(what: str, done: float, of: float) -> None:
            # A second one of the same name takes its bar over.
            if what not in tasks:
                tasks[what] = drawn.add_task(what, total=of)
            drawn.update(tasks[what], completed=done, total=of)

        yield progressed
