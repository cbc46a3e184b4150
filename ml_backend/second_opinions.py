"""A second opinion on a doubted answer: another annotator is asked the same task, blind.

Label Studio serves a finished task once more, and not to its author, when `is_labeled` and `overlap` are changed
together. In the stream the other annotator sees neither the first answer nor a suggestion: the task's row in the
version in force is empty. The rows are published before the task is opened, so that it is never served without.

Which tasks: ActiveLab's score, against the new tasks at the head of the queue. Each task at most once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import select

from ale.annotators import crowdlab_quality
from ale.engine import Learned
from ale.relabel import Answers, next_questions
from ale.types import LabelSpace
from ml_backend.dataset import Dataset, why_unusable
from ml_backend.label_studio import LabelStudioClient
from ml_backend.placing import Place
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Project, SecondOpinion, Task

FEWEST = 2  # annotators
_MOST_ANSWERS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """All usable answers, none of the audit's: data set row, annotator and label's position, side by side."""

    rows: list[int]
    people: list[int]
    targets: list[int]
    annotations: list[int]


NOTHING_SAID = Said([], [], [], [])


def settle_asked(
    db: Database, project: str, tasks: Iterable[Task], annotations: Iterable[Annotation], *, on: bool
) -> set[int]:
    """Note what came of the tasks that were asked; those that still wait. `on` is False when it is switched off."""
    by_id = {task.task_id: task for task in tasks}
    said: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        said[annotation.task_id].append(annotation)
    waiting = set()
    with db.session() as session:
        query = select(SecondOpinion).where(SecondOpinion.project == project, SecondOpinion.status == "asked")
        for row in session.scalars(query):
            status = _came(row, by_id.get(row.task_id), said[row.task_id])
            row.status = status if on or status == "answered" else "withdrawn"
            if row.status == "asked":
                waiting.add(row.task_id)
    return waiting


def _came(row: SecondOpinion, task: Task | None, answers: Sequence[Annotation]) -> str:
    """The status now. Who skips is not replaced by a third person."""
    first = next((a for a in answers if a.annotation_id == row.annotation_id), None)
    if task is None or first is None or first.was_cancelled or task.text_hash != row.text_hash:
        return "withdrawn"
    others = [a for a in answers if a.annotator != first.annotator]
    if others:
        return "withdrawn" if all(a.was_cancelled for a in others) else "answered"
    # Somebody has closed it in Label Studio: one answer is enough for them.
    return "withdrawn" if row.open and task.is_labeled else "asked"


def said_of(dataset: Dataset, annotations: Iterable[Annotation], labels: LabelSpace) -> Said:
    """The answers to the tasks that are learnt from, and to those where they outvote each other."""
    rows = {dataset.tasks[row].task_id: row for row in (*dataset.labelled.tolist(), *dataset.ties.tolist())}
    found = Said([], [], [], [])
    every = list(annotations)
    changed = {(a.parent_annotation, a.annotator) for a in every if a.parent_annotation is not None}
    for annotation in every:
        row = rows.get(annotation.task_id)
        if row is None or annotation.annotator is None or why_unusable(annotation, labels):
            continue
        if (annotation.annotation_id, annotation.annotator) in changed:
            continue  # who corrects an answer of their own has changed their mind: one opinion
        found.rows.append(row)
        found.people.append(annotation.annotator)
        found.targets.append(labels.labels.index(annotation.label or ""))
        found.annotations.append(annotation.annotation_id)
    return found


def people_counts(said: Said, learned: Learned, dataset: Dataset) -> dict[str, Any] | None:
    """Quality per annotator, as a run writes it down; None where no task has two answers."""
    answers = _answers(said, learned, dataset)
    found = [] if answers is None else crowdlab_quality(answers)
    if not found:
        return None
    votes: dict[int, set[int]] = defaultdict(set)
    for row, target in zip(said.rows, said.targets, strict=True):
        votes[row].add(target)
    return {
        "several": sum(n > 1 for n in Counter(said.rows).values()),
        "contradicted": sum(len(labels) > 1 for labels in votes.values()),
        "annotators": {
            str(one.annotator): {
                "answers": one.answers,
                "shared": one.shared,
                "quality": round(one.quality, 3),
            }
            for one in found
        },
    }


def choose(
    db: Database, project: Project, dataset: Dataset, learned: Learned, said: Said, share: float
) -> list[int]:
    """Ids of the tasks to ask once more, those that wait the longest first; remembers them.

    In another order, questions for one annotator could stay behind those for another for ever.
    """
    with db.session() as session:
        rows = session.scalars(
            select(SecondOpinion)
            .where(SecondOpinion.project == project.key)
            .order_by(SecondOpinion.asked_at, SecondOpinion.task_id)
        ).all()
        seen = {row.task_id: (row.status, row.text_hash) for row in rows}
    waiting = [task_id for task_id, (status, _) in seen.items() if status == "asked"]
    room = round(share * learned.ranking.queue) - len(waiting)
    answers = _answers(said, learned, dataset)
    if room <= 0 or answers is None or len(set(said.people)) < FEWEST:
        return waiting
    audit = set(learned.ranking.audit.tolist())
    head = [row for row in learned.ranking.order[: learned.ranking.queue].tolist() if row not in audit]
    head = [row for row in head if np.isfinite(learned.probs[row]).all()]
    questions = next_questions(
        answers,
        np.array(head, np.int64),
        learned.probs[head],
        np.random.default_rng(len(said.rows)),
        most=_MOST_ANSWERS,
    )
    picked: list[tuple[Task, int]] = []
    for row in questions.rows[: learned.ranking.queue][questions.again[: learned.ranking.queue]].tolist():
        task = dataset.tasks[row]
        if len(picked) < room and seen.get(task.task_id, ("", ""))[1] != task.text_hash:
            picked.append((task, said.annotations[said.rows.index(row)]))
    with db.session() as session:
        for task, annotation_id in picked:
            session.merge(
                SecondOpinion(
                    project=project.key,
                    task_id=task.task_id,
                    annotation_id=annotation_id,
                    text_hash=task.text_hash or "",
                    status="asked",
                    open=False,
                    asked_at=datetime.now(UTC),
                )
            )
    return [*waiting, *(task.task_id for task, _ in picked)]


def placed_among(found: Sequence[Place], asked: Sequence[int], queue: int) -> list[Place]:
    """The order with the asked tasks spread over its head, without a suggestion."""
    if not asked:
        return list(found)
    step = max(1, queue // len(asked))
    out: list[Place] = []
    rest = list(asked)
    for i, place in enumerate(found):
        if rest and i % step == step // 2:
            before = out[-1].score if out else 0.0
            out.append(Place(rest.pop(0), None, None, (before + place.score) / 2))
        out.append(place)
    last = out[-1].score if out else 0.0
    return [*out, *(Place(task_id, None, None, last) for task_id in rest)]


def open_and_close(db: Database, client: LabelStudioClient, project: str) -> dict[str, int]:
    """Have Label Studio serve what is asked, and take back what is withdrawn; how many stand where."""
    counts: dict[str, int] = defaultdict(int)
    with db.session() as session:
        rows = session.scalars(select(SecondOpinion).where(SecondOpinion.project == project)).all()
    for row in rows:
        counts[row.status] += 1
        if row.status == "asked" and not row.open:
            client.ask_again(row.task_id)
        elif row.status == "withdrawn" and row.open:
            client.ask_no_more(row.task_id)
        else:
            continue
        with db.session() as session:
            session.get_one(SecondOpinion, (project, row.task_id)).open = row.status == "asked"
    return dict(counts)


def _answers(said: Said, learned: Learned, dataset: Dataset) -> Answers | None:
    """With the student's belief of each row from a fit without it: a tie is not learnt from anyway."""
    if learned.held_out is None or not said.rows:
        return None
    beliefs = learned.probs.copy()
    beliefs[dataset.labelled] = learned.held_out
    people = np.array(said.people, np.int64)
    rows = np.array(said.rows, np.int64)
    return Answers(rows, people, np.array(said.targets, np.int64), beliefs[rows])


def withdraw_all(db: Database, client: LabelStudioClient, project: str) -> int:
    """Nobody is asked any more; how many tasks were open."""
    settle_asked(db, project, [], [], on=False)
    with db.session() as session:
        opened = session.scalars(
            select(SecondOpinion.task_id).where(
                SecondOpinion.project == project, SecondOpinion.open, SecondOpinion.status == "withdrawn"
            )
        ).all()
    open_and_close(db, client, project)
    return len(opened)
