"""The mirror of Label Studio's tasks and annotations: written by sync, read by everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import defer

from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Task

CHUNK = 500  # SQLite allows a few thousand variables per statement, older builds 999


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A task as sync read it; `text` is normalised, None when there is none."""

    task_id: int
    text: str | None
    text_hash: str | None
    is_labeled: bool
    updated_at: str


def save_tasks(db: Database, project: str, tasks: Sequence[TaskSeen]) -> None:
    """Insert or update tasks; where a task stands in the order is kept."""
    with db.session() as session:
        known = {
            task.task_id: task
            for chunk in _chunks([t.task_id for t in tasks])
            for task in session.scalars(select(Task).where(Task.project == project, Task.task_id.in_(chunk)))
        }
        for seen in tasks:
            row = known.get(seen.task_id)
            if row is None:
                row = Task(project=project, task_id=seen.task_id)
                session.add(row)
            elif row.text_hash != seen.text_hash:
                row.placed_in = None  # its prediction speaks of another text
            row.text, row.text_hash = seen.text, seen.text_hash
            row.is_labeled, row.updated_at = seen.is_labeled, seen.updated_at


def save_annotations(
    db: Database, project: str, task_ids: Collection[int], rows: Iterable[dict[str, Any]]
) -> None:
    """Make the annotations of `task_ids` equal to `rows` (dictionaries of Annotation columns)."""
    with db.session() as session:
        known = {
            row.annotation_id: row
            for chunk in _chunks(list(task_ids))
            for row in session.scalars(
                select(Annotation).where(Annotation.project == project, Annotation.task_id.in_(chunk))
            )
        }
        for values in rows:
            row = known.pop(values["annotation_id"], None)
            if row is None:
                session.add(Annotation(project=project, **values))
                continue
            for name, value in values.items():
                # A reviewer's Update replaces the annotator's seconds, a deleted prediction nulls its id:
                # what was seen first is kept.
                if name in {"lead_time", "parent_prediction"} and getattr(row, name) is not None:
                    continue
                # ... and with it goes the only trace of a label that was made in bulk, until a person saves it.
                if name == "from_prediction" and row.from_prediction and values["updated_by"] is None:
                    continue
                setattr(row, name, value)
        for gone in known.values():
            session.delete(gone)


def forget_tasks(db: Database, project: str, task_ids: Collection[int]) -> None:
    """Remove tasks that Label Studio no longer has, with their annotations."""
    with db.session() as session:
        for chunk in _chunks(list(task_ids)):
            for table in (Annotation, Task):
                session.execute(delete(table).where(table.project == project, table.task_id.in_(chunk)))


def reread_annotations(db: Database, project: str) -> None:
    """Let the next sync read all annotations anew: under another labelling config they say other things.

    The rows stay, for what was seen only once: seconds spent, and the prediction a label came from.
    """
    with db.session() as session:
        session.execute(
            update(Annotation).where(Annotation.project == project).values(label=None, updated_at="")
        )


def forget_project(db: Database, project: str) -> None:
    """Remove all texts and annotations of a project that is gone."""
    with db.session() as session:
        for table in (Annotation, Task):
            session.execute(delete(table).where(table.project == project))


def counts(db: Database, project: str) -> tuple[int, int]:
    """Numbers of tasks and of annotations (skipped ones included) in the mirror."""
    with db.session() as session:
        tasks = session.scalar(select(func.count()).select_from(Task).where(Task.project == project))
        annotations = session.scalar(
            select(func.count()).select_from(Annotation).where(Annotation.project == project)
        )
        return int(tasks or 0), int(annotations or 0)


def stamps(db: Database, project: str) -> tuple[set[int], dict[int, dict[int, str]]]:
    """Known task ids, and for each task with annotations their `{id: updated_at}`."""
    with db.session() as session:
        tasks = set(session.scalars(select(Task.task_id).where(Task.project == project)))
        by_task: dict[int, dict[int, str]] = defaultdict(dict)
        for task_id, annotation_id, updated_at in session.execute(
            select(Annotation.task_id, Annotation.annotation_id, Annotation.updated_at).where(
                Annotation.project == project
            )
        ):
            by_task[task_id][annotation_id] = updated_at
        return tasks, by_task


def all_tasks(db: Database, project: str) -> Sequence[Task]:
    """All tasks, by id; without their texts, which a learn run does not need and which may be large."""
    query = select(Task).where(Task.project == project).order_by(Task.task_id).options(defer(Task.text))
    with db.session() as session:
        return session.scalars(query).all()


def texts(db: Database, project: str, hashes: Sequence[str]) -> dict[str, str]:
    """Texts by their hash."""
    found: dict[str, str] = {}
    with db.session() as session:
        for start in range(0, len(hashes), CHUNK):
            chunk = hashes[start : start + CHUNK]
            rows = session.execute(
                select(Task.text_hash, Task.text).where(Task.project == project, Task.text_hash.in_(chunk))
            )
            found.update({name: text for name, text in rows if name and text})
    return found


def all_annotations(db: Database, project: str) -> Sequence[Annotation]:
    """All annotations, by id."""
    with db.session() as session:
        return session.scalars(
            select(Annotation).where(Annotation.project == project).order_by(Annotation.annotation_id)
        ).all()


def place_tasks(db: Database, project: str, task_ids: Sequence[int], version: str) -> None:
    """Remember that these tasks have a prediction of `version`."""
    with db.session() as session:
        for chunk in _chunks(list(task_ids)):
            session.execute(
                update(Task).where(Task.project == project, Task.task_id.in_(chunk)).values(placed_in=version)
            )


def _chunks(items: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
