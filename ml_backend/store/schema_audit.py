"""The SQL tables of what the audit proves: looks that were made, and models of the past."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Double, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base


class FinishLook(Base):
    """A look of `ale finish` at the audit, successful or not; kept as long as the project is."""

    __tablename__ = "finish_looks"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    max_error: Mapped[float] = mapped_column(Double, primary_key=True)
    confidence: Mapped[float] = mapped_column(Double, primary_key=True)
    audited: Mapped[int] = mapped_column(Integer, primary_key=True)
    """The declared number of audit labels that it was made at."""
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Fingerprint of all that was judged: the same student in two versions is one model."""
    version: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class PastModel(Base):
    """What a student of the past said of the first tasks in the audit's order; one every few labels."""

    __tablename__ = "past_models"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    space: Mapped[str] = mapped_column(String(12), primary_key=True)
    """Fingerprint of the labels that it answered with, and of the kind of student: others are not compared."""
    labels: Mapped[int] = mapped_column(Integer, primary_key=True)
    """How many labels it had learnt from."""
    tasks: Mapped[bytes] = mapped_column(LargeBinary)
    """Task ids, little-endian, 8 bytes each."""
    said: Mapped[bytes] = mapped_column(LargeBinary)
    """Positions of the labels, little-endian, 2 bytes each; -1 = nothing."""
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
