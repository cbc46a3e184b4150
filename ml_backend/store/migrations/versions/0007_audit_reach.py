"""How far a project's audit reaches in a pool that grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Projects of an earlier ALE have none: their next learn run sets it to the newest task."""
    with op.batch_alter_table("projects") as table:
        for name in ("audit_upto", "audit_later", "audit_due"):
            table.add_column(sa.Column(name, sa.Integer(), nullable=True))
