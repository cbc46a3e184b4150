"""When a project's audit reserve came into force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Projects of an earlier ALE have none: their next learn run begins it."""
    with op.batch_alter_table("projects") as table:
        table.add_column(sa.Column("audit_since", sa.DateTime(timezone=True), nullable=True))
