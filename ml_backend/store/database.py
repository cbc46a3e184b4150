"""Opening the database and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from ale.errors import ConfigurationError, DatabaseUnreachable, MissingExtra
from ml_backend.store.address import POSTGRES, read_address, shown
from ml_backend.store.upgrade import upgrade


class Database:
    """Hands out sessions; one per process. Safe over several processes (SQLite runs in WAL mode).

    Raises ConfigurationError for an address or tables that are not ours to use, DatabaseUnreachable where a
    server does not answer (yet).
    """

    def __init__(self, url: str) -> None:
        self.engine = _open(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        with self._sessions.begin() as session:
            yield session

    def dispose(self) -> None:
        """Close all connections (also needed after a fork, before the child's first query)."""
        self.engine.dispose()


def _open(url: str) -> Engine:
    address = read_address(url)
    sqlite = address.get_backend_name() == "sqlite"
    try:
        if sqlite and address.database:
            # It holds the project's texts: nobody else's business.
            Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Neither may an error's message quote them.
        engine = create_engine(address, pool_pre_ping=not sqlite, hide_parameters=True)
        if sqlite:
            event.listen(engine, "connect", _tune_sqlite)
        with ExitStack() as unless_it_opens:
            unless_it_opens.callback(engine.dispose)
            upgrade(engine)
            unless_it_opens.pop_all()
    except ImportError as error:
        if address.drivername == POSTGRES:
            raise MissingExtra(f"DATABASE_URL {shown(address)}", "postgres") from error
        driver = address.get_driver_name() if sqlite else address.drivername
        raise ConfigurationError(
            f"DATABASE_URL asks for {driver}, whose package {error.name} is not installed: pip install {error.name}"
        ) from error
    except (OSError, SQLAlchemyError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        if not sqlite and isinstance(error, OperationalError):
            raise DatabaseUnreachable(f"the database {shown(address)} cannot be reached: {cause}") from error
        raise ConfigurationError(f"DATABASE_URL {shown(address)} cannot be opened: {cause}") from error
    return engine


def _tune_sqlite(connection: Any, _record: object) -> None:
    """Let readers and one writer work side by side, and wait for a lock instead of failing."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=30000", "foreign_keys=ON", "synchronous=NORMAL"):
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:  # a read-only file refuses WAL; reading still works
            continue
    cursor.close()
