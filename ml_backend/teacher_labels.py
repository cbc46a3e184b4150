"""A teacher's answers in a project as labels to be checked, before anybody has looked: texts, answers, witnesses.

The other teachers are witnesses. What people have labelled since are verdicts: they say where the teacher errs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError
from ale.review.labelled import Columns
from ale.trust import words
from ale.types import LabelSpace
from ml_backend.dataset import settle, why_unusable
from ml_backend.instructions import space_of
from ml_backend.store import mirror, projects, replies
from ml_backend.store.schema import Annotation
from ml_backend.teacher_status import named_teachers
from ml_backend.wiring import Services


@dataclass(frozen=True, slots=True)
class TeacherLabels:
    """`columns.labels[i]` is what the teacher says of task `tasks[i]`; of the rest it was silent or not asked."""

    title: str
    tasks: list[int]
    columns: Columns


def teacher_labels(services: Services, project_id: int, teacher: str) -> TeacherLabels:
    """The teacher's answers to the project's question as it is now; a part of its name is enough.

    Raises ConfigurationError without an answer, and where that name is nobody's or several teachers'.
    """
    settings, db = services.settings, services.db
    row = projects.find_by_id(db, settings.label_studio_url, project_id)
    if row is None or row.status != "connected":
        raise ConfigurationError(f"project {project_id} is not connected: run `ale connect {project_id}`")
    names = [one.name for one in named_teachers(settings)]
    teacher = _one_of(names, teacher)
    space = space_of(row)
    tasks = [task for task in mirror.all_tasks(db, row.key) if task.text_hash is not None]
    hashes = [task.text_hash or "" for task in tasks]
    said = {name: _said(services, name, space, hashes) for name in names}
    answered = np.flatnonzero(said[teacher] >= 0)
    if not len(answered):
        raise ConfigurationError(
            f"{teacher} has not answered about project {project_id} yet, or to another question: "
            f"`ale teach {project_id}` asks it"
        )
    texts = mirror.texts(db, row.key, [hashes[i] for i in answered])
    human = _human(mirror.all_annotations(db, row.key), space)
    ids = [tasks[i].task_id for i in answered]
    labels = {name: [_word(space, said[name][i]) for i in answered] for name in names}
    return TeacherLabels(
        f"{row.title}, labels by {teacher}",
        ids,
        Columns(
            texts=[texts[hashes[i]] for i in answered],
            labels=labels.pop(teacher),
            teachers={name: answers for name, answers in labels.items() if any(answers)},
            verdicts=[human.get(task_id, "") for task_id in ids],
        ),
    )


def _one_of(names: list[str], wanted: str) -> str:
    """The name that holds the wanted word: versions need not be typed."""
    found = [name for name in names if name == wanted] or [name for name in names if wanted in name]
    if len(found) != 1:
        why = "several teachers are" if found else "no teacher is"
        raise ConfigurationError(f"{why} named {wanted!r}; there are: {', '.join(names) or 'none'}")
    return found[0]


def _said(services: Services, teacher: str, space: LabelSpace, hashes: list[str]) -> NDArray[np.int64]:
    probs, _ = replies.answers(services.db, teacher, replies.question_of(space), hashes, len(space))
    return words(probs)


def _word(space: LabelSpace, label: np.int64) -> str:
    return space.labels[label] if label >= 0 else ""


def _human(annotations: Sequence[Annotation], space: LabelSpace) -> dict[int, str]:
    """What people say of each task, where they do not outvote each other."""
    by_task: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        if not why_unusable(annotation, space):
            by_task[annotation.task_id].append(annotation)
    settled = {task_id: settle(answers) for task_id, answers in by_task.items()}
    return {task_id: human.label for task_id, human in settled.items() if human is not None}
