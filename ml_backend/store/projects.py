"""Rows of the project table: wishing, finding, fencing, flipping the version in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select, update

from ale.errors import ProjectGone
from ml_backend.identity import ProjectKey, normalise_url
from ml_backend.store.database import Database
from ml_backend.store.schema import Project


def wish(db: Database, key: ProjectKey) -> bool:
    """Record that somebody pointed a project at us; True when that is news. Adopts nothing.

    A project that was disconnected, or seemed to be gone, may be wished for again.
    """
    with db.session() as session:
        row = session.get(Project, str(key))
        if row is not None:
            again = row.status in {"disconnected", "gone"}
            row.status = "wished" if again else row.status
            return again
        session.add(
            Project(key=str(key), server=key.server, project_id=key.project_id, created_at=key.created_at)
        )
        return True


def find(db: Database, key: ProjectKey | str) -> Project | None:
    """The project's row, detached; None when unknown."""
    with db.session() as session:
        return session.get(Project, str(key))


def get(db: Database, key: ProjectKey | str) -> Project:
    """The row of a project that is known to exist; raises ProjectGone otherwise."""
    row = find(db, key)
    if row is None:
        raise ProjectGone(f"project {key} is not connected: run `ale connect`")
    return row


def find_by_id(db: Database, server: str, project_id: int) -> Project | None:
    """The newest project with that id on that Label Studio; connected ones before wished ones."""
    with db.session() as session:
        rows = session.scalars(
            select(Project)
            .where(Project.server == normalise_url(server), Project.project_id == project_id)
            .order_by((Project.status == "connected").desc(), Project.created_at.desc())
        ).all()
        return rows[0] if rows else None


def every(db: Database, *statuses: str, server: str | None = None) -> Sequence[Project]:
    """All projects with one of the statuses (all of them when none is given), of one Label Studio if named."""
    with db.session() as session:
        query = select(Project).order_by(Project.project_id)
        if server is not None:
            query = query.where(Project.server == normalise_url(server))
        return session.scalars(query.where(Project.status.in_(statuses)) if statuses else query).all()


def change(db: Database, key: ProjectKey | str, **values: object) -> None:
    """Set columns of one project."""
    with db.session() as session:
        session.execute(
            update(Project).where(Project.key == str(key)).values(**values, updated_at=datetime.now(UTC))
        )


def next_fence(db: Database, key: ProjectKey | str) -> int:
    """A number higher than that of every learn run before: the new run's ticket."""
    with db.session() as session:
        return session.execute(
            update(Project)
            .where(Project.key == str(key))
            .values(fence=Project.fence + 1)
            .returning(Project.fence)
        ).scalar_one()


def key_of(project: Project) -> ProjectKey:
    """The identity of a row."""
    return ProjectKey(project.server, project.project_id, project.created_at)
