"""Looks of `ale finish`, and what past models said, for the stopping rule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Two tables; both begin empty."""
    op.create_table(
        "finish_looks",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("max_error", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("audited", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "max_error", "confidence", "audited", "model"),
    )
    op.create_table(
        "past_models",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("space", sa.String(12), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("tasks", sa.LargeBinary(), nullable=False),
        sa.Column("said", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "space", "labels"),
    )
