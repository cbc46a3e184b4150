"""Reading Label Studio's state into the mirror: what changed, and now and then everything.

A task's `updated_at` moves when its data changes and when an annotation on it is made, changed or deleted,
so a watermark finds those. Deleted tasks leave no trace: the project's counters are compared with the
mirror's, and when they differ the ids of all tasks and annotations are read (a few small fields of each).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ale.text import normalise, text_hash
from ml_backend.controls import Control
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.store import mirror, projects
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import Project

logger = logging.getLogger(__name__)

OVERLAP = timedelta(seconds=2)  # rows of a transaction that was still open at the last read carry older times
SETTLED = timedelta(seconds=30)  # no transaction of Label Studio stays open for so long
CHUNK = 100  # whole tasks per request


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync read: tasks looked at, tasks whose annotations were read, tasks removed."""

    tasks: int
    annotated: int
    removed: int
    whole: bool


def sync(db: Database, client: LabelStudioClient, row: Project, project: Json, control: Control) -> Synced:
    """Bring the mirror up to date with Label Studio; `project` is its fresh description."""
    config = str(project["label_config"])
    if row.label_config != config:
        # Another field may hold the text and other values may be labels: read all of it again.
        if row.label_config:
            mirror.reread_annotations(db, row.key)
        projects.change(db, row.key, label_config=config, synced_until="", settled_until="", counts_seen="")
        row.label_config, row.synced_until, row.settled_until, row.counts_seen = config, "", "", ""
    begun = datetime.now(UTC)
    before = row.synced_until
    client_rows = client.tasks(row.project_id, changed_after=_since(row))
    synced = _apply(db, client, row, control, client_rows, whole=not before)
    _settle(db, row, before, begun)
    return _repair(db, client, row, project, control) or synced


def _repair(
    db: Database, client: LabelStudioClient, row: Project, project: Json, control: Control
) -> Synced | None:
    """Read all ids when the counters disagree, unless the same disagreement was looked into before.

    `project` was read before the tasks were: what people saved in between is in the mirror only, and a second
    look at the counters explains it. Reading all of 10,000 tasks for it would cost many seconds.
    """
    tasks, annotations = mirror.counts(db, row.key)
    theirs = _counters(project)
    if theirs == (tasks, annotations):
        return None
    now = _counters(client.project(row.project_id))
    if theirs[0] <= tasks <= now[0] and theirs[1] <= annotations <= now[1]:
        return None
    theirs = now
    seen = f"{theirs[0]}/{theirs[1]} mirrored {tasks}/{annotations}"
    if seen == row.counts_seen:
        return None
    synced = _apply(db, client, row, control, client.tasks(row.project_id), whole=True)
    tasks, annotations = mirror.counts(db, row.key)
    row.counts_seen = f"{theirs[0]}/{theirs[1]} mirrored {tasks}/{annotations}"
    projects.change(db, row.key, counts_seen=row.counts_seen)
    logger.info("project %s: counters differed (%s), read all ids", row.key, seen)
    return synced


def _counters(project: Json) -> tuple[int, int]:
    """Tasks and annotations, skips included, as Label Studio counts them."""
    tasks, submitted, skipped = (
        int(project.get(name) or 0)
        for name in ("task_number", "total_annotations_number", "skipped_annotations_number")
    )
    return tasks, submitted + skipped


def _apply(
    db: Database,
    client: LabelStudioClient,
    row: Project,
    control: Control,
    tasks: Iterable[Json],
    *,
    whole: bool,
) -> Synced:
    known, stamps = mirror.stamps(db, row.key)
    newest = row.synced_until
    seen_ids: set[int] = set()
    stale: set[int] = set()
    batch: list[TaskSeen] = []
    for task in tasks:
        task_id = int(task["id"])
        seen_ids.add(task_id)
        newest = max(newest, str(task["updated_at"]))
        batch.append(_task_seen(task, control))
        theirs = {int(a["id"]): str(a["updated_at"]) for a in task["annotations"]}
        if theirs != stamps.get(task_id, {}):
            stale.add(task_id)
    mirror.save_tasks(db, row.key, batch)
    _read_annotations(db, client, row, control, sorted(stale))
    removed = known - seen_ids if whole else set()
    mirror.forget_tasks(db, row.key, removed)
    if newest != row.synced_until:
        # Last: a sync that was cut off starts again where the one before it ended.
        row.synced_until = newest
        projects.change(db, row.key, synced_until=newest)
    return Synced(len(seen_ids), len(stale), len(removed), whole)


