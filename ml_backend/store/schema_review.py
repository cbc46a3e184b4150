"""The SQL tables of reviews: every decision about a doubted label; review as a project of its own, and its answers."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base


class ReviewDecision(Base):
    """What a person decided about one label of one text: it stays when the flag is raised anew or withdrawn."""

    __tablename__ = "review_decisions"
    __table_args__ = (Index("ix_review_decisions_project_task_id", "project", "task_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"))
    task_id: Mapped[int] = mapped_column(Integer)
    text_hash: Mapped[str] = mapped_column(String(32))
    given: Mapped[str] = mapped_column(Text)
    """The label that was doubted."""
    answer: Mapped[str] = mapped_column(Text)
    """The label that is right: the same one confirms it."""
    doubt: Mapped[float] = mapped_column(Float)
    """How surely it was wrong, before earlier decisions had a say in it."""
    applied: Mapped[bool] = mapped_column(default=True)
    """The task has this label now; False where a reviewer's answer is only reported."""
    decided_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    decided_by: Mapped[int | None]


class ReviewProject(Base):
    """The Label Studio project that holds a project's suspects as tasks."""

    __tablename__ = "review_projects"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    review_key: Mapped[str] = mapped_column(String(64))
    """Its identity: an id alone may come to mean another project."""
    review_project_id: Mapped[int] = mapped_column(Integer)


class ReviewVerdict(Base):
    """A reviewer's answer to one question: is this label of this text right? Outlives the review project."""

    __tablename__ = "review_verdicts"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    question: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Changes when annotation or text do."""
    task_id: Mapped[int] = mapped_column(Integer)
    annotation_id: Mapped[int] = mapped_column(Integer)
    """The answer that was doubted, as it was when the question was put."""
    annotation_updated_at: Mapped[str] = mapped_column(String(40))
    text_hash: Mapped[str] = mapped_column(String(32))
    given: Mapped[str] = mapped_column(Text)
    suggested: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    reviewer: Mapped[int | None]
    answered_at: Mapped[str] = mapped_column(String(40))
    """As Label Studio writes it."""
    outcome: Mapped[str] = mapped_column(String(16), default="new")
    """new · confirmed · fixed (written back) · reported (another label, not written back) · void (see `why`)."""
    why: Mapped[str] = mapped_column(String(32), default="")
    """Why it is void: task_deleted · text_changed · label_changed."""
    written_id: Mapped[int | None]
    """The annotation that was written on the original task."""
