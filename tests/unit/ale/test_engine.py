"""The learn step and its simulation on Gaussian blobs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.engine import LearnInput, learn
from ale.metrics import ece
from ale.predictor import Predictor
from ale.ranking import QUEUE_BELOW
from ale.review import Evidence, find_label_issues
from ale.review.weighing import weigh
from ale.simulate import simulate
from ale.strategies import STRATEGIES
from ale.students import LinearStudent
from ale.types import Embeddings, LabelSpace, Probs


def blobs(
    rows: int = 300, labels: int = 3, spread: float = 0.8, seed: int = 0
) -> tuple[Embeddings, NDArray[np.int64], LabelSpace]:
    """Rows around one centre per label, the true labels, and the label space."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(labels, 16))
    truth = rng.integers(0, labels, rows)
    raw = centres[truth] + spread * rng.normal(size=(rows, 16))
    return raw.astype(np.float32), truth, LabelSpace(tuple(f"label {i}" for i in range(labels)))


def noisy_teacher(truth: NDArray[np.int64], labels: int) -> Probs:
    """A teacher that is right in some 80 % and says so with 0.8; every tenth answer is missing."""
    rng = np.random.default_rng(0)
    said = np.where(rng.random(len(truth)) < 0.7, truth, rng.integers(0, labels, len(truth)))
    probs = np.full((len(truth), labels), 0.2 / (labels - 1), np.float32)
    probs[np.arange(len(truth)), said] = 0.8
    probs[::10] = np.nan
    return probs


def given(labelled: int = 30, **changes: object) -> LearnInput:
    """A learn run over the blobs with the first rows labelled."""
    raw, truth, space = blobs()
    rows = np.arange(labelled, dtype=np.int64)
    start = LearnInput(raw, rows, truth[rows], space, STRATEGIES["margin"], LinearStudent)
    return dataclasses.replace(start, **changes)  # type: ignore[arg-type]


def test_learn_gives_beliefs_order_and_scores() -> None:
    """Thirty labels separate three blobs; the queue has the lowest scores; labelled rows have none."""
    learned = learn(given(batch=10))
    truth = blobs()[1]
    assert np.mean(learned.probs.argmax(axis=1) == truth) > 0.85
    assert np.allclose(learned.probs.sum(axis=1), 1, atol=1e-5)
    assert np.isnan(learned.scores[:30]).all()
    queue = learned.ranking.order[: learned.ranking.queue]
    assert len(queue) == 10
    assert learned.scores[queue].max() < QUEUE_BELOW <= np.nanmin(np.delete(learned.scores, queue))
    assert learned.metrics["n_labels"] == 30


def test_learn_is_deterministic() -> None:
    """The same input gives the same beliefs and the same order."""
    first, second = learn(given()), learn(given())
    assert np.array_equal(first.probs, second.probs)
    assert np.array_equal(first.ranking.order, second.ranking.order)


@pytest.mark.parametrize("labelled", [0, 1])
@pytest.mark.parametrize("teacher", [False, True])
def test_too_few_labels_still_give_an_order(labelled: int, teacher: bool) -> None:
    """Without a student the teacher's beliefs, or diversity, order the pool, and the reason is told."""
    _, truth, space = blobs()
    learned = learn(given(labelled, teacher=noisy_teacher(truth, len(space)) if teacher else None))
    assert learned.student is None
    assert learned.reasons["student"] == "need_two_classes"
    assert len(learned.ranking.order) == 300 - labelled
    assert np.isnan(learned.probs).all(axis=1).sum() == (30 if teacher else 300)


def test_only_candidates_are_ranked() -> None:
    """Skipped or excluded rows never enter the queue."""
    mark = np.zeros(300, bool)
    mark[200:205] = True
    assert sorted(learn(given(candidates=mark)).ranking.order) == [200, 201, 202, 203, 204]


def test_an_annotated_pool_is_fine() -> None:
    """Nothing left to ask: a student, and an empty ranking."""
    learned = learn(given(300))
    assert learned.student is not None
    assert len(learned.ranking.order) == 0


def test_a_predictor_survives_its_state() -> None:
    """Before and after a save the probabilities are equal."""
    learned = learn(given())
    assert learned.predictor is not None
    raw = blobs()[0]
    again = Predictor.from_state(*learned.predictor.state())
    assert np.array_equal(again.predict_proba(raw), learned.predictor.predict_proba(raw))
    assert np.allclose(again.predict_proba(raw), learned.probs, atol=1e-6)


def audit_of(rows: slice, n: int, labelled: int = 30, **changes: object) -> LearnInput:
    """The same run with a reserve, the first `n` of which are audited."""
    truth = blobs()[1]
    reserve = np.arange(300, dtype=np.int64)[rows]
    return given(
        labelled,
        audited=reserve[:n],
        audit_targets=truth[reserve[:n]],
        audit_order=reserve[n:],
        audit_share=0.1,
        **changes,
    )


