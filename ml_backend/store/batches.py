"""Rows of the batch table: what went out in a file, and has not come back yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnExpressionArgument, delete, func, select, update
from sqlalchemy.orm import Session

from ml_backend.store.database import Database
from ml_backend.store.schema import Batch

UNSENT = ("preparing", "starting")
OPEN = (*UNSENT, "running")

HELD = timedelta(days=3)
"""After so long nothing of a batch comes back any more (its window is a day): its money counts as spent, and its
texts may be asked again.
"""


def add(db: Database, batch: Batch) -> None:
    """Remember a batch before anything of it is sent."""
    with db.session() as session:
        session.add(batch)


def change(db: Database, batch: Batch, **values: object) -> bool:
    """Set columns of one batch, in SQL and in the row at hand; whether it was still there."""
    with db.session() as session:
        return change_in(session, batch, **values)


def change_in(session: Session, batch: Batch, **values: object) -> bool:
    """The same as part of the caller's transaction."""
    done = session.execute(update(Batch).where(Batch.id == batch.id).values(**values))
    for name, value in values.items():
        setattr(batch, name, value)
    return done.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def forget(db: Database, batch: Batch) -> None:
    """Remove a batch of which nothing was started."""
    with db.session() as session:
        session.execute(delete(Batch).where(Batch.id == batch.id))


def forget_abandoned(db: Database, batch: Batch, before: datetime) -> bool:
    """Remove a batch if it is still unsent, and was since `before`; whether it was."""
    since = func.coalesce(Batch.started_at, Batch.made_at)
    query = delete(Batch).where(Batch.id == batch.id, Batch.state.in_(UNSENT), since < before)
    with db.session() as session:
        return session.execute(query).rowcount == 1  # type: ignore[attr-defined, no-any-return]


def find_open(db: Database, project: str, teacher: str) -> Batch | None:
    """The oldest batch that a teacher has not answered yet; None without one."""
    query = (
        select(Batch)
        .where(Batch.project == project, Batch.teacher == teacher, *_is_open())
        .order_by(Batch.made_at)
        .limit(1)
    )
    with db.session() as session:
        return session.scalars(query).first()


def are_open(db: Database, project: str) -> bool:
    """Whether answers are still to come."""
    query = select(Batch.id).where(Batch.project == project, *_is_open()).limit(1)
    with db.session() as session:
        return session.scalar(query) is not None


def in_flight(db: Database, teacher: str) -> set[str]:
    """Hashes of the texts that this teacher is being asked about in files, whatever the project."""
    query = select(Batch.texts).where(Batch.teacher == teacher, *_is_open())
    with db.session() as session:
        return {str(text) for texts in session.scalars(query) for text in texts}


def texts_in(db: Database, project: str, teacher: str) -> dict[str, int]:
    """Numbers of texts in a project's open batches by the batch's state; states without any are left out."""
    query = select(Batch.state, Batch.texts).where(
        Batch.project == project, Batch.teacher == teacher, *_is_open()
    )
    found: dict[str, int] = {}
    with db.session() as session:
        for state, texts in session.execute(query):
            found[state] = found.get(state, 0) + len(texts)
    return found


def _is_open() -> tuple[ColumnExpressionArgument[bool], ...]:
    return Batch.state.in_(OPEN), Batch.made_at > datetime.now(UTC) - HELD
