"""All tables as they were when migrations began: schema number 7 of the numbers that came before.

Longer than other files, and never to be changed: a step is written down whole, once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what a database of number 7 has already."""
    op.create_table(
        "projects",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("server", sa.String(512), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("title", sa.String(512), nullable=False),
        sa.Column("paid_teacher", sa.Boolean(), nullable=False),
        sa.Column("label_config", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("synced_until", sa.String(40), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_until", sa.String(40), server_default="", nullable=False),
        sa.Column("counts_seen", sa.String(120), nullable=False),
        sa.Column("teacher_problem", sa.Text(), nullable=False),
        sa.Column("teacher_beaten", sa.Text(), server_default="", nullable=False),
        sa.Column("full_publish_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("webhook_id", sa.Integer(), nullable=True),
        sa.Column("backend_id", sa.Integer(), nullable=True),
        sa.Column("review_view_id", sa.Integer(), nullable=True),
        sa.Column("unsure_view_id", sa.Integer(), nullable=True),
        sa.Column("previous_sampling", sa.String(64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_projects_project_id", "projects", ["project_id"])

    op.create_table(
        "replies",
        sa.Column("teacher", sa.String(128), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("text_hash", sa.String(32), nullable=False),
        sa.Column("probs", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("abstention", sa.String(32), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prompt", sa.String(64), server_default="", nullable=False),
        sa.Column("confidence", sa.String(16), server_default="none", nullable=False),
        sa.Column("unseen", sa.Float(), server_default="0", nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cached_tokens", sa.Integer(), server_default="0", nullable=False),
        sa.Column("completion_tokens", sa.Integer(), server_default="0", nullable=False),
        sa.Column("usd", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("teacher", "question", "text_hash"),
    )

    op.create_table(
        "schema_number",
        sa.Column("only", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("only"),
    )

    op.create_table(
        "annotations",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("annotation_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("annotator", sa.Integer(), nullable=True),
        sa.Column("updated_by", sa.Integer(), nullable=True),
        sa.Column("was_cancelled", sa.Boolean(), nullable=False),
        sa.Column("ground_truth", sa.Boolean(), nullable=False),
        sa.Column("from_prediction", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("updated_at", sa.String(40), nullable=False),
        sa.Column("lead_time", sa.Double(), nullable=True),
        sa.Column("parent_prediction", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(24), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "annotation_id"),
    )
    op.create_index("annotations_by_task", "annotations", ["project", "task_id"])

    op.create_table(
        "asked_questions",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("teacher", sa.String(128), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("first_asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agreed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("agreed_by", sa.String(16), server_default="teach", nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "teacher", "question"),
    )

    op.create_table(
        "few_shots",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("teacher", sa.String(128), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("standing", sa.JSON(), nullable=False),
        sa.Column("pool", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "number"),
    )

    op.create_table(
        "prompt_patches",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("teacher", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("own_hint", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("after", sa.String(64), nullable=False),
        sa.Column("gold", sa.Integer(), nullable=False),
        sa.Column("old_right", sa.Integer(), nullable=False),
        sa.Column("new_right", sa.Integer(), nullable=False),
        sa.Column("wins", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("p_value", sa.Float(), nullable=True),
        sa.Column("level", sa.Float(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_prompt_patches_project", "prompt_patches", ["project"])

    op.create_table(
        "reservations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reservations_project", "reservations", ["project"])

    op.create_table(
        "review_flags",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("annotation_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column("suggested", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("annotation_updated_at", sa.String(40), nullable=False),
        sa.Column("text_hash", sa.String(32), nullable=False),
        sa.Column("settled_label", sa.Text(), nullable=False),
        sa.Column("suggestion_shown", sa.Text(), nullable=False),
        sa.Column("flagged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "task_id"),
    )

    op.create_table(
        "runs",
        sa.Column("run_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(24), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("n_labels", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("ix_runs_project", "runs", ["project"])

    op.create_table(
        "spend",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("reserved_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger(), nullable=False),
        sa.Column("lost_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("lost_tokens", sa.BigInteger(), nullable=False),
        sa.Column("lost_calls", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project"),
    )

    op.create_table(
        "tasks",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("text_hash", sa.String(32), nullable=True),
        sa.Column("is_labeled", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.String(40), nullable=False),
        sa.Column("placed_in", sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "task_id"),
    )
    op.create_index("ix_tasks_text_hash", "tasks", ["text_hash"])

    op.create_table(
        "teacher_batches",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("teacher", sa.String(128), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("prompt", sa.String(64), nullable=False),
        sa.Column("space", sa.JSON(), nullable=False),
        sa.Column("can", sa.JSON(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("file_id", sa.String(128), nullable=False),
        sa.Column("batch_id", sa.String(128), nullable=False),
        sa.Column("reservation", sa.String(32), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_teacher_batches_project", "teacher_batches", ["project"])
    op.create_index("ix_teacher_batches_state", "teacher_batches", ["state"])

    op.create_table(
        "tuned_models",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(16), nullable=False),
        sa.Column("base", sa.String(128), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("prompt", sa.String(64), nullable=False),
        sa.Column("prompt_version", sa.String(32), nullable=False),
        sa.Column("snapshot", sa.String(32), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("training_id", sa.String(128), nullable=False),
        sa.Column("validation_id", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("teacher", sa.String(256), nullable=False),
        sa.Column("reservation", sa.String(32), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_tuned_models_project", "tuned_models", ["project"])
    op.create_index("ix_tuned_models_teacher", "tuned_models", ["teacher"])

    op.create_table(
        "versions",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("snapshot", sa.String(32), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "version"),
    )
