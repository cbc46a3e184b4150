"""Drafts the next step from what the models have and a new database has not yet: read it before you keep it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from ml_backend.store.database import Database
from ml_backend.store.upgrade import HEAD, alembic_config


def draft(message: str) -> Path:
    """The file that was written; its number is the next one, and `REVISIONS` has to be given it."""
    with tempfile.TemporaryDirectory() as empty:
        db = Database(f"sqlite:///{Path(empty) / 'ale.db'}")
        with db.engine.connect() as connection:
            script = command.revision(
                alembic_config(connection), message, autogenerate=True, rev_id=f"{int(HEAD) + 1:04}"
            )
        db.dispose()
    if script is None or isinstance(script, list):
        raise RuntimeError(f"one step was expected, not {script}")
    return Path(script.path)


if __name__ == "__main__":
    draft(" ".join(sys.argv[1:]))  # Alembic says where it wrote
