"""What Alembic runs for every command; `store/upgrade.py` hands it the connection, with its transaction."""

from __future__ import annotations

from typing import Literal

from alembic import context

from ml_backend.store.columns import UtcDateTime
from ml_backend.store.schema import Base


def _rendered(kind: str, value: object, _context: object) -> str | Literal[False]:
    """Our own types as plain SQLAlchemy: a migration imports nothing of ours that may change."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(value, UtcDateTime) else False


# Batch: SQLite changes a column by building the table anew.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=_rendered,
)
with context.begin_transaction():
    context.run_migrations()
