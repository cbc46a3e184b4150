"""Rows of review as a project of its own: its number, and the verdicts that were given there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from ml_backend.identity import ProjectKey
from ml_backend.store.database import Database
from ml_backend.store.schema import ReviewProject, ReviewVerdict


def find(db: Database, project: str) -> ReviewProject | None:
    """The review project of a project, as last known."""
    with db.session() as session:
        return session.get(ReviewProject, project)


def keep(db: Database, project: str, review: ProjectKey) -> None:
    """Remember which one it is."""
    with db.session() as session:
        session.merge(
            ReviewProject(project=project, review_key=str(review), review_project_id=review.project_id)
        )


def forget(db: Database, project: str) -> None:
    """It is gone from Label Studio; the verdicts stay."""
    with db.session() as session:
        session.execute(delete(ReviewProject).where(ReviewProject.project == project))


def verdicts(db: Database, project: str) -> Sequence[ReviewVerdict]:
    """All verdicts, the newest first."""
    with db.session() as session:
        return session.scalars(
            select(ReviewVerdict)
            .where(ReviewVerdict.project == project)
            .order_by(ReviewVerdict.answered_at.desc(), ReviewVerdict.question)
        ).all()
