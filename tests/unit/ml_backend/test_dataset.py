"""From the mirror to what is learnt: who is counted, who is left out and why."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from ale.types import LabelSpace
from ml_backend.dataset import build_dataset, fingerprint_labels, settle
from ml_backend.store.schema import Annotation, Task

LABELS = LabelSpace(("A", "B"))
RECIPE = {"student": "linear"}


def task(task_id: int, text: str | None = "some text", *, is_labeled: bool = True) -> Task:
    """A mirrored task; equal texts have equal hashes."""
    return Task(task_id=task_id, text=text, text_hash=text and f"hash of {text}", is_labeled=is_labeled)


def says(annotation_id: int, task_id: int, label: str | None, **values: Any) -> Annotation:
    """A mirrored annotation."""
    plain: dict[str, Any] = {
        "was_cancelled": False,
        "ground_truth": False,
        "from_prediction": False,
        "updated_at": f"2026-01-01T00:00:{annotation_id:02d}Z",
        "annotator": annotation_id,
    }
    return Annotation(annotation_id=annotation_id, task_id=task_id, label=label, **{**plain, **values})


def test_majority_whatever_the_order() -> None:
    """Two against one wins in every order; the annotation named is the newest of the winners."""
    answers = [says(1, 7, "A"), says(2, 7, "B"), says(3, 7, "A")]
    for order in permutations(answers):
        human = settle(order)
        assert human is not None
        assert (human.label, human.annotation_id, human.annotator) == ("A", 3, 3)


def test_a_tie_is_nobodys_label() -> None:
    """One against one, in every order."""
    assert settle([says(1, 7, "A"), says(2, 7, "B")]) is None
    assert settle([says(2, 7, "B"), says(1, 7, "A")]) is None


def test_ground_truth_outvotes_the_rest() -> None:
    """One ground-truth answer counts more than two others."""
    human = settle([says(1, 7, "A"), says(2, 7, "A"), says(3, 7, "B", ground_truth=True)])
    assert human is not None
    assert human.label == "B"


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (says(1, 1, "A", was_cancelled=True), "skipped"),
        (says(1, 1, "A", from_prediction=True), "made_from_predictions"),
        (says(1, 1, None), "empty"),
        (says(1, 1, "gone"), "label_not_in_config"),
        (says(1, 1, "a"), "label_not_in_config"),
    ],
)
def test_what_is_not_learnt_from_has_a_reason(annotation: Annotation, reason: str) -> None:
    """Each annotation that is left out is counted once."""
    found = build_dataset([task(1)], [annotation], LABELS)
    assert len(found.labelled) == 0
    assert found.excluded == {reason: 1}


def test_left_out_annotations_do_not_vote() -> None:
    """A skip and a dead label beside a good one leave the good one."""
    annotations = [says(1, 1, "A", was_cancelled=True), says(2, 1, "dead"), says(3, 1, "B")]
    found = build_dataset([task(1)], annotations, LABELS)
    assert [human.label for human in found.humans] == ["B"]
    assert found.excluded == {"label_not_in_config": 1, "skipped": 1}


def test_tasks_without_text_are_kept_aside() -> None:
    """They are no rows, their labels are counted, and those still to be served are named."""
    tasks = [task(1, None), task(2, None, is_labeled=False), task(3, "x", is_labeled=False), task(4, "y")]
    found = build_dataset(tasks, [says(1, 1, "A"), says(2, 4, "B")], LABELS)
    assert [t.task_id for t in found.tasks] == [3, 4]
    assert found.without_text == [2]
    assert found.excluded == {"no_text": 1}
    assert (found.labelled.tolist(), found.targets.tolist(), found.candidates.tolist()) == ([1], [1], [0])


def test_equal_texts_share_a_group() -> None:
    """So that cross-validation never tests on a text that it has seen."""
    tasks = [task(1, "x"), task(2, "y"), task(3, "x")]
    found = build_dataset(tasks, [says(i, i, "A") for i in (1, 2, 3)], LABELS)
    assert np.array_equal(found.groups, [0, 1, 0])


def test_the_fingerprint_changes_exactly_when_learning_could() -> None:
    """Labels, texts of labelled tasks, label space and recipe count; imports, skips and who answered do not."""
    tasks, annotations = [task(1, "x"), task(2, "y")], [says(1, 1, "A"), says(2, 2, "B")]

    def fingerprint(
        tasks: list[Task] = tasks,
        annotations: list[Annotation] = annotations,
        labels: LabelSpace = LABELS,
        recipe: dict[str, str] = RECIPE,
    ) -> str:
        return fingerprint_labels(build_dataset(tasks, annotations, labels), labels, recipe)

    same = fingerprint()
    assert fingerprint([*tasks, task(3, "new", is_labeled=False)]) == same
    assert fingerprint(annotations=[*annotations, says(3, 1, None, was_cancelled=True)]) == same
    assert fingerprint(annotations=[says(9, 1, "A"), says(8, 2, "B")]) == same
    others = {
        fingerprint(annotations=[says(1, 1, "B"), says(2, 2, "B")]),
        fingerprint(annotations=annotations[:1]),
        fingerprint([task(1, "other"), task(2, "y")]),
        fingerprint(labels=LabelSpace(("A", "B", "C"))),
        fingerprint(labels=LabelSpace(("B", "A"))),
        fingerprint(recipe={"student": "another"}),
    }
    assert same not in others
    assert len(others) == 6
