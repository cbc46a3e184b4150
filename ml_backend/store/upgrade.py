"""Brings a database to the tables of `schema.py`, by the steps in `migrations/`.

Every process does so when it opens the database. Almost always there is nothing to do: that is seen from one
table, without a write and without importing Alembic, which takes as long as all the rest of opening.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import Engine

from ale.errors import ConfigurationError
from ml_backend.store import earlier

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("migrations")

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""The steps that this ALE knows, the newest last; a test holds them against the files."""

HEAD = REVISIONS[-1]

ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(541200300)"}
"""Web process and worker start together: whoever comes second waits here, and then finds all done."""


def upgrade(engine: Engine, to: str = HEAD) -> None:
    """Make the database's tables those of a revision, all or nothing; writes nothing when they are so already.

    Raises ConfigurationError, and changes nothing, for a database that a newer ALE has written and for one
    from before there were numbers.
    """
    with engine.connect() as connection:
        if _revision(connection) == to:
            return
    with _alone(engine) as connection:
        revision = _revision(connection)
        if revision is None and earlier.may_be_taken_over(connection):
            _run("stamp", connection, earlier.REVISION)
            revision = earlier.REVISION
        if revision != to:
            _run("upgrade", connection, to)
            logger.info("the database's tables went from revision %s to %s", revision or "none", to)


def _revision(connection: Connection) -> str | None:
    """The revision that the database has, None where Alembic never was; raises for one that we do not know."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    unknown = [revision for revision in found if revision not in REVISIONS]
    if unknown:
        raise earlier.newer(", ".join(unknown), HEAD)
    return max(found, default=None)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other start of ALE has at the same time."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            # A step that builds a table anew drops the old one, and would take with it the rows that refer to
            # it. The switch works only outside a transaction; Python's driver has begun none yet.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.commit()
        try:
            with connection.begin():
                if engine.dialect.name in ALONE:
                    connection.exec_driver_sql(ALONE[engine.dialect.name])
                yield connection
                if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise ConfigurationError(
                        "the database was not upgraded: afterwards rows would refer to rows that are not there; "
                        "restore it from a backup, or name another DATABASE_URL"
                    )
        finally:
            if sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _run(command: str, connection: Connection, revision: str) -> None:
    """One of Alembic's commands, within our transaction."""
    for chatty in ("alembic.runtime", "alembic.autogenerate"):  # first: it talks while it is imported
        logging.getLogger(chatty).setLevel(logging.WARNING)
    from alembic import command as commands

    getattr(commands, command)(alembic_config(connection), revision)


def alembic_config(connection: Connection) -> Config:
    """What Alembic has to know. There is no alembic.ini: all that it would say stands here."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
