"""Review as a project of its own, and which answer corrects which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Two tables, and a column that is empty where annotations were read before."""
    op.add_column("annotations", sa.Column("parent_annotation", sa.Integer(), nullable=True))
    op.create_table(
        "review_projects",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("review_key", sa.String(64), nullable=False),
        sa.Column("review_project_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project"),
    )
    op.create_table(
        "review_verdicts",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("question", sa.String(64), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("annotation_id", sa.Integer(), nullable=False),
        sa.Column("annotation_updated_at", sa.String(40), nullable=False),
        sa.Column("text_hash", sa.String(32), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column("suggested", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.String(40), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("why", sa.String(32), nullable=False),
        sa.Column("written_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "question"),
    )
