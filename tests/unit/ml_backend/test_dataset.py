"""From the mirror to what is learnt: who is counted, who is left out and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from ale.audit.front import Reach, needed
from ale.audit.reserve import RESERVE, place
from ale.types import LabelSpace
from ml_backend.building import snapshot_rows
from ml_backend.dataset import Dataset, build_dataset, fingerprint_labels, settle
from ml_backend.reserve import Reserve
from ml_backend.shots import audit_texts, labelled_texts
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
    found = build_dataset([task(1)], [annotation], LABELS, None)
    assert len(found.labelled) == 0
    assert found.excluded == {reason: 1}


def test_left_out_annotations_do_not_vote() -> None:
    """A skip and a dead label beside a good one leave the good one."""
    annotations = [says(1, 1, "A", was_cancelled=True), says(2, 1, "dead"), says(3, 1, "B")]
    found = build_dataset([task(1)], annotations, LABELS, None)
    assert [human.label for human in found.humans] == ["B"]
    assert found.excluded == {"label_not_in_config": 1, "skipped": 1}


def test_tasks_without_text_are_kept_aside() -> None:
    """They are no rows, their labels are counted, and those still to be served are named."""
    tasks = [task(1, None), task(2, None, is_labeled=False), task(3, "x", is_labeled=False), task(4, "y")]
    found = build_dataset(tasks, [says(1, 1, "A"), says(2, 4, "B")], LABELS, None)
    assert [t.task_id for t in found.tasks] == [3, 4]
    assert found.without_text == [2]
    assert found.excluded == {"no_text": 1}
    assert (found.labelled.tolist(), found.targets.tolist(), found.candidates.tolist()) == ([1], [1], [0])


def test_equal_texts_share_a_group() -> None:
    """So that cross-validation never tests on a text that it has seen."""
    tasks = [task(1, "x"), task(2, "y"), task(3, "x")]
    found = build_dataset(tasks, [says(i, i, "A") for i in (1, 2, 3)], LABELS, None)
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
        return fingerprint_labels(build_dataset(tasks, annotations, labels, None), labels, recipe)

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


# -- what a label weighs ----------------------------------------------------------------------------------


def test_equal_texts_share_the_weight_of_one() -> None:
    """However often a text was imported and labelled."""
    tasks = [task(1, "x"), task(2, "y"), task(3, "x")]
    found = build_dataset(tasks, [says(i, i, "A") for i in (1, 2, 3)], LABELS, None)
    assert np.array_equal(found.weights, [0.5, 1.0, 0.5])


# -- the audit reserve -----------------------------------------------------------------------------------

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
RESERVE_OF = Reserve("a-project", SINCE)
IN_ORDER = [int(i) for i in np.argsort(place("a-project", range(400)))]
RESERVED = [i for i in IN_ORDER if place("a-project", [i])[0] < RESERVE]
"""Ids that are in the reserve, in the order in which they are shown."""
FREE = sorted(set(range(400)) - set(RESERVED))


def pool(labelled: Iterable[int] = (), *, placed_in: str | None = "ale-1") -> list[Task]:
    """400 tasks that have been placed in the order, some of them finished."""
    done = set(labelled)
    tasks = [task(i, f"text {i}", is_labeled=i in done) for i in range(400)]
    for one in tasks:
        one.placed_in = placed_in
    return tasks


def blindly(task_id: int, label: str | None = "A", **values: Any) -> Annotation:
    """A label that was given while the audit was on, without a suggestion."""
    return says(
        task_id, task_id, label, **{"created_at": "2026-01-02T00:00:00Z", "origin": "manual", **values}
    )


def audited(tasks: list[Task], annotations: list[Annotation]) -> Dataset:
    """The data set with the reserve in force."""
    return build_dataset(tasks, annotations, LABELS, RESERVE_OF)


def ids(found: Dataset, rows: Iterable[int]) -> list[int]:
    """The tasks of rows."""
    return [found.tasks[row].task_id for row in rows]


def test_reserved_tasks_are_no_candidates_and_their_labels_do_not_train() -> None:
    """They wait in their own order; a label there measures, one elsewhere trains."""
    first, elsewhere = RESERVED[0], FREE[0]
    found = audited(pool([first, elsewhere]), [blindly(first), blindly(elsewhere, "B")])
    assert ids(found, found.audit.order) == RESERVED[1:]
    assert ids(found, found.candidates) == FREE[1:]
    assert ids(found, found.labelled) == [elsewhere]
    assert ids(found, found.audit.measured) == [first]
    assert found.audit.measured_targets.tolist() == [0]
    assert (found.audit.size, found.audit.answered, found.audit.audited) == (len(RESERVED), 2, 1)


def test_only_the_prefix_measures() -> None:
    """Who picked a later task by hand waits until those before it have been shown."""
    picked = [RESERVED[0], RESERVED[1], RESERVED[7]]
    found = audited(pool(picked), [blindly(i) for i in picked])
    assert ids(found, found.audit.measured) == RESERVED[:2]
    assert ids(found, found.audit.rows) == picked
    everything = RESERVED[:8]
    found = audited(pool(everything), [blindly(i) for i in everything])
    assert ids(found, found.audit.measured) == everything
    assert ids(found, audited(pool(RESERVED), [blindly(i) for i in RESERVED]).audit.measured) == RESERVED


@pytest.mark.parametrize(
    "values",
    [
        {"label": None, "was_cancelled": True},
        {"label": None},
        {"label": "gone"},
        {"label": None, "from_prediction": True},
    ],
)
def test_a_task_that_was_shown_and_brought_no_label_is_counted(values: dict[str, Any]) -> None:
    """It does not hold up those behind it, and is offered to others last."""
    skipped, after = RESERVED[0], RESERVED[1]
    found = audited(pool([after]), [blindly(skipped, **values), blindly(after)])
    assert ids(found, found.audit.measured) == [after]
    assert found.audit.skipped == 1
    assert found.audit.audited == 2
    assert ids(found, found.audit.order) == [*RESERVED[2:], skipped]
    assert len(found.labelled) == 0


def test_a_tie_in_the_audit_is_no_label_either() -> None:
    """One against one is counted as a task without a label."""
    annotations = [blindly(RESERVED[0], "A"), blindly(RESERVED[0], "B")]
    annotations[1].annotation_id = 900
    found = audited(pool(), annotations)
    assert (found.audit.skipped, found.excluded) == (1, {"tie": 1})


@pytest.mark.parametrize(
    ("values", "placed_in"),
    [
        ({"created_at": "2025-12-31T23:59:59Z"}, "ale-1"),
        ({"created_at": ""}, "ale-1"),
        ({"origin": "prediction"}, "ale-1"),
        ({"origin": "prediction-changed"}, "ale-1"),
        ({}, None),
    ],
    ids=["before the audit", "no time", "accepted", "changed", "never placed"],
)
def test_a_label_that_was_not_blind_trains(values: dict[str, Any], placed_in: str | None) -> None:
    """Its task has left the reserve: it neither measures nor holds up those behind it."""
    first, second = RESERVED[:2]
    tasks = pool([first, second])
    tasks[first].placed_in = placed_in
    found = audited(tasks, [blindly(first, **values), blindly(second)])
    assert ids(found, found.labelled) == [first]
    assert ids(found, found.audit.measured) == [second]
    assert found.audit.size == len(RESERVED) - 1


def test_before_the_reserve_is_in_force_all_labels_train() -> None:
    """The first learn run keeps the unlabelled part of it back, and nothing else."""
    found = build_dataset(pool([RESERVED[0]]), [blindly(RESERVED[0])], LABELS, Reserve("a-project", None))
    assert ids(found, found.labelled) == [RESERVED[0]]
    assert ids(found, found.audit.order) == RESERVED[1:]
    assert len(found.audit.rows) == found.audit.answered == 0


def test_without_an_audit_every_label_trains() -> None:
    """Switched off, what was audited is learnt from."""
    found = build_dataset(pool(RESERVED), [blindly(i) for i in RESERVED], LABELS, None)
    assert sorted(ids(found, found.labelled)) == sorted(RESERVED)
    assert found.audit.size == len(found.audit.order) == 0


def test_an_imported_task_finds_its_place() -> None:
    """It waits where its id says, before others that wait; what is behind it does not measure any more."""
    shown = RESERVED[:20]
    late = RESERVED[10]
    tasks = [one for one in pool(shown) if one.task_id != late]
    annotations = [blindly(i) for i in shown if i != late]
    assert len(audited(tasks, annotations).audit.measured) == 19
    found = audited(pool(set(shown) - {late}), annotations)
    assert ids(found, found.audit.measured) == RESERVED[:10]
    assert ids(found, found.audit.order)[0] == late


def test_newer_tasks_leave_the_figures_as_they_are() -> None:
    """They are served next, and measure nothing before the audit has caught up with them; then they have their places."""
    shown = [i for i in RESERVED if i < 300][:20]
    reserve = replace(RESERVE_OF, reach=Reach(299, 399, 20 + needed(20, 100, 400)))
    found = build_dataset(pool(shown), [blindly(i) for i in shown], LABELS, reserve)
    assert ids(found, found.audit.measured) == shown
    assert ids(found, found.audit.newer) == list(range(300, 400))
    assert found.audit.to_come == 12
    waiting = [i for i in RESERVED if i not in shown]
    assert ids(found, found.audit.order) == waiting
    for more, upto in ((11, 299), (12, 399)):
        answered = [*shown, *waiting[:more]]
        by_task = {i: [blindly(i)] for i in answered}
        reach = reserve.moved(pool(answered), by_task)
        assert reach.upto == upto
    annotations = [one for said in by_task.values() for one in said]
    found = build_dataset(pool(answered), annotations, LABELS, replace(RESERVE_OF, reach=reach))
    measured = ids(found, found.audit.measured)
    assert measured == RESERVED[: len(measured)]
    assert len(measured) >= 20
    assert (len(found.audit.newer), found.audit.to_come) == (0, 0)


def test_what_comes_later_still_is_audited_after_that() -> None:
    """Whatever its place: what is caught up with is not made longer."""
    reserve = replace(RESERVE_OF, reach=Reach(200, 300, 0))
    found = build_dataset(pool(), [], LABELS, reserve)
    waits = [i for i in RESERVED if i > 300]
    assert ids(found, found.audit.order) == [*(i for i in RESERVED if i <= 300), *waits]


def test_an_audit_label_makes_a_learn_run_due() -> None:
    """It changes what is known about the truth."""
    tasks = pool(RESERVED[:1])
    one, other = (
        fingerprint_labels(audited(tasks, [blindly(RESERVED[0], label)]), LABELS, RECIPE) for label in "AB"
    )
    nothing = fingerprint_labels(audited(tasks, []), LABELS, RECIPE)
    trains = build_dataset(tasks, [blindly(RESERVED[0], "A")], LABELS, None)
    assert len({one, other, nothing, fingerprint_labels(trains, LABELS, RECIPE)}) == 4


def test_a_snapshot_says_which_labels_measure() -> None:
    """Provenance audit, and on no other row."""
    found = audited(pool([*RESERVED[:2], FREE[3]]), [blindly(i) for i in (*RESERVED[:2], FREE[3])])
    rows = {row.task: row.provenance for row in snapshot_rows(found)}
    assert rows == {FREE[3]: "human", RESERVED[0]: "audit", RESERVED[1]: "audit"}


def test_no_prompt_sees_an_audit_label_but_teachers_are_measured_on_it() -> None:
    """Neither as an example nor as a gold text; its text is asked about as if it were still open."""
    shown = [*RESERVED[:3], *FREE[:3]]
    found = audited(pool(shown), [blindly(i) for i in shown])
    hidden = {found.tasks[row].text_hash for row in found.audit.rows}
    assert not hidden & {human.text_hash for human in labelled_texts(found)}
    assert hidden == set(audit_texts(found))