def test_audit_rows_are_mixed_in_and_never_chosen() -> None:
    """They wait in their own order, with a place all over the order; those that are audited are gone."""
    plain, learned = learn(given(batch=40)), learn(audit_of(slice(250, 300), 10, batch=40))
    order, audit = learned.ranking.order.tolist(), learned.ranking.audit.tolist()
    assert audit == list(range(260, 300))
    assert [row for row in order if row in audit] == audit
    assert sorted(order) == [*range(30, 250), *range(260, 300)]
    assert [row for row in plain.ranking.order if row < 250][:5] == [row for row in order if row < 250][:5]
    assert np.all(np.diff(learned.scores[order]) > 0)
    assert 3 <= sum(row in audit for row in order[: learned.ranking.queue]) <= 6


def test_audit_labels_train_nothing() -> None:
    """The student is bit for bit the one that never heard of them but for its temperature; what they say is told."""
    truth = blobs()[1]
    plain, learned = learn(given()), learn(audit_of(slice(250, 300), 40, audit_skipped=2))
    assert plain.student is not None
    assert learned.student is not None
    for name, array in plain.student.state()[0].items():
        assert np.array_equal(array, learned.student.state()[0][name])
    right = int((learned.probs[250:290].argmax(1) == truth[250:290]).sum())
    assert (learned.audit.n, learned.audit.skipped, learned.audit.student.hits) == (40, 2, right)
    assert learned.audit.student.of == 40
    assert learned.metrics["audit_accuracy"] == right / 40
    assert learned.metrics["n_labels"] == 30


def test_audit_labels_set_the_temperature() -> None:
    """They are random, so they are calibrated by: here the labelled rows are easier than the pool."""
    raw, truth, space = blobs(rows=600, spread=1.6)
    centres = np.stack([raw[truth == label].mean(0) for label in range(3)])
    far = np.linalg.norm(raw - centres[truth], axis=1)
    rows = np.argsort(far)[:40]
    reserve = np.setdiff1d(np.arange(600), rows)[:120]
    start = LearnInput(raw, rows, truth[rows], space, STRATEGIES["margin"], LinearStudent)
    audited = dataclasses.replace(start, audited=reserve, audit_targets=truth[reserve])
    plain, honest = learn(start), learn(audited)
    assert honest.temperature > plain.temperature
    rest = np.setdiff1d(np.arange(600), np.concatenate([rows, reserve]))
    assert ece(honest.probs[rest], truth[rest]) < ece(plain.probs[rest], truth[rest])
    assert honest.audit.ece == pytest.approx(ece(honest.probs[rest], truth[rest]), abs=0.08)


def test_audit_labels_have_no_say_in_what_is_asked_next() -> None:
    """Under right and under wrong ones order, scores and unaided beliefs are the same; the published ones are not."""
    start = audit_of(slice(250, 300), 40)
    other = dataclasses.replace(start, audit_targets=(start.audit_targets + 1) % 3)
    right, wrong = learn(start), learn(other)
    assert right.temperature < wrong.temperature
    assert not np.allclose(right.probs, wrong.probs)
    assert np.array_equal(right.ranking.order, wrong.ranking.order)
    assert np.array_equal(right.scores, wrong.scores, equal_nan=True)
    assert right.unaided is not None
    assert wrong.unaided is not None
    assert np.array_equal(right.unaided, wrong.unaided)


def test_unaided_beliefs_do_not_know_the_labels_that_were_learnt() -> None:
    """A label that contradicts its neighbours is not repeated there; rows without a label are as the student says."""
    raw, truth, space = blobs()
    rows = np.arange(30, dtype=np.int64)
    targets = truth[rows].copy()
    targets[7] = (targets[7] + 1) % 3
    learned = learn(LearnInput(raw, rows, targets, space, STRATEGIES["margin"], LinearStudent))
    assert learned.unaided is not None
    assert learned.held_out is not None
    assert np.array_equal(learned.unaided[:30], learned.held_out)
    assert learned.unaided[7].argmax() == truth[7]
    assert np.array_equal(learned.unaided[30:].argmax(axis=1), learned.probs[30:].argmax(axis=1))


def test_the_teacher_is_audited_too() -> None:
    """Right answers of those that it gave; before there is a student it is all there is."""
    truth, space = blobs()[1], blobs()[2]
    teacher = noisy_teacher(truth, len(space))
    found = learn(audit_of(slice(250, 300), 40, labelled=0, teacher=teacher)).audit
    assert found.student.of == 0
    assert np.isnan(found.ece)
    answered = ~np.isnan(teacher[250:290]).any(axis=1)
    assert found.teacher.of == answered.sum() == 36
    assert found.teacher.hits == (teacher[250:290].argmax(1) == truth[250:290])[answered].sum()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"audited": np.array([3]), "audit_targets": np.array([0])}, "learnt from"),
        ({"audited": np.array([250])}, "audit targets"),
        ({"audit_order": np.array([250]), "candidates": np.ones(300, bool)}, "candidate"),
    ],
)
def test_an_audit_that_is_none_is_refused(changes: dict[str, object], says: str) -> None:
    """A label that trains can not measure, and a task is in one stream."""
    with pytest.raises(ValueError, match=says):
        given(30, **changes)


