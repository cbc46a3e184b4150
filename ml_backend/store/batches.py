"""Rows of the batch table: what went out in a file, and has not come back yet."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, load_only

from ml_backend.store.database import Database
from ml_backend.store.schema import Batch

OPEN = ("preparing", "starting", "running")


def add(db: Database, batch: Batch) -> None:
    """Remember a batch before anything of it is sent."""
    with db.session() as session:
        session.add(batch)


def change(db: Database, batch: Batch, **values: object) -> None:
    """Set columns of one batch, in SQL and in the row at hand."""
    with db.session() as session:
        change_in(session, batch, **values)


def change_in(session: Session, batch: Batch, **values: object) -> None:
    """The same as part of the caller's transaction."""
    session.execute(update(Batch).where(Batch.id == batch.id).values(**values))
    for name, value in values.items():
        setattr(batch, name, value)


def forget(db: Database, batch: Batch) -> None:
    """Remove a batch of which nothing was started."""
    with db.session() as session:
        session.execute(delete(Batch).where(Batch.id == batch.id))


def find_open(db: Database, project: str, teacher: str) -> Batch | None:
    """The oldest batch that a teacher has not answered yet; None without one."""
    query = (
        select(Batch)
        .where(Batch.project == project, Batch.teacher == teacher, Batch.state.in_(OPEN))
        .order_by(Batch.made_at)
        .limit(1)
    )
    with db.session() as session:
        return session.scalars(query).first()


def in_flight(db: Database, teacher: str) -> set[str]:
    """Hashes of the texts that this teacher is being asked about in files, whatever the project."""
    query = (
        select(Batch).where(Batch.teacher == teacher, Batch.state.in_(OPEN)).options(load_only(Batch.texts))
    )
    with db.session() as session:
        return {str(text) for batch in session.scalars(query) for text in batch.texts}
