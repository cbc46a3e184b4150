"""Rows of the version and run tables: what was published, what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from ale.errors import Superseded
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Run, Version

KILLED = "the worker's process ended before the run did (killed, or out of memory)"
RUNS_LOOKED_AT = 50
"""Much is measured by the runs that learn; those in between found nothing new."""
KEEP_RUNS = 1_000  # most of them found nothing changed: one a minute, by the reconcile timer


def highest_number(db: Database, project: str) -> int:
    """The highest version number ever used for the project; 0 when there is none."""
    with db.session() as session:
        return int(session.scalar(select(func.max(Version.number)).where(Version.project == project)) or 0)


def add(db: Database, version: Version) -> None:
    """Remember a version that is being built, before its first row reaches Label Studio."""
    with db.session() as session:
        session.add(version)


def change(db: Database, project: str, version: str, **values: object) -> None:
    """Set columns of one version."""
    with db.session() as session:
        session.execute(
            update(Version).where(Version.project == project, Version.version == version).values(**values)
        )


def put_in_force(db: Database, project: str, version: str, fence: int, content_hash: str) -> None:
    """Make `version` the one that /setup and /predict answer with; raises Superseded for an older run."""
    now = datetime.now(UTC)
    with db.session() as session:
        values: dict[str, object] = {"version": version, "content_hash": content_hash, "updated_at": now}
        flipped = session.execute(
            update(Project)
            .where(Project.key == project, Project.fence == fence, Project.status == "connected")
            .values(**values)
        )
        if flipped.rowcount != 1:  # type: ignore[attr-defined]
            raise Superseded(f"a newer learn run than number {fence} has started")
        session.execute(
            update(Version)
            .where(Version.project == project, Version.state == "in_force", Version.version != version)
            .values(state="superseded", superseded_at=now)
        )
        session.execute(
            update(Version)
            .where(Version.project == project, Version.version == version)
            .values(state="in_force", in_force_at=now, superseded_at=None)
        )


def find(db: Database, project: str, version: str | None) -> Version | None:
    """The version's row; None when unknown."""
    if version is None:
        return None
    with db.session() as session:
        return session.get(Version, (project, version))


def every(db: Database, project: str) -> Sequence[Version]:
    """All versions, newest first."""
    with db.session() as session:
        return session.scalars(
            select(Version).where(Version.project == project).order_by(Version.number.desc())
        ).all()


def start_run(db: Database, run: Run) -> int:
    """Number of the new run's row. Rows older than the last `KEEP_RUNS` of the project go.

    An earlier run that still says `running` was killed; if it is only slow, its own end will overwrite this.
    """
    with db.session() as session:
        session.execute(
            update(Run)
            .where(Run.project == run.project, Run.outcome == "running")
            .values(outcome="failed", reason=KILLED, finished_at=datetime.now(UTC))
        )
        session.add(run)
        session.flush()
        oldest = session.scalar(
            select(Run.run_id)
            .where(Run.project == run.project)
            .order_by(Run.run_id.desc())
            .offset(KEEP_RUNS)
            .limit(1)
        )
        if oldest is not None:
            session.execute(delete(Run).where(Run.project == run.project, Run.run_id <= oldest))
        return run.run_id


def end_run(db: Database, run_id: int, **values: object) -> None:
    """Write down how a run ended."""
    with db.session() as session:
        session.execute(
            update(Run).where(Run.run_id == run_id).values(finished_at=datetime.now(UTC), **values)
        )


def running_since(db: Database, project: str) -> datetime | None:
    """When the learn run began that is on its way, as far as anybody wrote down; None without one."""
    return next((run.started_at for run in runs(db, project, 1) if run.outcome == "running"), None)


def run_of(db: Database, project: str, version: str) -> Run | None:
    """The learn run that made a version; None when it is still running or too old to be on record."""
    with db.session() as session:
        return session.scalars(
            select(Run).where(Run.project == project, Run.version == version).order_by(Run.run_id).limit(1)
        ).first()


def runs(db: Database, project: str, limit: int = 20) -> Sequence[Run]:
    """The last runs, newest first."""
    with db.session() as session:
        return session.scalars(
            select(Run).where(Run.project == project).order_by(Run.run_id.desc()).limit(limit)
        ).all()


def newest_count(db: Database, project: str, what: str) -> Any:
    """What the newest run that found any says under this name in its counts; None while none does."""
    found = (run.counts.get(what) for run in runs(db, project, RUNS_LOOKED_AT))
    return next((one for one in found if one), None)
