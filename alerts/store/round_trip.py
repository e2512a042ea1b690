"""One round trip for what several writers of a transaction ask for at the same time.

The way to PostgreSQL and back takes longer than most of what it does for a batch, and SQLAlchemy as long again. So
statements that do not need each other go there as one. To SQLite there is no way: they are executed in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import CTE, ColumnElement, FromClause, false, select
from sqlalchemy.engine import result_tuple
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.many import POSTGRES, Statement, Step

T = TypeVar("T")
Rows = Sequence[Any]
Taking = Callable[[Rows], Rows]
Writer = Generator[Sequence[Step], Sequence[Rows], T]
"""Yields the steps it needs next, at least one, is sent the rows that each returns, and returns what it made."""
MOST_KEPT = 256
"""Statements that were joined. Those built once make some dozens; the others come too seldom to be kept for long."""


async def together(connection: AsyncConnection, *writers: Writer[Any]) -> list[Any]:
    """Let all of `writers` write, and return what each returns.

    What they ask for at the same time must not change the same rows, and none of it sees what the others change.
    """
    returned: list[Any] = [None] * len(writers)
    answers: dict[int, Any] = dict.fromkeys(range(len(writers)))
    while answers:
        asked: dict[int, Sequence[Step]] = {}
        for number, answer in answers.items():
            try:
                asked[number] = writers[number].send(answer)
            except StopIteration as end:
                returned[number] = end.value
        found = iter(await _execute(connection, [step for steps in asked.values() for step in steps]))
        answers = {number: [next(found) for _ in steps] for number, steps in asked.items()}
    return returned


async def _execute(connection: AsyncConnection, steps: Sequence[Step]) -> list[Rows]:
    """Execute steps and return the rows of each, none of a step that returns nothing."""
    if len(steps) < 2 or connection.dialect.name != POSTGRES:
        return [_rows(await connection.execute(*step)) for step in steps]
    parameters = {name: value for step in steps for name, value in step.parameters.items()}
    if len(parameters) < sum(len(step.parameters) for step in steps):
        raise ValueError("two steps have a parameter of the same name")
    statement, takings = _joined(tuple(step.statement for step in steps))
    result = await connection.execute(statement, parameters)
    rows = _rows(result)
    return [taking(rows) for taking in takings]


def _rows(result: Any) -> Rows:
    return result.all() if result.returns_rows else ()


@lru_cache(MOST_KEPT)
def _joined(statements: tuple[Statement, ...]) -> tuple[Statement, list[Taking]]:
    """Return statements as one, and for each how its rows are taken from those of all."""
    parts = [statement.cte(f"part_{number}") for number, statement in enumerate(statements)]
    telling = [number for number, part in enumerate(parts) if len(part.c)]
    takings: list[Taking] = [_nothing] * len(parts)
    if len(telling) < 2:
        whole = telling[0] if telling else 0
        takings[whole] = tuple  # its rows as they are
        return statements[whole].add_cte(*(part for part in parts if part is not parts[whole])), takings
    side_by_side: FromClause = parts[telling[0]]
    for number in telling[1:]:
        side_by_side = side_by_side.outerjoin(parts[number], false(), full=True)
    columns: list[ColumnElement[Any]] = []
    for number in telling:
        takings[number] = _taking(parts[number], len(columns))
        columns += parts[number].c
    silent = (part for part in parts if not len(part.c))
    return select(*columns).select_from(side_by_side).add_cte(*silent), takings


def _nothing(_rows: Rows) -> Rows:
    return ()


def _taking(part: CTE, start: int) -> Taking:
    """Return what takes a part's rows: those with something in its columns, the first of which is never NULL."""
    make = result_tuple(part.c.keys())
    end = start + len(part.c)
    return lambda rows: [make(row[start:end]) for row in rows if row[start] is not None]
