"""Decisions about doubted labels, on their way to the engine, and what they are worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from ale.engine import LearnInput, learn
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import DEFAULT_STUDENT, resolve_student
from ale.types import LabelSpace
from ml_backend.dataset import NO_AUDIT, Dataset, HumanLabel
from ml_backend.reviewed import Reviewed, fingerprint_reviews, review_counts, reviewed_in
from ml_backend.screens import review_line
from ml_backend.store.schema import ReviewDecision, Task

SPACE = LabelSpace(("A", "B", "C"))


def dataset(labels: str) -> Dataset:
    """A task per letter, whose id is ten times its place; a dot has no label."""
    tasks = [Task(project="p", task_id=10 * i, text_hash=f"h{i}") for i in range(len(labels))]
    rows = [i for i, label in enumerate(labels) if label != "."]
    humans = [HumanLabel(10 * i, labels[i], i, None) for i in rows]
    targets = np.array([SPACE.labels.index(labels[i]) for i in rows], np.int64)
    return Dataset(tasks, np.array(rows, np.int64), targets, humans, np.zeros(0, np.int64), [], {}, NO_AUDIT)


def decision(row: int, given: str, answer: str, text: str = "", *, applied: bool = True) -> ReviewDecision:
    """About the task of this row."""
    return ReviewDecision(
        project="p",
        task_id=10 * row,
        text_hash=text or f"h{row}",
        given=given,
        answer=answer,
        doubt=0.6,
        applied=applied,
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_what_decisions_say_of_the_labels_that_stand_now() -> None:
    """Row 0 was fixed from A to B, row 1 confirmed, row 4 fixed twice."""
    made = [decision(0, "A", "B"), decision(1, "C", "C"), decision(4, "A", "B"), decision(4, "B", "C")]
    found = reviewed_in(made, dataset("BCC.C"), SPACE)
    assert found.past.rows.tolist() == [0, 1, 4, 4]
    assert found.past.targets.tolist() == [0, 2, 0, 1]
    assert found.past.wrong.tolist() == [True, False, True, True]
    assert found.settled.tolist() == [True, True, False, True]
    assert not found.reported.any()
    assert found.before.tolist() == [0, 2, 2, 0], "as they were before the first fix"


@pytest.mark.parametrize(
    ("made", "label"),
    [
        (decision(0, "A", "B"), "A"),
        (decision(0, "A", "B"), "C"),
        (decision(0, "A", "A"), "B"),
        (decision(0, "A", "B", applied=False), "B"),
    ],
    ids=["taken back", "changed again", "confirmed and changed", "reported and changed"],
)
def test_a_decision_that_was_thought_better_of_says_nothing(made: ReviewDecision, label: str) -> None:
    """Somebody has saved another label since: the newest decision no longer holds."""
    found = reviewed_in([made], dataset(label), SPACE)
    assert len(found.past.rows) == 0
    assert not found.settled.any()
    assert not found.reported.any()
    assert found.before.tolist() == [SPACE.labels.index(label)]


def test_a_reported_error_is_known_and_left() -> None:
    """The wrong label still stands: it is no suspicion any more, and one wrong label for sure."""
    found = reviewed_in([decision(0, "A", "B", applied=False)], dataset("A"), SPACE)
    assert found.past.wrong.tolist() == [True]
    assert (found.settled.tolist(), found.reported.tolist()) == ([False], [True])
    given, reviewed = project(wrong=3, fixed=0)
    learned = learn(given)
    plain = review_counts(given, learned, reviewed, None)["remaining"]
    known = np.zeros(60, bool)
    known[:2] = True
    more = review_counts(given, learned, replace(reviewed, reported=known), None)["remaining"]
    assert more["expected"] == pytest.approx(plain["expected"] + 2)


@pytest.mark.parametrize(
    "gone",
    [decision(9, "A", "B"), decision(0, "A", "B", text="of another text"), decision(0, "gone", "B")],
    ids=["task", "text", "label"],
)
def test_decisions_about_what_is_gone_say_nothing(gone: ReviewDecision) -> None:
    """A deleted task, another text, a label that the project no longer has."""
    found = reviewed_in([gone], dataset("B"), SPACE)
    assert len(found.past.rows) == 0
    assert not found.settled.any()
    assert found.before.tolist() == [1]


def test_a_decision_on_a_task_whose_label_is_gone_still_teaches() -> None:
    """The annotation was deleted later: what was doubted then, and rightly, is known all the same."""
    found = reviewed_in([decision(1, "A", "B")], dataset("A."), SPACE)
    assert found.past.rows.tolist() == [1]
    assert found.settled.tolist() == [False]


def test_the_fingerprint_follows_decisions_and_precision_alone() -> None:
    """So that labels are judged again when a reviewer has only confirmed some."""
    one, other = [decision(0, "A", "A")], [decision(0, "A", "B")]
    same = fingerprint_reviews([decision(0, "A", "A")], 0.5)
    assert fingerprint_reviews(one, 0.5) == same
    assert len({same, fingerprint_reviews(one, 0.6), fingerprint_reviews(other, 0.5)}) == 3


def project(wrong: int, fixed: int) -> tuple[LearnInput, Reviewed]:
    """Sixty labels in two clouds, `wrong` of each cloud's were the other's, of which the first ones are `fixed`; and
    forty audits.
    """
    rng = np.random.default_rng(0)
    truth = np.tile([0, 1], 100)
    raw = rng.normal(0, 1.0, (200, 16)).astype(np.float32)
    raw[:, 0] += 1.5 * (2 * truth - 1)
    labelled = np.arange(60)
    before = truth[labelled].copy()
    swapped = np.arange(2 * wrong)
    before[swapped] = 1 - before[swapped]
    now = before.copy()
    now[: 2 * fixed] = truth[: 2 * fixed]
    made = [decision(int(i), SPACE.labels[before[i]], SPACE.labels[now[i]]) for i in range(2 * fixed)]
    labels = "".join(SPACE.labels[label] for label in now) + "." * 140
    given = LearnInput(
        raw=raw,
        labelled=labelled,
        targets=now,
        labels=LabelSpace(("A", "B")),
        strategy=resolve_strategy(DEFAULT_STRATEGY),
        student=resolve_student(DEFAULT_STUDENT),
        audited=np.arange(100, 200),
        audit_targets=truth[100:],
    )
    return given, reviewed_in(made, dataset(labels), SPACE)


def test_the_worth_of_fixes_is_measured_on_audits_and_not_twice() -> None:
    """Labels that were wrong made a worse student; the same fixes are not measured again before the labels grow."""
    given, reviewed = project(wrong=12, fixed=12)
    found = review_counts(given, learn(given), reviewed, None)
    worth = found["accuracy"]
    assert (worth["fixed"], worth["labels"], worth["of"]) == (24, 60, 100)
    assert worth["now"] > worth["before"] + 5
    told = {"accuracy": worth | {"before": -1}}
    again = review_counts(given, learn(given), reviewed, told)
    assert again["accuracy"]["before"] == -1
    for stale in ({"labels": 50}, {"key": "of other fixes"}, {"of": 80}):
        once_more = review_counts(given, learn(given), reviewed, {"accuracy": told["accuracy"] | stale})
        assert once_more["accuracy"] == worth


def test_without_a_fix_there_is_nothing_to_compare() -> None:
    """But an estimate of what is left."""
    given, reviewed = project(wrong=3, fixed=0)
    found = review_counts(given, learn(given), reviewed, None)
    assert found["accuracy"] is None
    assert 0 < found["remaining"]["expected"] < 30


def test_what_a_person_reads() -> None:
    """Reviews, what is left with its interval, and the student with and without the fixes."""
    payback = {
        "reviewed": 12,
        "fixed": 8,
        "precision": {"hits": 8, "of": 12, "low": 0.391, "high": 0.862},
        "labels": 240,
        "remaining": {"expected": 9.2, "low": 3.1, "high": 17.4},
        "accuracy": {"fixed": 8, "labels": 240, "before": 29, "now": 31, "of": 40},
    }
    assert review_line(payback) == (
        "12 suspicions reviewed, 67% of 12 (39-86%) of them right. About 9 of 240 labels still wrong (3-17). "
        "Student, on 40 audits: 31 right, 29 without the 8 fixes."
    )
    early = payback | {"precision": None, "reviewed": 0, "accuracy": None}
    early["remaining"] = {"expected": 9.2, "low": None, "high": None}
    assert review_line(early) == (
        "About 9 of 240 labels still wrong, a guess until 5 decisions are learnt from."
    )
