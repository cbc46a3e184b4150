"""Older databases get the columns that came later. Tables and columns are only ever added, never changed.

A new column has to be nullable or to have a `server_default`, so that rows which are there already get a value.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, Table, insert, inspect, select, text, update
from sqlalchemy.engine import Engine
from sqlalchemy.schema import CreateColumn

from ale.errors import ConfigurationError
from ml_backend.store.schema import Base, Schema

NUMBER = 7
"""Goes up by one whenever a table or a column is added. 1 had no number yet."""

ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(541200300)"}
"""Web process and worker start together: whoever comes second waits here, and then finds all done."""


def upgrade(engine: Engine) -> None:
    """Make the database's tables those of `schema.py`; writes nothing when they are so already.

    Raises ConfigurationError for a database that a newer ALE has written.
    """
    with engine.connect() as connection:
        if _number(connection) == NUMBER:
            return
    with engine.begin() as connection:
        if engine.dialect.name in ALONE:
            connection.exec_driver_sql(ALONE[engine.dialect.name])
        if _number(connection) == NUMBER:
            return
        Base.metadata.create_all(connection)
        for table in Base.metadata.sorted_tables:
            there = {column["name"] for column in inspect(connection).get_columns(table.name)}
            for column in table.columns:
                if column.name not in there:
                    _add(connection, table, column)
        if not connection.execute(update(Schema).values(number=NUMBER)).rowcount:
            connection.execute(insert(Schema).values(only=1, number=NUMBER))


def _number(connection: Connection) -> int:
    """The schema's number, 0 where none was ever written; raises ConfigurationError when we do not know it."""
    there = inspect(connection).has_table(Schema.__tablename__)
    number = int(connection.scalar(select(Schema.number)) or 0) if there else 0
    if number > NUMBER:
        raise ConfigurationError(
            f"the database was written by a newer ALE: its schema is number {number}, this one knows {NUMBER}; "
            "install that version again, or name another DATABASE_URL"
        )
    return number


def _add(connection: Connection, table: Table, column: Column[object]) -> None:
    if not column.nullable and column.server_default is None:
        raise ConfigurationError(
            f"column {table.name}.{column.name} cannot be added to a table with rows: it has no server_default"
        )
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    name = connection.dialect.identifier_preparer.format_table(table)
    connection.execute(text(f"ALTER TABLE {name} ADD COLUMN {definition}"))
