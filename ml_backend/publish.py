"""Putting a version of predictions in force: import, verify, fence, flip. In this order, or not at all.

Label Studio serves by `score` among the predictions whose version is `project.model_version`. A version is
imported whole in the background and takes effect with one PATCH; a run that dies in between leaves the
version before in force, and its rows are cleaned up as never having been in force.

Of a version that covers the whole pool only the head of the queue is waited for: the rest follows after the
flip, in calls that stay short, since Label Studio on SQLite has one writer and annotators wait behind it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

from ale.errors import AleError, LabelStudioRefused, PublishError, Superseded
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.store import mirror, projects, versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Version

logger = logging.getLogger(__name__)

NAME = re.compile(r"^ale-(\d+)-[0-9a-f]{4}$")
CALL = 5_000  # rows per import call; without Label Studio's fast import one big call is far cheaper
SHORT_CALL = 500
FAST_S = 2.0  # a short call below this says that the fast import is on, and short calls cost nothing more


def version_name(db: Database, client: LabelStudioClient, project: Project, content: str) -> tuple[int, str]:
    """Number and name of the next version, e.g. (12, "ale-12-3f9c").

    Higher than any that our database *or* Label Studio knows: an emptied volume must not reuse a name.
    """
    theirs = [
        int(m.group(1)) for name in client.model_versions(project.project_id) if (m := NAME.match(name))
    ]
    number = max([versions.highest_number(db, project.key), *theirs]) + 1
    return number, f"ale-{number}-{content[:4]}"


def publish(
    db: Database,
    client: LabelStudioClient,
    project: Project,
    version: Version,
    rows: Sequence[Json],
    *,
    fence: int,
    content_hash: str,
) -> None:
    """Put `version` with these rows in force. Raises PublishError or Superseded; then nothing has changed.

    The version's row must already be known to the database (state `building`).
    """
    try:
        check_fence(db, project.key, fence)
        _import(client, project, version.version, rows)
        check_fence(db, project.key, fence)
        _check_config(client, project)
    except AleError:
        versions.change(db, project.key, version.version, state="discarded")
        raise
    # From here on a page may hold a row of it, whatever happens to us or to the answer of the PATCH.
    versions.change(db, project.key, version.version, state="flipping")
    try:
        if rows:
            client.update_project(project.project_id, model_version=version.version)
        versions.put_in_force(db, project.key, version.version, fence, content_hash)
    except AleError:
        versions.change(db, project.key, version.version, state="superseded", superseded_at=datetime.now(UTC))
        raise
    _placed(db, project, version, rows)
    logger.info("project %s: %s in force, %d predictions", project.key, version.version, len(rows))


def extend(
    db: Database,
    client: LabelStudioClient,
    project: Project,
    version: Version,
    rows: Sequence[Json],
    *,
    fence: int,
) -> None:
    """Add the rest of the pool to the version in force. Raises PublishError or Superseded; what was added stays.

    A task that is not reached keeps the prediction of an older version and comes with the next such round.
    """
    placed = client.task_ids_with_version(project.project_id, version.version)
    rest = [row for row in rows if row["task"] not in placed]
    size = SHORT_CALL
    while rest:
        check_fence(db, project.key, fence)
        part, rest = rest[:size], rest[size:]
        started = monotonic()
        _import(client, project, version.version, part, discard=False)
        _placed(db, project, version, part)
        if size == SHORT_CALL and monotonic() - started > FAST_S:
            size = CALL
    logger.info("project %s: %s covers the whole pool", project.key, version.version)


def hold_order(client: LabelStudioClient, project: Project, theirs: Json) -> bool:
    """Put the version in force back into `project.model_version` where it is not there; True when it was not.

    A flip whose answer was lost, a project setting that was switched off and on, or a backend's title leave
    another value, and with it a random order. A version that is not ours was chosen by somebody: it stays.
    """
    now = str(theirs["model_version"] or "")
    if project.version is None or now == project.version:
        return False
    known = client.model_versions(project.project_id)
    if project.version not in known or (now in known and not NAME.match(now)):
        return False
    client.update_project(project.project_id, model_version=project.version)
    logger.info("project %s: model_version was %r, set back to %s", project.key, now, project.version)
    return True


def _placed(db: Database, project: Project, version: Version, rows: Sequence[Json]) -> None:
    version.rows = (version.rows or 0) + len(rows)
    versions.change(db, project.key, version.version, rows=version.rows)
    mirror.place_tasks(db, project.key, [int(row["task"]) for row in rows], version.version)


def fill(
    db: Database, client: LabelStudioClient, project: Project, version: Version, rows: Sequence[Json]
) -> int:
    """Give tasks that never stood in the order a place in the version in force; how many were added.

    Label Studio may have stored a row for one of them meanwhile (a page asked /predict): those are left out.
    """
    if not rows:
        return 0
    placed = client.task_ids_with_version(project.project_id, version.version)
    missing = [row for row in rows if row["task"] not in placed]
    _import(client, project, version.version, missing, discard=False)
    mirror.place_tasks(db, project.key, [int(row["task"]) for row in rows], version.version)
    _placed(db, project, version, missing)
    return len(missing)


def check_fence(db: Database, project: str, fence: int) -> None:
    """Raise Superseded unless `fence` is the newest ticket of the project."""
    row = projects.find(db, project)
    if row is None or row.fence != fence or row.status != "connected":
        raise Superseded(f"a newer learn run than number {fence} has started, or the project is disconnected")


def _check_config(client: LabelStudioClient, project: Project) -> None:
    """Raise Superseded when the labelling config was changed while we learnt: its labels may be gone."""
    if client.project(project.project_id)["label_config"] != project.label_config:
        raise Superseded("the labelling config was changed during the run")


def _import(
    client: LabelStudioClient, project: Project, version: str, rows: Sequence[Json], *, discard: bool = True
) -> None:
    created = 0
    try:
        for start in range(0, len(rows), CALL):
            created += client.import_predictions(project.project_id, rows[start : start + CALL])
    except LabelStudioRefused as error:
        # One task that was deleted meanwhile is enough for Label Studio to refuse the whole call.
        raise PublishError(f"Label Studio refused the predictions of {version}: {error}") from error
    if created != len(rows):
        raise PublishError(
            f"Label Studio took {created} of {len(rows)} predictions of {version}"
            + ("; the version before stays in force" if discard else "")
        )
