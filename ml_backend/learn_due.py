"""When a learn run waits, learns, or publishes the whole pool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ale.types import LabelSpace, Probs
from ml_backend.dataset import Dataset
from ml_backend.learning import Learning
from ml_backend.settings import Settings
from ml_backend.store.schema import Project, Version

GROWTH = 1.25  # a retrain for the teacher's sake is due when its answers have grown by a quarter


def why_wait(learning: Learning, project: Project, dataset: Dataset, teacher: Probs | None) -> str:
    """Why a first version had better wait for the teach job, which is due; empty when it had not."""
    if not dataset.tasks:
        return project.teacher_problem or "the texts are being encoded"
    if project.teacher_problem:
        return ""
    if teacher is None and learning.teachers and not len(dataset.labelled):
        return "the teacher is giving its first answers"
    return ""


def learning_is_due(
    project: Project, current: Version, content: str, answers: int, *, first_pass: bool, audit_changes: bool
) -> bool:
    """Whether there is something to learn: other labels, many more answers, or a pool that is there at last."""
    if project.full_publish_at is None and not first_pass:
        return True  # the first pass is over: now all of the pool gets its place
    if audit_changes:
        return True
    return content != project.content_hash or answers > GROWTH * current.answers


def all_is_due(
    settings: Settings,
    project: Project,
    current: Version | None,
    kind: str,
    space: LabelSpace,
    *,
    first_pass: bool,
    audit_changes: bool,
) -> bool:
    """Whether all tasks get a new prediction, or only the head of the queue and what is new."""
    at = project.full_publish_at
    return (
        current is None
        or current.kind != kind
        or tuple(current.labels) != space.labels
        or audit_changes  # the reserve loses its suggestions, or gets them back
        or (at is None and not first_pass)  # else the whole pool would be written again and again
        or (at is not None and datetime.now(UTC) - at >= timedelta(seconds=settings.full_publish_s))
    )
