"""The SQL tables: what costs money or human decisions, and the mirror of Label Studio's state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Double, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base
from ml_backend.store.schema_audit import FinishLook, PastModel
from ml_backend.store.schema_opinions import SecondOpinion
from ml_backend.store.schema_review import ReviewDecision, ReviewProject, ReviewVerdict
from ml_backend.store.schema_served import Feedback, Served
from ml_backend.store.schema_teacher import (
    AskedQuestion,
    Batch,
    FewShots,
    PromptPatch,
    Reply,
    Reservation,
    Spend,
    TunedModel,
)

__all__ = [
    "Annotation",
    "AskedQuestion",
    "Base",
    "Batch",
    "Feedback",
    "FewShots",
    "FinishLook",
    "PastModel",
    "Project",
    "PromptPatch",
    "Reply",
    "Reservation",
    "ReviewDecision",
    "ReviewFlag",
    "ReviewProject",
    "ReviewVerdict",
    "Run",
    "SecondOpinion",
    "Served",
    "Spend",
    "Task",
    "TunedModel",
    "Version",
]


class Project(Base):
    """A project that somebody wished to connect, or that is connected."""

    __tablename__ = "projects"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    server: Mapped[str] = mapped_column(String(512))
    project_id: Mapped[int] = mapped_column(Integer, index=True)
    created_at: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), default="wished")
    """wished (by /setup) · connected · disconnected · gone (deleted in Label Studio)."""
    title: Mapped[str] = mapped_column(String(512), default="")
    paid_teacher: Mapped[bool] = mapped_column(default=False)
    label_config: Mapped[str] = mapped_column(Text, default="")
    instructions: Mapped[str] = mapped_column(Text, default="")
    problem: Mapped[str] = mapped_column(Text, default="")
    """Why nothing is published just now, in words for the user; empty when all is well."""
    version: Mapped[str | None] = mapped_column(String(64))
    """The version in force; `/setup` answers with it."""
    content_hash: Mapped[str] = mapped_column(String(64), default="")
    """What the version in force was learnt from."""
    fence: Mapped[int] = mapped_column(Integer, default=0)
    """Number of the newest learn run; an older one discards itself."""
    synced_until: Mapped[str] = mapped_column(String(40), default="")
    """Newest `updated_at` that was read, as Label Studio writes it."""
    synced_at: Mapped[datetime | None]
    """When (by our clock) `synced_until` last moved."""
    settled_until: Mapped[str] = mapped_column(String(40), default="", server_default="")
    """Up to here nothing can come any more: it was read once more, long after it was read first."""
    counts_seen: Mapped[str] = mapped_column(String(120), default="")
    teacher_problem: Mapped[str] = mapped_column(Text, default="")
    """Why the teacher does not answer just now; empty when it does."""
    teacher_beaten: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Why paid teachers are asked no more although they could be: the figures; empty while they are worth it."""
    full_publish_at: Mapped[datetime | None]
    audit_since: Mapped[datetime | None]
    """When the audit reserve came into force; labels that were given earlier train. None = no audit."""
    audit_upto: Mapped[int | None]
    """The newest task that the audit speaks of (`ale.audit.front`); None = no learn run has set it yet."""
    audit_later: Mapped[int | None]
    """The newest task that it is catching up with; `audit_upto` while there is none."""
    audit_due: Mapped[int | None]
    """How many audits have to be answered in all until it has caught up with them."""
    webhook_id: Mapped[int | None]
    backend_id: Mapped[int | None]
    review_view_id: Mapped[int | None]
    unsure_view_id: Mapped[int | None]
    previous_sampling: Mapped[str] = mapped_column(String(64), default="")
    updated_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class Task(Base):
    """A task as last read from Label Studio; the row goes when the task goes."""

    __tablename__ = "tasks"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    text: Mapped[str | None] = mapped_column(Text)
    """Normalised; None when the task has no usable text."""
    text_hash: Mapped[str | None] = mapped_column(String(32), index=True)
    is_labeled: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[str] = mapped_column(String(40), default="")
    placed_in: Mapped[str | None] = mapped_column(String(64))
    """The last version in which this task got a prediction; None = never placed in the order."""