def _read_annotations(
    db: Database, client: LabelStudioClient, row: Project, control: Control, task_ids: list[int]
) -> None:
    """Not by the end point for one task's annotations: it leaves skipped ones out."""
    for start in range(0, len(task_ids), CHUNK):
        chunk = task_ids[start : start + CHUNK]
        rows = [
            annotation_row(int(task["id"]), raw, control)
            for task in client.tasks(row.project_id, ids=chunk, full_annotations=True)
            for raw in task["annotations"]
        ]
        mirror.save_annotations(db, row.key, chunk, rows)


def _task_seen(task: Json, control: Control) -> TaskSeen:
    text = normalise(control.text(task["data"]))
    return TaskSeen(
        task_id=int(task["id"]),
        text=text,
        text_hash=text_hash(text) if text is not None else None,
        is_labeled=bool(task["is_labeled"]),
        updated_at=str(task["updated_at"]),
    )


def annotation_row(task_id: int, raw: Json, control: Control) -> dict[str, Any]:
    """Columns of the mirror for an annotation as Label Studio describes it."""
    result = raw.get("result") or []
    return {
        "annotation_id": int(raw["id"]),
        "task_id": task_id,
        "values": control.read_values(result),
        "label": None if raw.get("was_cancelled") else control.read_label(result),
        "annotator": _user_id(raw.get("completed_by")),
        "updated_by": _user_id(raw.get("updated_by")),
        "was_cancelled": bool(raw.get("was_cancelled")),
        "ground_truth": bool(raw.get("ground_truth")),
        # "Create annotations from predictions" leaves exactly this trace: a parent prediction, no seconds
        # spent, no user who saved. A person who later edits it sets both, and then it counts.
        "from_prediction": raw.get("parent_prediction") is not None
        and raw.get("lead_time") is None
        and raw.get("updated_by") is None,
        "created_at": str(raw.get("created_at") or ""),
        "updated_at": str(raw.get("updated_at") or ""),
        "lead_time": raw.get("lead_time"),
        "parent_prediction": raw.get("parent_prediction"),
        "parent_annotation": raw.get("parent_annotation"),
        "origin": next(
            (str(i.get("origin") or "") for i in result if i.get("from_name") == control.from_name), ""
        ),
    }


def _user_id(value: Any) -> int | None:
    """Label Studio writes a user as an id here and as an object there."""
    if isinstance(value, dict):
        value = value.get("id")
    return int(value) if isinstance(value, int) else None


def _since(row: Project) -> str:
    """From when on to read; empty = from the start."""
    if not row.synced_until:
        return ""
    settled = row.settled_until == row.synced_until
    moment = datetime.fromisoformat(row.synced_until) - (timedelta() if settled else OVERLAP)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _settle(db: Database, row: Project, before: str, begun: datetime) -> None:
    """Remember when the watermark moved, and that what it stands for was read again well after that.

    An import of 10,000 tasks lies within one overlap: each sync would read all of it until something else
    changes. Only our own clock is compared with itself.
    """
    if row.synced_until != before:
        row.synced_at = datetime.now(UTC)
        projects.change(db, row.key, synced_at=row.synced_at)
    elif (
        row.synced_until != row.settled_until
        and row.synced_at is not None
        and begun - row.synced_at >= SETTLED
    ):
        row.settled_until = row.synced_until
        projects.change(db, row.key, settled_until=row.settled_until)
