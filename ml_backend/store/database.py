"""Opening the database and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from ale.errors import ConfigurationError
from ml_backend.store.upgrade import upgrade


class Database:
    """Hands out sessions; one per process. Safe over several processes (SQLite runs in WAL mode)."""

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
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            f"DATABASE_URL is no SQLAlchemy address: {error}; e.g. sqlite:////data/ale.db"
        ) from error
    sqlite = parsed.get_backend_name() == "sqlite"
    try:
        if sqlite and parsed.database:
            # It holds the project's texts: nobody else's business.
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(parsed, pool_pre_ping=not sqlite)
        if sqlite:
            event.listen(engine, "connect", _tune_sqlite)
        upgrade(engine)
    except ImportError as error:
        driver = parsed.get_driver_name() if sqlite else parsed.drivername
        raise ConfigurationError(
            f"DATABASE_URL asks for {driver}, whose package {error.name} is not installed: pip install {error.name}"
        ) from error
    except (OSError, SQLAlchemyError) as error:
        shown = parsed.render_as_string(hide_password=True)
        cause = getattr(error, "orig", None) or error
        raise ConfigurationError(f"DATABASE_URL {shown} cannot be opened: {cause}") from error
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