class Annotation(Base):
    """A human answer as last read from Label Studio; the row goes when the annotation goes."""

    __tablename__ = "annotations"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    annotation_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer)
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Values by `from_name`, without ids, order or origin: what a review decision compares."""
    label: Mapped[str | None] = mapped_column(Text)
    """The supported control's value; None when it is empty or skipped."""
    annotator: Mapped[int | None]
    updated_by: Mapped[int | None]
    was_cancelled: Mapped[bool] = mapped_column(default=False)
    ground_truth: Mapped[bool] = mapped_column(default=False)
    from_prediction: Mapped[bool] = mapped_column(default=False)
    """Made from a prediction in bulk, with nobody looking: not a human label."""
    created_at: Mapped[str] = mapped_column(String(40), default="")
    updated_at: Mapped[str] = mapped_column(String(40), default="")
    lead_time: Mapped[float | None] = mapped_column(Double)
    """Seconds the annotator took; kept from the first sight, since a reviewer's Update replaces it."""
    parent_prediction: Mapped[int | None]
    parent_annotation: Mapped[int | None]
    """The answer that this one was made from and corrects: a reviewer's, or "Duplicate Annotation" in the editor."""
    origin: Mapped[str] = mapped_column(String(24), default="")
    """The editor's word for the supported control: manual · prediction (accepted as it was) · prediction-changed."""

    __table_args__ = (Index("annotations_by_task", "project", "task_id"),)


class Version(Base):
    """A published (or half-published) set of predictions."""

    __tablename__ = "versions"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="building")
    """building · flipping (about to be in force) · in_force · superseded · discarded (never in force) · cleaned (rows deleted)."""
    kind: Mapped[str] = mapped_column(String(16), default="teacher")
    """student · teacher (no student yet) · none (neither: an order without suggestions)."""
    labels: Mapped[list[Any]] = mapped_column(default=list)
    snapshot: Mapped[str] = mapped_column(String(32), default="")
    rows: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    in_force_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answers: Mapped[int] = mapped_column(Integer, default=0)
    """Teacher answers that it was learnt from."""
    head: Mapped[str] = mapped_column(String(64), default="")
    """Fingerprint of the queue's order and suggestions."""


class Run(Base):
    """One learn run and how it ended."""

    __tablename__ = "runs"

    run_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), index=True)
    fence: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime]
    """Every change that Label Studio accepted before this moment is in the run."""
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(24), default="running")
    """running · published · filled · unchanged · superseded · not_ready · failed."""
    reason: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[str | None] = mapped_column(String(64))
    n_labels: Mapped[int] = mapped_column(Integer, default=0)
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ReviewFlag(Base):
    """A human label that we doubt, and what a person decided about it."""

    __tablename__ = "review_flags"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    annotation_id: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), default="suspect")
    """suspect · confirmed · fixed · reported (a reviewer has said another label, which is not written back) · withdrawn."""
    shown: Mapped[bool] = mapped_column(default=False)
    """Label Studio's data fields say what this row says."""
    given: Mapped[str] = mapped_column(Text)
    suggested: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Float)
    doubt: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    """The score before earlier decisions had a say in it."""
    reason: Mapped[str] = mapped_column(Text)
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    annotation_updated_at: Mapped[str] = mapped_column(String(40))
    text_hash: Mapped[str] = mapped_column(String(32))
    settled_label: Mapped[str] = mapped_column(Text, default="")
    """What the person left standing when the flag was settled: silent until that changes."""
    suggestion_shown: Mapped[str] = mapped_column(Text, default="")
    """The suggestion that stands beside the annotation as a prediction."""
    flagged_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None]
