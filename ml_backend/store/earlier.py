"""Databases from before the migrations, when a number in a table of its own told the schema."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from ale.errors import ConfigurationError

NUMBER = 7
"""The last number. Nothing with a lower one was ever released."""

REVISION = "0001"
"""What a database of that number has."""

TABLES = frozenset(
    {
        *("annotations", "asked_questions", "few_shots", "projects", "prompt_patches", "replies"),
        *("reservations", "review_flags", "runs", "schema_number", "spend", "tasks", "teacher_batches"),
        *("tuned_models", "versions"),
    }
)


def may_be_taken_over(connection: Connection) -> bool:
    """Whether these are the tables of number 7; False where there are none of ours yet.

    Raises ConfigurationError for any other tables of ours.
    """
    there = TABLES.intersection(inspect(connection).get_table_names())
    number = 0
    if "schema_number" in there:
        number = int(connection.exec_driver_sql("SELECT number FROM schema_number").scalar() or 0)
    if number > NUMBER:
        raise newer(str(number), str(NUMBER))
    if not there or (number == NUMBER and there == TABLES):
        return bool(there)
    if number == NUMBER:
        raise ConfigurationError(
            f"the database lacks tables: {', '.join(sorted(TABLES - there))}; "
            "restore it from a backup, or name another DATABASE_URL"
        )
    raise ConfigurationError(
        f"the database has tables of ALE ({', '.join(sorted(there)[:3])}...) with schema number {number or 'none'}; "
        f"only number {NUMBER} can be taken over: name another DATABASE_URL, or move these tables away"
    )


def newer(found: str, known: str) -> ConfigurationError:
    """What to say of a database whose rules we do not know."""
    return ConfigurationError(
        f"the database was written by a newer ALE: its schema is number {found}, this one knows {known}; "
        "install that version again, or name another DATABASE_URL"
    )
