"""Deleting superseded predictions: after the grace period, one by one, a few at a time.

A page that was opened on a version holds the ids of its rows, and Label Studio refuses its Submit when they
are gone. Deleting a whole version in one call locks the project's annotators out while it runs (512 s for
20,000 rows on Postgres); single deletions do not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from ml_backend.label_studio import LabelStudioClient
from ml_backend.publish import NAME
from ml_backend.review_flags import SUGGESTION_VERSION, flags
from ml_backend.settings import Settings
from ml_backend.store import versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project

logger = logging.getLogger(__name__)

STEP = 25  # rows, some 1.5 s: a learn run never waits long behind a step
LISTED = 500
"""Rows that one listing is good for. Label Studio lists all predictions or none, seconds for 50,000."""


def clean_step(
    db: Database,
    client: LabelStudioClient,
    settings: Settings,
    project: Project,
    listed: Sequence[int] = (),
) -> list[int]:
    """Delete the next few rows that may go; the ids that the next step should begin with.

    `listed` are ids of the step before; without any, they are found. Empty = nothing is left.
    """
    rows = list(listed) or _due_rows(db, client, settings, project)
    for prediction_id in rows[:STEP]:
        client.delete_prediction(prediction_id)
    left = rows[STEP:]
    if rows:
        logger.info("project %s: deleted %d superseded predictions", project.key, len(rows) - len(left))
    return left or (_due_rows(db, client, settings, project) if rows else [])


def _due_rows(db: Database, client: LabelStudioClient, settings: Settings, project: Project) -> list[int]:
    """Ids of rows that may go, `LISTED` at most."""
    _discard_unfinished(db, project)
    due = _due_versions(db, settings, project)
    theirs = client.model_versions(project.project_id)
    for name in [name for name in due if name not in theirs]:
        versions.change(db, project.key, name, state="cleaned", rows=0)
    # What the project names is being served, whatever our tables say.
    due = due & set(theirs) - {str(client.project(project.project_id)["model_version"])}
    settled = _settled_tasks(db, settings, project) if SUGGESTION_VERSION in theirs else set()
    if not due and not settled:
        return []
    rows = (
        int(row["id"])
        for row in client.predictions(project.project_id)
        if row["model_version"] in due
        or (row["model_version"] == SUGGESTION_VERSION and row["task"] in settled)
    )
    return list(islice(rows, LISTED))


def _discard_unfinished(db: Database, project: Project) -> None:
    """Versions of runs that died before the flip were never in force."""
    since = versions.running_since(db, project.key)
    for version in versions.every(db, project.key):
        running = since is not None and since <= version.created_at
        if version.state not in {"building", "flipping"} or running:
            continue
        if version.state == "building":
            versions.change(db, project.key, version.version, state="discarded")
        else:  # it may have been in force in Label Studio: pages may hold its rows
            versions.change(
                db, project.key, version.version, state="superseded", superseded_at=datetime.now(UTC)
            )


def _due_versions(db: Database, settings: Settings, project: Project) -> set[str]:
    """Ours, not in force, and either never in force or superseded longer ago than the grace period."""
    limit = datetime.now(UTC) - timedelta(seconds=settings.grace_s)
    return {
        v.version
        for v in versions.every(db, project.key)
        if NAME.match(v.version)
        and v.version != project.version
        and (
            v.state == "discarded"
            or (v.state == "superseded" and v.superseded_at is not None and v.superseded_at < limit)
        )
    }


def _settled_tasks(db: Database, settings: Settings, project: Project) -> set[int]:
    """Tasks whose review is over for longer than the grace period: their suggestion has done its work."""
    limit = datetime.now(UTC) - timedelta(seconds=settings.grace_s)
    return {
        flag.task_id
        for flag in flags(db, project.key)
        if flag.status != "suspect" and flag.decided_at is not None and flag.decided_at < limit
    }
