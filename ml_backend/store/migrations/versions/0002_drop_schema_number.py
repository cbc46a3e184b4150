"""The schema's number goes: from now on Alembic's own table says which revision the database has."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Drop the table of one row."""
    op.drop_table("schema_number")
