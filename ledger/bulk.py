"""Bulk: write many rows of one table with one statement, the fastest way each database has.

    SQLite        one statement run for each tuple, in C
    PostgreSQL    one statement whose parameters are whole columns, opened by `unnest`

Rows go past SQLAlchemy's handling of parameters, which costs more than the row does. Their order is kept, so that
`postings.sequence` is the order in which a batch was decided.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, Table, text

Row = tuple[Any, ...]


def insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows, in order. A row holds one value for each column."""
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))
    else:
        opened = f"SELECT {names} FROM {_unnest(table, columns)} ORDER BY row_number"
        connection.execute(text(f"INSERT INTO {table.name} ({names}) {opened}"), _by_column(columns, rows))


def update(connection: Connection, table: Table, key: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Set columns of existing rows. A row holds one value for each column, then the key's."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        sets = ", ".join(f"{name} = ?" for name in columns)
        connection.exec_driver_sql(f"UPDATE {table.name} SET {sets} WHERE {key} = ?", list(rows))
    else:
        named = (*columns, key)
        sets = ", ".join(f"{name} = new.{name}" for name in columns)
        statement = f"UPDATE {table.name} SET {sets} FROM {_unnest(table, named)} WHERE {table.name}.{key} = new.{key}"
        connection.execute(text(statement), _by_column(named, rows))


@cache
def _unnest(table: Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {_array(table, name)})" for name in columns)
    return f"unnest({arrays}) WITH ORDINALITY AS new ({', '.join(columns)}, row_number)"


def _array(table: Table, name: str) -> str:
    kind = table.c[name].type
    return "BIGINT[]" if isinstance(kind, BigInteger) else "INTEGER[]" if isinstance(kind, Integer) else "TEXT[]"


def _by_column(columns: tuple[str, ...], rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
