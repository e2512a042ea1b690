"""Many rows with one statement that is built once, however many there are.

SQLAlchemy builds, names and compiles a statement in more time than the database takes to answer it, and PostgreSQL
plans a list of keys of another length anew. So a statement stands here once per table, set of columns and database. On
PostgreSQL every column travels as one array, on SQLite rows travel as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Insert,
    LargeBinary,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    func,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

POSTGRES = "postgresql"
Columns = tuple[Column[Any], ...]
Statement = Insert | Update | Select[Any]
AnyInsert = postgresql.Insert | sqlite.Insert
Row = Mapping[str, Any]


class Step(NamedTuple):
    """A statement with its rows, not executed yet: `connection.execute(*step)`, or with others in `round_trip`."""

    statement: Statement
    parameters: Any


def _as_it_is(statement: AnyInsert) -> Insert:
    return statement


def skipping_known(statement: AnyInsert) -> Insert:
    """Leave out rows that are there already."""
    return statement.on_conflict_do_nothing()


def inserting(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Row],
    finish: Callable[[AnyInsert], Insert] = _as_it_is,
    *,
    after: FromClause | None = None,
) -> Step:
    """Return the insertion of rows, at least one, all with the same columns, in their order.

    `finish` says what is done about a conflict and what is returned; a function of a module, for it is called once.
    On PostgreSQL no row is made before the one row of `after` is there.
    """
    names = tuple(rows[0])
    if connection.dialect.name != POSTGRES:
        return Step(_inserting_one(table, finish), [dict(row) for row in rows])
    return Step(_inserting(table, names, finish, after), _as_arrays(table, names, rows))


def updating(connection: AsyncConnection, table: Table, keys: Columns, rows: Sequence[Row]) -> Step:
    """Return the update of rows, at least one, by the columns `keys`; each has these and the same others."""
    names = tuple(rows[0])
    if connection.dialect.name != POSTGRES:
        # SQLAlchemy keeps the plain names of columns for the values of an UPDATE of its own.
        return Step(_updating_one(table, keys, names), [{f"row_{name}": row[name] for name in names} for row in rows])
    return Step(_updating(table, keys, names), _as_arrays(table, names, rows))


@cache
def among(dialect: str, columns: Columns, name: str = "key") -> ColumnElement[bool]:
    """Return the condition that a row's `columns` are one of the keys given as `keys_among` of the same `name`.

    On SQLite they are joined from JSON: of a list of rows it makes no use of an index, but reads the whole table.
    """
    if dialect != POSTGRES:
        return and_(*(_plain(column) == value for column, value in zip(columns, _wanted(len(columns)), strict=True)))
    arrays = (bindparam(f"{name}_{column.name}", type_=_array(column)) for column in columns)
    names = (sql_column(column.name, column.type) for column in columns)
    return tuple_(*columns).in_(select(func.unnest(*arrays).table_valued(*names).render_derived(name=f"wanted_{name}")))


def _wanted(columns: int) -> list[ColumnElement[Any]]:
    """Return the parts of the keys given as JSON, for SQLite."""
    key = func.json_each(bindparam("keys", type_=Text)).table_valued("value", name="wanted").c.value
    return [func.json_extract(key, f"$[{number}]") for number in range(columns)]


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as JSON has its values; bytes, which it has not, as hexadecimal digits."""
    return func.hex(column) if isinstance(column.type, LargeBinary) else column


def keys_among(dialect: str, columns: Columns, keys: Collection[Sequence[Any]], name: str = "key") -> dict[str, Any]:
    """Return the parameters of `among`: keys as tuples in the order of `columns`."""
    if dialect != POSTGRES:
        plain = [[part.hex().upper() if isinstance(part, bytes) else part for part in key] for key in keys]
        return {"keys": orjson.dumps(plain).decode()}
    return {f"{name}_{column.name}": [key[number] for key in keys] for number, column in enumerate(columns)}


def _array(column: Column[Any]) -> postgresql.ARRAY[Any]:
    # One dimension, said aloud: a JSON value that is a list would be taken for another.
    return postgresql.ARRAY(column.type, dimensions=1)


def _as_arrays(table: Table, names: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the parameters of `_given`, named by table: two statements may go together."""
    return {f"{table.name}_{name}": [row[name] for row in rows] for name in names}


def _given(table: Table, names: Sequence[str]) -> Any:
    """Return rows that travel as one array a column, as something to select from."""
    arrays = (bindparam(f"{table.name}_{name}", type_=_array(table.c[name])) for name in names)
    columns = (sql_column(name, table.c[name].type) for name in names)
    return func.unnest(*arrays).table_valued(*columns).render_derived(name=f"given_{table.name}")


@cache
def _inserting(
    table: Table, names: tuple[str, ...], finish: Callable[[AnyInsert], Insert], after: FromClause | None
) -> Insert:
    given = _given(table, names)
    rows = select(given) if after is None else select(*given.c).select_from(given.join(after, true()))
    return finish(postgresql.insert(table).from_select(names, rows))


@cache
def _inserting_one(table: Table, finish: Callable[[AnyInsert], Insert]) -> Insert:
    return finish(sqlite.insert(table))


@cache
def _updating(table: Table, keys: Columns, names: tuple[str, ...]) -> Update:
    given = _given(table, names)
    found = and_(*(column == given.c[column.name] for column in keys))
    return update(table).where(found).values({name: given.c[name] for name in _values(keys, names)})


@cache
def _updating_one(table: Table, keys: Columns, names: tuple[str, ...]) -> Update:
    found = and_(*(column == bindparam(f"row_{column.name}") for column in keys))
    return update(table).where(found).values({name: bindparam(f"row_{name}") for name in _values(keys, names)})


def _values(keys: Columns, names: Sequence[str]) -> list[str]:
    key_names = {column.name for column in keys}
    return [name for name in names if name not in key_names]
