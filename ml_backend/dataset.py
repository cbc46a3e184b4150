"""From the mirror to the arrays that the engine learns from. Pure: no network, no database."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.audit.front import front, needed
from ale.types import Indices, LabelSpace
from ale.weights import label_weights
from ml_backend.reserve import Reserve, ids_of
from ml_backend.store.schema import Annotation, Task


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """What humans say about one task, and the annotation that a review flag would speak of."""

    task_id: int
    label: str
    annotation_id: int
    annotator: int | None


def _no_rows() -> Indices:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class AuditRows:
    """The tasks of the audit reserve. `rows[i]` is a row of the data set's tasks with an audit label.

    Of those only `measuring` ones may measure: the tasks before them in the audit's order have all been shown.
    A label further on waits for them, since who went past the order may have picked it. `skipped` tasks among
    those that measure were shown and brought no label; `front` are both, in the audit's order. `order` are the rows that may still be served, those
    that nobody has answered first; `size` is how many of the tasks that it speaks of are in the reserve. Of `answered` tasks that were
    served since the audit began, `audited` were audits: labelled, or skipped.

    All that speaks of the tasks but `newer` ones, which came when the audit had begun to measure; after some
    `to_come` more audits it speaks of them as well (`ale.audit.front`).
    """

    rows: Indices
    targets: NDArray[np.int64]
    humans: list[HumanLabel]
    measuring: NDArray[np.bool_]
    order: Indices
    skipped: int
    size: int
    answered: int
    audited: int
    front: Indices = field(default_factory=_no_rows)
    newer: Indices = field(default_factory=_no_rows)
    to_come: int = 0

    @property
    def measured(self) -> Indices:
        """Rows whose label measures."""
        return self.rows[self.measuring]

    @property
    def measured_targets(self) -> NDArray[np.int64]:
        """Their labels' positions."""
        return self.targets[self.measuring]


_NO_ROWS = _no_rows()
NO_AUDIT = AuditRows(_NO_ROWS, _NO_ROWS, [], _NO_ROWS.astype(bool), _NO_ROWS, 0, 0, 0, 0)
"""Nobody measures anything."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The tasks with text, in the order of their ids, and what is known about them.

    `labelled[i]` is a row of `tasks`, `targets[i]` its label's position, `humans[i]` where it came from.
    `candidates` are the rows that Label Studio may still serve and that may be chosen. Rows of the `audit`
    reserve are in neither. `excluded` counts annotations that are not learnt from, by reason; `ties` are rows
    whose answers outvote each other.
    """

    tasks: list[Task]
    labelled: Indices
    targets: NDArray[np.int64]
    humans: list[HumanLabel]
    candidates: Indices
    without_text: list[int]
    excluded: dict[str, int]
    audit: AuditRows
    ties: Indices = field(default_factory=_no_rows)

    @property
    def hashes(self) -> list[str]:
        """Text hash of each row."""
        return [task.text_hash or "" for task in self.tasks]

    @property
    def groups(self) -> NDArray[np.int64]:
        """For each labelled row a number that equal texts share."""
        hashes = self.hashes
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(hashes[i], len(numbers)) for i in self.labelled], dtype=np.int64)

    @property
    def weights(self) -> NDArray[np.float64]:
        """How much each labelled row counts; see `ale.weights`."""
        return label_weights(self.groups)


def build_dataset(
    tasks: Sequence[Task],
    annotations: Iterable[Annotation],
    labels: LabelSpace,
    reserve: Reserve | None,
    asked_again: Collection[int] = (),
) -> Dataset:
    """Everything that may be learnt from, what only measures, and why the rest may do neither.

    Tasks that are `asked_again` wait for a second answer; they are served, but no candidates.
    """
    excluded: Counter[str] = Counter()
    by_task: dict[int, list[Annotation]] = defaultdict(list)
    said: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        said[annotation.task_id].append(annotation)
        reason = why_unusable(annotation, labels)
        if reason:
            excluded[reason] += 1
        else:
            by_task[annotation.task_id].append(annotation)

    usable = [task for task in tasks if task.text_hash is not None]
    settled: dict[int, HumanLabel] = {}
    ties: list[int] = []
    for row, task in enumerate(usable):
        answers = by_task.get(task.task_id)
        human = settle(answers) if answers else None
        if human is not None:
            settled[row] = human
        elif answers:
            excluded["tie"] += 1
            ties.append(row)
    excluded["no_text"] += sum(len(by_task.get(t.task_id, ())) for t in tasks if t.text_hash is None)
    audit, reserved = _audit(usable, said, settled, labels, reserve)
    labelled = [row for row in settled if not reserved[row]]
    return Dataset(
        tasks=usable,
        labelled=np.array(labelled, dtype=np.int64),
        targets=_targets([settled[row] for row in labelled], labels),
        humans=[settled[row] for row in labelled],
        candidates=np.array(
            [
                i
                for i, t in enumerate(usable)
                if not t.is_labeled and not reserved[i] and t.task_id not in asked_again
            ],
            dtype=np.int64,
        ),
        without_text=[t.task_id for t in tasks if t.text_hash is None and not t.is_labeled],
        excluded={reason: n for reason, n in sorted(excluded.items()) if n},
        audit=audit,
        ties=np.array([row for row in ties if not reserved[row]], dtype=np.int64),
    )


