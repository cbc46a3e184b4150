"""From the mirror to the arrays that the engine learns from. Pure: no network, no database."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices, LabelSpace
from ml_backend.store.schema import Annotation, Task


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """What humans say about one task, and the annotation that a review flag would speak of."""

    task_id: int
    label: str
    annotation_id: int
    annotator: int | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The tasks with text, in the order of their ids, and what is known about them.

    `labelled[i]` is a row of `tasks`, `targets[i]` its label's position, `humans[i]` where it came from.
    `candidates` are the rows that Label Studio may still serve. `excluded` counts annotations that are not
    learnt from, by reason.
    """

    tasks: list[Task]
    labelled: Indices
    targets: NDArray[np.int64]
    humans: list[HumanLabel]
    candidates: Indices
    without_text: list[int]
    excluded: dict[str, int]

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


def build_dataset(tasks: Sequence[Task], annotations: Iterable[Annotation], labels: LabelSpace) -> Dataset:
    """Everything that may be learnt from, and why the rest may not."""
    excluded: Counter[str] = Counter()
    by_task: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        reason = _unusable(annotation, labels)
        if reason:
            excluded[reason] += 1
        else:
            by_task[annotation.task_id].append(annotation)

    usable = [task for task in tasks if task.text_hash is not None]
    labelled, targets, humans = [], [], []
    for row, task in enumerate(usable):
        answers = by_task.get(task.task_id)
        if not answers:
            continue
        human = settle(answers)
        if human is None:
            excluded["tie"] += 1
            continue
        labelled.append(row)
        targets.append(labels.labels.index(human.label))
        humans.append(human)
    excluded["no_text"] += sum(len(by_task.get(t.task_id, ())) for t in tasks if t.text_hash is None)
    return Dataset(
        tasks=usable,
        labelled=np.array(labelled, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64),
        humans=humans,
        candidates=np.array([i for i, t in enumerate(usable) if not t.is_labeled], dtype=np.int64),
        without_text=[t.task_id for t in tasks if t.text_hash is None and not t.is_labeled],
        excluded={reason: n for reason, n in sorted(excluded.items()) if n},
    )


def settle(answers: Sequence[Annotation]) -> HumanLabel | None:
    """The majority's label, whatever the order of the answers; None when there is a tie.

    A ground-truth annotation outvotes all that are not. The annotation named is the newest of the winners.
    """
    trusted = [a for a in answers if a.ground_truth] or list(answers)
    votes = Counter(a.label or "" for a in trusted)
    (winner, most), *others = votes.most_common()
    if others and others[0][1] == most:
        return None
    newest = max((a for a in trusted if a.label == winner), key=lambda a: (a.updated_at, a.annotation_id))
    return HumanLabel(newest.task_id, winner, newest.annotation_id, newest.annotator)


def _unusable(annotation: Annotation, labels: LabelSpace) -> str:
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
    """Changes exactly when a learn run could come to another result by its labels, texts of labelled tasks,
    label space or recipe (names of student, strategy, teacher and encoder). Not by imported tasks.
    """
    rows = [
        [human.task_id, human.label, dataset.tasks[row].text_hash]
        for row, human in zip(dataset.labelled.tolist(), dataset.humans, strict=True)
    ]
    payload = json.dumps([labels.fingerprint, sorted(recipe.items()), rows])
    return hashlib.sha256(payload.encode()).hexdigest()
