"""The SQL table of the tasks that somebody else is asked once more."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base


class SecondOpinion(Base):
    """A task with an answer on which a second one is wanted; at most once per task and text."""

    __tablename__ = "second_opinions"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    annotation_id: Mapped[int] = mapped_column(Integer)
    """The answer that is doubted."""
    text_hash: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16), default="asked")
    """asked · answered · withdrawn (the answer or the text is another, somebody skipped, or it was switched off)."""
    open: Mapped[bool] = mapped_column(Boolean, default=False)
    """Label Studio serves the task again: its `overlap` is 2."""
    asked_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
