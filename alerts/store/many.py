"""Many rows with one statement that is built once, however many there are.

SQLAlchemy builds, names and compiles a statement in more time than the database takes to answer it, and PostgreSQL
plans a list of keys of another length anew. So a statement stands here once per table, set of columns and database; on
PostgreSQL every column travels as one array, on SQLite as a list of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Insert, Table, Update, and_, bindparam, func, select, tuple_, update
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

POSTGRES = "postgresql"
Columns = tuple[Column[Any], ...]
AnyInsert = postgresql.Insert | sqlite.Insert
Row = Mapping[str, Any]


def _as_it_is(statement: AnyInsert) -> Insert:
    return statement


def skipping_known(statement: AnyInsert) -> Insert:
    """Leave out rows that are there already."""
    return statement.on_conflict_do_nothing()


async def insert_rows(
    connection: AsyncConnection, table: Table, rows: Sequence[Row], finish: Callable[[AnyInsert], Insert] = _as_it_is
) -> CursorResult[Any]:
    """Insert rows, at least one, all with the same columns, in their order.

    `finish` says what is done about a conflict and what is returned; a function of a module, for it is called once.
    """
    names = tuple(rows[0])
    statement = _inserting(connection.dialect.name, table, names, finish)
    return await connection.execute(statement, _parameters(connection, names, rows))


async def update_rows(connection: AsyncConnection, table: Table, keys: Columns, rows: Sequence[Row]) -> None:
    """Update the rows named by the columns `keys`, at least one; each of `rows` has these and the same others."""
    names = tuple(rows[0])
    statement = _updating(connection.dialect.name, table, keys, names)
    # SQLAlchemy keeps the plain names of columns for the values of an UPDATE of its own.
    renamed = [{f"row_{name}": row[name] for name in names} for row in rows]
    await connection.execute(statement, _parameters(connection, tuple(f"row_{name}" for name in names), renamed))


@cache
def among(dialect: str, columns: Columns) -> ColumnElement[bool]:
    """Return the condition that a row's `columns` are one of the keys given as `keys_among`."""
    if dialect != POSTGRES:
        return tuple_(*columns).in_(bindparam("keys", expanding=True))
    arrays = (bindparam(f"key_{column.name}", type_=_array(column)) for column in columns)
    names = (sql_column(column.name, column.type) for column in columns)
    return tuple_(*columns).in_(select(func.unnest(*arrays).table_valued(*names).render_derived(name="wanted")))


def keys_among(dialect: str, columns: Columns, keys: Collection[Sequence[Any]]) -> dict[str, Any]:
    """Return the parameters of `among`: keys as tuples in the order of `columns`."""
    if dialect != POSTGRES:
        return {"keys": [tuple(key) for key in keys]}
    return {f"key_{column.name}": [key[number] for key in keys] for number, column in enumerate(columns)}


def _parameters(connection: AsyncConnection, names: Sequence[str], rows: Sequence[Row]) -> Any:
    if connection.dialect.name != POSTGRES:
        return [dict(row) for row in rows]
    return {name: [row[name] for row in rows] for name in names}


def _array(column: Column[Any]) -> postgresql.ARRAY[Any]:
    # One dimension, said aloud: a JSON value that is a list would be taken for another.
    return postgresql.ARRAY(column.type, dimensions=1)


def _arrays(table: Table, names: Sequence[str], prefix: str = "") -> Any:
    """Return rows that travel as one array a column, as something to select from."""
    arrays = (bindparam(prefix + name, type_=_array(table.c[name])) for name in names)
    columns = (sql_column(name, table.c[name].type) for name in names)
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given")


@cache
def _inserting(dialect: str, table: Table, names: tuple[str, ...], finish: Callable[[AnyInsert], Insert]) -> Insert:
    if dialect != POSTGRES:
        return finish(sqlite.insert(table))
    return finish(postgresql.insert(table).from_select(names, select(_arrays(table, names))))


@cache
def _updating(dialect: str, table: Table, keys: Columns, names: tuple[str, ...]) -> Update:
    key_names = {column.name for column in keys}
    values = [name for name in names if name not in key_names]
    if dialect != POSTGRES:
        found = and_(*(column == bindparam(f"row_{column.name}") for column in keys))
        return update(table).where(found).values({name: bindparam(f"row_{name}") for name in values})
    given = _arrays(table, names, "row_")
    found = and_(*(column == given.c[column.name] for column in keys))
    return update(table).where(found).values({name: given.c[name] for name in values})
