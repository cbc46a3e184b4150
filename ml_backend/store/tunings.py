"""Rows of the fine-tuning table: jobs under way, and the teachers that came of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ml_backend.store.database import Database
from ml_backend.store.schema import TunedModel

OPEN = ("preparing", "starting", "running")

HELD = timedelta(days=14)
"""How long a job may take that nobody looks at: after it its money counts as spent, and another may be started."""


def add(db: Database, tuned: TunedModel) -> None:
    """Remember a job before anything of it is sent."""
    with db.session() as session:
        session.add(tuned)


def change(db: Database, tuned: TunedModel, **values: object) -> None:
    """Set columns of one job, in SQL and in the row at hand."""
    with db.session() as session:
        change_in(session, tuned, **values)


def change_in(session: Session, tuned: TunedModel, **values: object) -> None:
    """The same as part of the caller's transaction."""
    session.execute(update(TunedModel).where(TunedModel.id == tuned.id).values(**values))
    for name, value in values.items():
        setattr(tuned, name, value)


def forget(db: Database, tuned: TunedModel) -> None:
    """Remove a job of which nothing was started."""
    with db.session() as session:
        session.execute(delete(TunedModel).where(TunedModel.id == tuned.id))


def every(db: Database, project: str) -> Sequence[TunedModel]:
    """All jobs of a project, newest first."""
    query = select(TunedModel).where(TunedModel.project == project).order_by(TunedModel.made_at.desc())
    with db.session() as session:
        return session.scalars(query).all()


def find_open(db: Database, project: str) -> TunedModel | None:
    """The job that has not come to its end yet; None without one."""
    since = datetime.now(UTC) - HELD
    return next((t for t in every(db, project) if t.state in OPEN and t.made_at > since), None)


def find_teacher(db: Database, teacher: str) -> TunedModel | None:
    """The job that a teacher came of, by the teacher's name with its prompt; None for any other teacher."""
    query = (
        select(TunedModel)
        .where(TunedModel.teacher == teacher, TunedModel.state == "succeeded")
        .order_by(TunedModel.made_at.desc())
        .limit(1)
    )
    with db.session() as session:
        return session.scalars(query).first()
