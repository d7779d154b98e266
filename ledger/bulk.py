"""Bulk: write many rows of one table with one statement, the fastest way each database has.

    SQLite        a statement of fifty rows, and the rest row by row, run for each tuple in C
    PostgreSQL    one statement whose parameters are whole columns, opened by `unnest`

Rows go past SQLAlchemy's handling of parameters, which costs more than the row does. Their order is kept, so that
`postings.sequence` is the order in which a batch was decided.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, Table, TextClause, text

Row = tuple[Any, ...]

TOGETHER = 50
"""How many rows one SQLite statement writes. Where a trigger may refuse a row, each statement begins by keeping a copy
of every page that it will touch, which costs as much as the row. It is always this many, because to compile a statement
costs more than that, and SQLite's driver remembers those it has seen."""


def insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows, in order. A row holds one value for each column."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        insert_into(connection, table.name, columns, rows)
    else:
        connection.execute(_insert(table, columns), _by_column(columns, rows))


def insert_into(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows into a table of SQLite, in order."""
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    _run_on_sqlite(connection, rows, f"{into} {_values(len(columns), 1)}", f"{into} {_values(len(columns), TOGETHER)}")


def update(connection: Connection, table: Table, key: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Set columns of existing rows. A row holds one value for each column, then the key's."""
    if not rows:
        return
    named = (*columns, key)
    if connection.dialect.name == "sqlite":
        one = f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in columns)} WHERE {key} = ?"
        sets = ", ".join(f"{name} = new.column{number}" for number, name in enumerate(columns, 1))
        new = f"({_values(len(named), TOGETHER)}) AS new WHERE {table.name}.{key} = new.column{len(named)}"
        _run_on_sqlite(connection, rows, one, f"UPDATE {table.name} SET {sets} FROM {new}")
    else:
        connection.execute(_update(table, key, columns), _by_column(named, rows))


def _run_on_sqlite(connection: Connection, rows: Sequence[Row], for_one: str, for_many: str) -> None:
    grouped = len(rows) - len(rows) % TOGETHER
    if grouped:
        starts = range(0, grouped, TOGETHER)
        groups = [tuple(chain.from_iterable(rows[start : start + TOGETHER])) for start in starts]
        connection.exec_driver_sql(for_many, groups)
    if grouped < len(rows):
        connection.exec_driver_sql(for_one, list(rows[grouped:]))


@cache
def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


@cache
def _insert(table: Table, columns: tuple[str, ...]) -> TextClause:
    names = ", ".join(columns)
    opened = f"SELECT {names} FROM {_unnest(table, columns)} ORDER BY row_number"
    return text(f"INSERT INTO {table.name} ({names}) {opened}")


@cache
def _update(table: Table, key: str, columns: tuple[str, ...]) -> TextClause:
    sets = ", ".join(f"{name} = new.{name}" for name in columns)
    new = _unnest(table, (*columns, key))
    return text(f"UPDATE {table.name} SET {sets} FROM {new} WHERE {table.name}.{key} = new.{key}")


def _unnest(table: Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {_array(table, name)})" for name in columns)
    return f"unnest({arrays}) WITH ORDINALITY AS new ({', '.join(columns)}, row_number)"


def _array(table: Table, name: str) -> str:
    kind = table.c[name].type
    return "BIGINT[]" if isinstance(kind, BigInteger) else "INTEGER[]" if isinstance(kind, Integer) else "TEXT[]"


def _by_column(columns: tuple[str, ...], rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
