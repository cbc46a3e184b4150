"""Letting a project's audit speak of newer tasks, once it has caught up with them (`ale.audit.front`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ml_backend.reserve import Reserve
from ml_backend.store import projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Project, Task


def move(
    db: Database,
    project: Project,
    reserve: Reserve | None,
    tasks: Sequence[Task],
    annotations: Sequence[Annotation],
) -> None:
    """Bring the reach of the `project` up to date, in the database and in this row.

    `tasks` are all of them: of those without an embedding too, some will be audited.
    """
    if reserve is None:
        return
    said: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        said[annotation.task_id].append(annotation)
    found = reserve.moved(tasks, said)
    if found == reserve.reach:
        return
    project.audit_upto, project.audit_later, project.audit_due = found.upto, found.later, found.due
    projects.change(
        db,
        project.key,
        audit_upto=found.upto,
        audit_later=found.later,
        audit_due=found.due,
    )
