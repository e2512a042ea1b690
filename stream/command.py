"""What every command shares: the settings or what is wrong with them, and a failure as one line."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console

from stream.settings import PREFIX, Settings

T = TypeVar("T")

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
