"""The SQL tables of review as a project of its own: which project it is, and what its reviewers have said."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base


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
