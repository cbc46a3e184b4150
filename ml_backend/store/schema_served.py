"""The SQL tables of what a served model said, and what people said of it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base


class Served(Base):
    """One prediction that left the house, or one trace of another program; not all are kept."""

    __tablename__ = "served"

    request_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Place of the text in its request."""
    service: Mapped[str] = mapped_column(String(64))
    served_at: Mapped[datetime]
    model_version: Mapped[str] = mapped_column(String(64), default="")
    label: Mapped[str | None] = mapped_column(Text)
    confidence: Mapped[float | None] = mapped_column(Float)
    """None where nobody told it: a trace."""
    drawn: Mapped[bool] = mapped_column(default=True)
    """Part of the random sample; what was kept for being unsure alone would make every day look worse."""
    text: Mapped[str | None] = mapped_column(Text)
    """None where texts may not be kept."""
    taken_by: Mapped[str | None] = mapped_column(String(64))
    """The project whose annotators it was given to, or that has this text already."""
    outcome: Mapped[str] = mapped_column(String(16), default="", server_default="")
    """task · in_project; empty while it is not taken."""

    __table_args__ = (Index("served_by_time", "service", "served_at"),)


class Feedback(Base):
    """What somebody said of a prediction; the last word on it counts."""

    __tablename__ = "feedback"

    feedback_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    request_id: Mapped[str] = mapped_column(String(32), index=True)
    item: Mapped[int] = mapped_column(Integer, default=0)
    given_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    thumbs: Mapped[str] = mapped_column(String(4), default="", server_default="")
    """up · down · empty."""
    label: Mapped[str | None] = mapped_column(Text)
    """The label that it should have been."""
    comment: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    """The text once more, from a client that sent it; None where texts may not be kept."""