def _audit(
    tasks: Sequence[Task],
    said: Mapping[int, list[Annotation]],
    settled: Mapping[int, HumanLabel],
    labels: LabelSpace,
    reserve: Reserve | None,
) -> tuple[AuditRows, NDArray[np.bool_]]:
    """The tasks that are in the reserve, and a mark on each of them."""
    if reserve is None:
        return NO_AUDIT, np.zeros(len(tasks), bool)
    answers = [said.get(task.task_id, []) for task in tasks]
    places = reserve.places(tasks)
    reserved = reserve.keeps(tasks, places, answers)
    ids, reach = ids_of(tasks), reserve.reach
    newer = np.zeros(len(tasks), bool) if reach is None else ids > reach.upto
    # What came after those that are caught up with is audited when its turn has come.
    turn = newer if reach is None else ids > reach.later
    rows = np.flatnonzero(reserved)
    rows = rows[np.argsort(places[rows], kind="stable")]
    shown = np.array([bool(answers[row]) for row in rows], bool)
    known = rows[~newer[rows]]
    measures = known[front(places[known], shown[~newer[rows]])]
    audited = [int(row) for row in rows if row in settled]
    in_front = set(measures.tolist())
    waiting = rows[np.lexsort((turn[rows], shown))].tolist()
    to_come = needed(len(measures), int(newer.sum()), len(tasks))
    found = AuditRows(
        rows=np.array(audited, dtype=np.int64),
        targets=_targets([settled[row] for row in audited], labels),
        humans=[settled[row] for row in audited],
        measuring=np.array([row in in_front for row in audited], dtype=bool),
        order=np.array([row for row in waiting if not tasks[row].is_labeled], dtype=np.int64),
        skipped=sum(row not in settled for row in in_front),
        size=len(known),
        answered=sum(map(reserve.served, tasks, answers)),
        audited=int(shown.sum()),
        front=measures.astype(np.int64),
        newer=np.flatnonzero(newer).astype(np.int64),
        to_come=to_come
        if reach is None or reach.later == reach.upto
        else max(0, reach.due - int(shown.sum())),
    )
    return found, reserved


def _targets(humans: Sequence[HumanLabel], labels: LabelSpace) -> NDArray[np.int64]:
    return np.array([labels.labels.index(human.label) for human in humans], dtype=np.int64)


def settle(answers: Sequence[Annotation]) -> HumanLabel | None:
    """The majority's label, whatever the order of the answers; None when there is a tie.

    An answer that another one corrects has no vote; a ground-truth annotation outvotes all that are not. The
    annotation named is the newest of the winners.
    """
    standing = [a for a in answers if correction(a, answers) is None]
    trusted = [a for a in standing if a.ground_truth] or standing
    votes = Counter(a.label or "" for a in trusted)
    (winner, most), *others = votes.most_common()
    if others and others[0][1] == most:
        return None
    newest = max((a for a in trusted if a.label == winner), key=lambda a: (a.updated_at, a.annotation_id))
    return HumanLabel(newest.task_id, winner, newest.annotation_id, newest.annotator)


def correction(annotation: Annotation, answers: Iterable[Annotation]) -> Annotation | None:
    """The newest answer that was made from this one, by somebody who had seen it: it stands in its place.

    Whoever saved this one again later has spoken last, and then both have a vote.
    """
    later = [
        a
        for a in answers
        if a.parent_annotation == annotation.annotation_id
        and not a.was_cancelled
        and a.label is not None
        and a.updated_at >= annotation.updated_at
    ]
    return max(later, key=lambda a: (a.updated_at, a.annotation_id), default=None)


def why_unusable(annotation: Annotation, labels: LabelSpace) -> str:
    """Why an annotation is not learnt from; empty when it is."""
    if annotation.was_cancelled:
        return "skipped"
    if annotation.from_prediction:
        return "made_from_predictions"
    if annotation.label is None:
        return "empty"
    if labels.index(annotation.label) is None:
        return "label_not_in_config"
    return ""


def fingerprint_labels(dataset: Dataset, labels: LabelSpace, recipe: Mapping[str, str]) -> str:
    """Changes exactly when a learn run could come to another result by its labels, texts of
    labelled tasks, label space or recipe (names of student, strategy, teacher and encoder, the audit's share). Not by
    imported tasks.
    """
    rows: list[list[Any]] = [
        [human.task_id, human.label, dataset.tasks[row].text_hash]
        for row, human in zip(dataset.labelled.tolist(), dataset.humans, strict=True)
    ]
    rows += [
        ["audit", human.task_id, human.label, dataset.tasks[row].text_hash]
        for row, human in zip(dataset.audit.rows.tolist(), dataset.audit.humans, strict=True)
    ]
    payload = json.dumps([labels.fingerprint, sorted(recipe.items()), rows])
    return hashlib.sha256(payload.encode()).hexdigest()
