"""Rows of the patch table: what a teacher's prompt was changed by, was to be changed by, or is no more."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ml_backend.store.database import Database
from ml_backend.store.schema import PromptPatch

JUDGED = ("shipped", "rolled_back", "undone")


def add_in(session: Session, patch: PromptPatch) -> None:
    """Remember a proposal, as part of the caller's transaction; afterwards it has its number."""
    session.add(patch)
    session.flush()


def change_in(session: Session, patch: PromptPatch, **values: object) -> None:
    """Set columns of one patch, in SQL and in the row at hand, as part of the caller's transaction."""
    session.execute(update(PromptPatch).where(PromptPatch.id == patch.id).values(**values))
    for name, value in values.items():
        setattr(patch, name, value)


def every(db: Database, project: str, teacher: str | None = None) -> Sequence[PromptPatch]:
    """All patches of a project, or of one of its teachers; the oldest first."""
    query = select(PromptPatch).where(PromptPatch.project == project).order_by(PromptPatch.id)
    if teacher is not None:
        query = query.where(PromptPatch.teacher == teacher)
    with db.session() as session:
        return session.scalars(query).all()


def find(db: Database, project: str, number: int) -> PromptPatch | None:
    """One patch of the project by its number."""
    with db.session() as session:
        found = session.get(PromptPatch, number)
        return found if found is not None and found.project == project else None
