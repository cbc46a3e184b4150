"""`ale doctor`: every hop on the way round, and for each that fails the one line to change.

A check is a generator of findings; it never raises for what it looks for. What stands on a hop that failed
is left out, so that the first red line is the one to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

from ml_backend.doctor.compose import in_compose
from ml_backend.doctor.findings import Finding, broken
from ml_backend.doctor.mirror import mlflow
from ml_backend.doctor.own import checkpoints, database, encoder, redis_and_worker, web_process
from ml_backend.doctor.student import project_student, student
from ml_backend.doctor.studio import label_studio, project_findings
from ml_backend.doctor.teachers import project_teacher, teachers
from ml_backend.settings import Settings
from ml_backend.store import projects

__all__ = ["Finding", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, in the order in which a request travels; inside the compose stack in its words."""
    findings = _examine(settings)
    yield from map(in_compose, findings) if settings.deployment == "compose" else findings


def _examine(settings: Settings) -> Iterator[Finding]:
    yield from encoder(settings)
    yield from student(settings)
    db = yield from database(settings)
    yield from checkpoints(settings)
    yield from redis_and_worker(settings)
    yield from teachers(settings)
    yield from web_process(settings)
    yield from mlflow(settings)
    client = yield from label_studio(settings)
    if db is None or client is None:
        return
    rows = projects.every(db, "connected", "wished", server=settings.label_studio_url)
    if not rows:
        yield broken("projects", "no project is connected", "run: ale connect PROJECT_ID")
    for row in rows:
        yield from project_findings(settings, db, client, row)
        if row.status == "connected":
            yield from project_teacher(settings, row)
            yield from project_student(settings, row)
