"""Every decision about a doubted label; those that flags still know are taken over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TAKEN_OVER = """
INSERT INTO review_decisions (project, task_id, text_hash, given, answer, doubt, applied, decided_at, decided_by)
SELECT project, task_id, text_hash, given,
       CASE WHEN status = 'confirmed' THEN given WHEN status = 'reported' THEN suggested ELSE settled_label END,
       score, status <> 'reported', decided_at, decided_by
FROM review_flags
WHERE status IN ('confirmed', 'fixed', 'reported') AND decided_at IS NOT NULL
"""


def upgrade() -> None:
    """A table, and a column that is the shown score where flags stand already."""
    op.create_table(
        "review_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(32), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("doubt", sa.Float(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_review_decisions_project_task_id", "review_decisions", ["project", "task_id"])
    op.add_column("review_flags", sa.Column("doubt", sa.Float(), nullable=False, server_default="0"))
    op.execute("UPDATE review_flags SET doubt = score")
    op.execute(_TAKEN_OVER)