def test_teacher_helps_with_few_labels() -> None:
    """Leaning on a teacher that is mostly right beats six labels alone."""
    raw, truth, space = blobs(spread=1.5)
    alone = learn(given(6, raw=raw, targets=truth[:6]))
    leaning = learn(given(6, raw=raw, targets=truth[:6], teacher=noisy_teacher(truth, len(space))))
    assert np.mean(leaning.probs.argmax(1) == truth) > np.mean(alone.probs.argmax(1) == truth)


def test_wrong_labels_are_found_and_clean_ones_left() -> None:
    """Flipped labels come back at the top, with the right suggestion and a short reason."""
    raw, truth, _ = blobs(spread=0.4)
    flipped = np.arange(0, 120, 20)
    targets = truth[:120].copy()
    targets[flipped] = (targets[flipped] + np.array([1, 2, 1, 2, 1, 2])) % 3
    issues = learn(given(120, raw=raw, targets=targets)).issues
    assert {issue.position for issue in issues} == set(flipped.tolist())
    assert all(issue.suggested == truth[issue.position] for issue in issues)
    assert all(0 < len(issue.reason) <= 120 for issue in issues)
    assert not learn(given(120, raw=raw, targets=truth[:120])).issues


@pytest.mark.parametrize(("targets", "reason"), [([0] * 20, "one_class"), ([0, 1], "too_few_labels")])
def test_review_says_why_it_judged_nothing(targets: list[int], reason: str) -> None:
    """One class or a handful of labels are no ground for doubt, and no crash."""
    n = len(targets)
    evidence = Evidence(np.full((n, 2), 0.5, np.float32), np.array(targets), np.zeros((n, 4), np.float32))
    assert find_label_issues(evidence, LabelSpace(("a", "b"))).skipped == reason


def test_rare_labels_need_the_teachers_word() -> None:
    """A label given once is doubted only when the teacher names the same other label."""
    probs = np.tile(np.array([0.98, 0.01, 0.01], np.float32), (12, 1))
    targets = np.array([0] * 11 + [1])
    space = LabelSpace(("a", "b", "c"))
    lonely = Evidence(probs, targets, np.zeros((12, 4), np.float32))
    assert find_label_issues(lonely, space).issues == []
    backed = dataclasses.replace(lonely, teacher=probs)
    assert [issue.position for issue in find_label_issues(backed, space).issues] == [11]


def test_margin_beats_random() -> None:
    """Asking where the student cannot decide needs fewer labels; the oracle's noise is what was asked for."""
    raw, truth, space = blobs(rows=600, labels=5, spread=1.1)
    areas = {
        name: np.mean(
            [
                simulate(
                    raw,
                    truth,
                    space,
                    strategy=STRATEGIES[name],
                    student=LinearStudent,
                    budget=60,
                    batch=10,
                    seed=s,
                ).area
                for s in range(3)
            ]
        )
        for name in ("margin", "random")
    }
    assert areas["margin"] > areas["random"]


def test_the_oracle_errs_at_the_given_rate() -> None:
    """A noisy oracle gives another label, never the truth by accident, and the budget is kept."""
    raw, truth, space = blobs()
    curve = simulate(
        raw,
        truth,
        space,
        strategy=STRATEGIES["random"],
        student=LinearStudent,
        budget=105,
        batch=50,
        noise=0.2,
    )
    assert curve.budgets.tolist() == [0, 50, 100, 105]
    assert 0.1 < np.mean(curve.given != truth[curve.labelled]) < 0.3


def test_a_teacher_that_the_student_learnt_with_is_not_heard_twice() -> None:
    """Its words are in the student's probabilities; a further teacher's are not."""
    raw, truth, space = blobs(rows=60, labels=3)
    hard = np.eye(3, dtype=np.float32)[truth]
    held_out = (0.8 * hard + 0.2 / 3).astype(np.float32)
    wrong = np.roll(hard, 1, axis=1)
    alone = Evidence(held_out=held_out, targets=truth, features=raw)
    learnt = Evidence(held_out=held_out, targets=truth, features=raw, teacher=wrong)
    assert len(learnt.teachers) == 1
    assert np.array_equal(weigh(alone, len(space)).score, weigh(learnt, len(space)).score)
    further = Evidence(held_out=held_out, targets=truth, features=raw, teacher=wrong, more_teachers=(wrong,))
    assert not np.array_equal(weigh(alone, len(space)).score, weigh(further, len(space)).score)
