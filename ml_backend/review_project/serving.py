"""Keeping the review project's tasks in step with the flags: put a question once, keep its page true, take it back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ale.errors import PublishError
from ale.types import LabelSpace
from ml_backend.controls import Control, Json
from ml_backend.label_studio import LabelStudioClient
from ml_backend.review_project.layout import SUGGESTED, WHY, shown
from ml_backend.review_project.tasks import (
    ABOUT,
    ReviewTask,
    question_of,
    read_tasks,
    suggestion,
    task_body,
    task_data,
    told_by,
)
from ml_backend.review_project.verdicts import changed_since, read_originals
from ml_backend.store.schema import Project, ReviewFlag

Evidence = Callable[[Sequence[ReviewFlag]], Mapping[int, str]]


@dataclass(frozen=True, slots=True)
class Served:
    """Review tasks made, changed and removed; `waiting` are flags whose label or text has changed since they were
    raised: the next learn run looks at them first.
    """

    made: int
    changed: int
    removed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Server:
    """Serves a project's suspects in its review project; `asks` is the control there."""

    client: LabelStudioClient
    project: Project
    control: Control
    review_id: int
    asks: Control
    space: LabelSpace
    evidence: Evidence

    def serve(
        self, suspects: Sequence[ReviewFlag], tasks: Sequence[ReviewTask], settled: Collection[str]
    ) -> Served:
        """`settled` are questions with a verdict; they are not put again."""
        open_tasks = {task.question: task for task in tasks if task.answer is None}
        asked = {task.question for task in tasks} | set(settled)
        wanted = {question_of(flag): flag for flag in suspects}
        gone = [task for question, task in open_tasks.items() if question not in wanted]
        gone += [task for task in tasks if task.answer is None and open_tasks[task.question] is not task]
        removed = self._remove(gone)
        new = [flag for question, flag in wanted.items() if question not in asked]
        made, waiting = self._make(new)
        changed = self._refresh(
            [(open_tasks[question], flag) for question, flag in wanted.items() if question in open_tasks]
        )
        return Served(made, changed, removed, waiting)

    def _remove(self, tasks: Sequence[ReviewTask]) -> int:
        """How many were removed. One that was answered while we were at work stays: the next run notes the answer."""
        if not tasks:
            return 0
        answered = {t.task_id for t in read_tasks(self.client, self.review_id, self.asks) if t.answer}
        still_open = [task for task in tasks if task.task_id not in answered]
        for task in still_open:
            self.client.delete_task(task.task_id)
        return len(still_open)

    def _make(self, flags: Sequence[ReviewFlag]) -> tuple[int, int]:
        """How many were made, and how many wait."""
        originals = read_originals(self.client, self.project.project_id, [flag.task_id for flag in flags])
        fresh = [
            flag
            for flag in flags
            if not changed_since(
                self.control,
                originals.get(flag.task_id),
                flag.annotation_id,
                flag.annotation_updated_at,
                flag.text_hash,
            )
        ]
        why = self.evidence(fresh)
        bodies = []
        for flag in fresh:
            text = str(self.control.text(originals[flag.task_id]["data"]))
            where = f"Task {flag.task_id} of project {self.project.project_id}"
            data = task_data(flag, text, why[flag.task_id], where, self.space)
            bodies.append(task_body(data, suggestion(flag, self.asks)))
        if bodies:
            self.client.import_tasks(self.review_id, bodies)
        return len(bodies), len(flags) - len(fresh)

    def _refresh(self, pairs: Sequence[tuple[ReviewTask, ReviewFlag]]) -> int:
        """Where the suggestion, the reason or the score has moved, or somebody deleted the suggestion."""
        moved = [(task, flag) for task, flag in pairs if task.told != told_by(flag)]
        why = self.evidence([flag for _, flag in moved])
        for task, flag in moved:
            about: Json = {**task.about, "suggested": flag.suggested, "told": told_by(flag)}
            data = {
                **task.data,
                SUGGESTED: shown(flag.suggested, self.space),
                WHY: why[flag.task_id],
                ABOUT: about,
            }
            if task.prediction is not None:
                row = suggestion(flag, self.asks)
                self.client.change_prediction(task.prediction, result=row["result"], score=row["score"])
            self.client.change_task_data(task.task_id, data)  # last: it says that all of it was done
        lost = [suggestion(flag, self.asks, task.task_id) for task, flag in pairs if task.prediction is None]
        if lost and self.client.import_predictions(self.review_id, lost) != len(lost):
            raise PublishError("Label Studio did not take all suggestions of the review project")
        return len({task.task_id for task, _ in moved} | {int(row["task"]) for row in lost})
