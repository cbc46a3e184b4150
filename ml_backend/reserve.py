"""Which tasks of a project are audited, and which labels were given blind. Pure.

A label measures only when nobody had a suggestion before his eyes. What can be known of that:

- ALE placed the task before it was labelled. What was imported with a label, or labelled past the order, was not
  served as an audit; who labels by hand may have picked it.
- The label was made after the reserve came into force (`Project.audit_since`, when the first version that hides
  its suggestions was published). Before, its task was suggested something like any other. Label Studio's clock is
  compared with ours: one that is behind only makes a few labels more train.
- The editor's `origin` is not that of a suggestion that was accepted or changed: on a task that had one in an older
  version, Label Studio's quick view still shows it.

A task of which one label is not blind has left the reserve, and trains like any other. That never hangs on what the
label says, so those that stay are a random sample still, of the tasks that ALE served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ale.audit.front import Reach, advance
from ale.audit.reserve import RESERVE, place
from ale.types import Indices, Scores
from ml_backend.store.schema import Annotation, Project, Task

SUGGESTED = {"prediction", "prediction-changed"}
"""The editor's words for a label that began as a suggestion."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """The audit reserve of a project; `since` is when it came into force, None = not yet.

    `reach` says which tasks it speaks of just now; None = of all.
    """

    project: str
    since: datetime | None
    reach: Reach | None = None

    def places(self, tasks: Sequence[Task]) -> Scores:
        """Where each task stands in the audit stream; `RESERVE` and above: not in it."""
        return place(self.project, [task.task_id for task in tasks])

    def keeps(
        self, tasks: Sequence[Task], places: Scores, said: Sequence[Sequence[Annotation]]
    ) -> NDArray[np.bool_]:
        """Which tasks are in the reserve, given all that was said of each."""
        rows = zip(tasks, places, said, strict=True)
        return np.array([at < RESERVE and self._blind(task, all_) for task, at, all_ in rows], bool)

    def moved(self, tasks: Sequence[Task], said: Mapping[int, Sequence[Annotation]]) -> Reach:
        """The reach by now: further than before where the audit has caught up with newer tasks."""
        tasks = [task for task in tasks if task.text_hash is not None]
        answers = [said.get(task.task_id, ()) for task in tasks]
        places = self.places(tasks)
        shown = np.array([bool(one) for one in answers], bool)
        return advance(self.reach, ids_of(tasks), places, self.keeps(tasks, places, answers), shown)

    def served(self, task: Task, said: Sequence[Annotation]) -> bool:
        """Whether somebody has answered a task that ALE had placed, or skipped it, since the reserve is in force."""
        return task.placed_in is not None and any(
            self._covers(annotation) and not annotation.from_prediction for annotation in said
        )

    def _blind(self, task: Task, said: Sequence[Annotation]) -> bool:
        return not said or (
            task.placed_in is not None
            and all(self._covers(annotation) and annotation.origin not in SUGGESTED for annotation in said)
        )

    def _covers(self, annotation: Annotation) -> bool:
        if self.since is None or not annotation.created_at:
            return False
        return _moment(annotation.created_at) >= self.since


def reserve_under(share: float, project: Project) -> Reserve | None:
    """The tasks that measure, or will once a version hides its suggestions; None when nothing is to be audited."""
    return None if share == 0 else Reserve(project.key, project.audit_since, _reach_of(project))


def reserve_of(project: Project) -> Reserve | None:
    """The reserve whose labels measure just now; None where no label does."""
    return (
        None if project.audit_since is None else Reserve(project.key, project.audit_since, _reach_of(project))
    )


def ids_of(tasks: Sequence[Task]) -> Indices:
    """Label Studio counts them up: a task with a higher one came later."""
    return np.array([task.task_id for task in tasks], np.int64)


def _reach_of(project: Project) -> Reach | None:
    upto, later, due = project.audit_upto, project.audit_later, project.audit_due
    return None if upto is None or later is None or due is None else Reach(upto, later, due)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
