"""The hybrid student: hears a good teacher, falls back from a useless one, and keeps people's word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.students.candidates import FEW, LEANING, PLAIN, Candidate, candidates_for
from ale.students.graph import neighbour_graph, smooth
from ale.students.hybrid import HybridStudent
from ale.students.leaning import fit_leaning
from ale.students.linear import LinearStudent
from ale.students.mixture import mixture_weights
from ale.types import Embeddings, Probs

LABELS = 3


def pool(rows: int = 400, spread: float = 0.9, seed: int = 0) -> tuple[Embeddings, NDArray[np.int64]]:
    """Unit rows around one centre per label, and the true labels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, LABELS, rows)
    points = rng.normal(size=(LABELS, 16))[truth] + 2 * spread * rng.normal(size=(rows, 16))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), truth


def teacher(truth: NDArray[np.int64], right: float, seed: int = 1) -> Probs:
    """Hard answers, read as 80 % sure, of which the share `right` is true; every tenth is missing."""
    rng = np.random.default_rng(seed)
    said = np.where(
        rng.random(len(truth)) < right, truth, (truth + rng.integers(1, LABELS, len(truth))) % LABELS
    )
    probs = np.full((len(truth), LABELS), 0.1, np.float32)
    probs[np.arange(len(truth)), said] = 0.8
    probs[::10] = np.nan
    return probs


def fit(labelled: int, told: Probs | None, **more: NDArray[np.generic]) -> HybridStudent:
    """A student of the first rows of the pool."""
    points, truth = pool()
    rows = np.arange(labelled, dtype=np.int64)
    return HybridStudent().fit(points, rows, truth[rows], labels=LABELS, teacher=told, **more)  # type: ignore[arg-type]


def unseen(student: HybridStudent | LinearStudent) -> float:
    """Accuracy on texts of the same kind that were not in the pool."""
    rng = np.random.default_rng(0)
    rng.integers(0, LABELS, 400)
    centres = rng.normal(size=(LABELS, 16))
    fresh = np.random.default_rng(5)
    truth = fresh.integers(0, LABELS, 2_000)
    points = centres[truth] + 1.8 * fresh.normal(size=(2_000, 16))
    rows = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return float(np.mean(student.logits(rows).argmax(axis=1) == truth))


def on_pool(student: HybridStudent, labelled: int) -> float:
    """Accuracy of the belief about the pool's rows without a label."""
    truth = pool()[1]
    return float(np.mean(student.pool_logits()[labelled:].argmax(axis=1) == truth[labelled:]))


def test_a_good_teacher_is_heard() -> None:
    """Twenty labels and a teacher that is 94 % right: better than without, and on the pool nearly the teacher."""
    told = teacher(pool()[1], 0.94)
    heard, alone = fit(20, told), fit(20, None)
    assert unseen(heard) > unseen(alone) + 0.03
    assert on_pool(heard, 20) > max(on_pool(alone, 20) + 0.1, 0.85)


@pytest.mark.parametrize("right", [0.0, 1 / LABELS])
def test_a_useless_teacher_costs_little(right: float) -> None:
    """Noise, or a teacher that is never right, against 120 labels: no worse than the linear student without it."""
    points, truth = pool()
    rows = np.arange(120, dtype=np.int64)
    plain = LinearStudent().fit(points, rows, truth[rows], labels=LABELS)
    assert unseen(fit(120, teacher(truth, right))) > unseen(plain) - 0.03


def wrong(truth: NDArray[np.int64]) -> Probs:
    """A teacher that takes each label for the next one, nine times of ten as it says."""
    said = np.eye(LABELS)[(truth + 1) % LABELS]
    return np.where(said > 0, 0.9, 0.05).astype(np.float32)


@pytest.mark.parametrize("labelled", [10, 25])
def test_a_teacher_that_is_always_wrong_is_not_leant_on(labelled: int) -> None:
    """Ten labels refute it: the student is the one without a teacher, bit by bit."""
    points, truth = pool()
    heard, alone = fit(labelled, wrong(truth)), fit(labelled, None)
    assert heard.refuted
    assert not alone.refuted
    assert np.array_equal(heard.logits(points), alone.logits(points))
    assert np.array_equal(heard.pool_logits(), alone.pool_logits())


@pytest.mark.parametrize("labelled", [10, 25])
def test_a_good_teacher_whose_doubted_texts_were_asked_first_is_kept(labelled: int) -> None:
    """It is wrong about most of them; but there its opinions contradict each other, and had little to lose."""
    points, truth = pool()
    told = teacher(truth, 0.85)
    alone = HybridStudent.of_teacher(points, told)
    assert alone is not None
    said = told.argmax(axis=1)
    doubted = np.argsort(softmax(alone.pool_logits())[np.arange(len(truth)), said])
    rows = doubted[~np.isnan(told[doubted]).any(axis=1)][:labelled]
    assert np.mean(said[rows] == truth[rows]) < 0.5
    assert not HybridStudent().fit(points, rows, truth[rows], labels=LABELS, teacher=told).refuted


@pytest.mark.parametrize("seed", range(3))
def test_a_boaster_that_is_half_right_is_never_dropped_for_a_run(seed: int) -> None:
    """It claims 99 %, and what is asked is what it is wrong about: it is leant on in every batch, and the belief about
    the pool never falls back.
    """
    many, rng = 8, np.random.default_rng(seed)
    truth = rng.integers(0, many, 400)
    points = rng.normal(size=(many, 16))[truth] + 0.9 * rng.normal(size=(400, 16))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    said = np.where(rng.random(400) < 0.5, truth, (truth + rng.integers(1, many, 400)) % many)
    told = np.where(np.eye(many)[said] > 0, 0.99, 0.01 / (many - 1)).astype(np.float32)
    student = HybridStudent.of_teacher(points, told)
    rows: list[int] = []
    before = 0.0
    while len(rows) < 28:
        assert student is not None
        sure = np.sort(student.pool_logits(), axis=1)
        margin = sure[:, -1] - sure[:, -2]
        margin[rows] = np.inf
        rows += np.argsort(margin, kind="stable")[:4].tolist()
        asked = np.array(rows)
        student = HybridStudent().fit(points, asked, truth[asked], labels=many, teacher=told)
        right = float(np.mean(student.pool_logits().argmax(axis=1) == truth))
        assert not student.refuted
        assert right > before - 0.02
        before = right


@pytest.mark.parametrize("labelled", [10, 60, 250])
def test_without_a_teacher_it_is_no_worse_than_the_linear_student(labelled: int) -> None:
    """The same labels, nobody to lean on."""
    points, truth = pool()
    rows = np.arange(labelled, dtype=np.int64)
    plain = LinearStudent().fit(points, rows, truth[rows], labels=LABELS)
    assert unseen(fit(labelled, None)) > unseen(plain) - 0.02


def test_labels_where_the_teacher_was_silent_do_not_overrule_its_answers() -> None:
    """They are asked first, and may all be of one kind: the rest of the pool is still believed as it was told."""
    points, truth = pool()
    told = teacher(truth, 0.94)
    silent = np.arange(0, 400, 10)
    odd = silent[truth[silent] < 2][:20]
    student = HybridStudent().fit(points, odd, truth[odd], labels=LABELS, teacher=told)
    answered = np.flatnonzero(~np.isnan(told).any(axis=1))
    same = student.pool_logits()[answered].argmax(axis=1) == told[answered].argmax(axis=1)
    assert np.mean(same) > 0.94


@pytest.mark.parametrize("labelled", [15, 25])
def test_doubtful_texts_of_one_kind_do_not_make_all_texts_that_kind(labelled: int) -> None:
    """Labels that were asked for on purpose say nothing about the shares of the classes: the student of a good
    teacher stays as good as it was.
    """
    points, truth = pool()
    told = teacher(truth, 0.94)
    alone = HybridStudent.of_teacher(points, told)
    assert alone is not None
    ranked = np.sort(softmax(alone.pool_logits()), axis=1)
    doubtful = np.argsort(ranked[:, -1] - ranked[:, -2])
    doubtful = doubtful[~np.isnan(told[doubtful]).any(axis=1)]
    kind = truth[doubtful] == 0
    rows = np.concatenate([doubtful[kind][: labelled - 5], doubtful[~kind][:5]])
    student = HybridStudent().fit(points, rows, truth[rows], labels=LABELS, teacher=told)
    assert np.mean(student.pool_logits().argmax(axis=1) == 0) < np.mean(truth == 0) + 0.04
    assert unseen(student) > unseen(alone) - 0.005


@pytest.mark.parametrize(
    ("rows", "heard", "chosen"),
    [(50, None, PLAIN), (29, 29, FEW), (30, 30, LEANING), (60, 10, FEW), (60, 40, LEANING), (90, 0, LEANING)],
)
def test_only_labels_where_the_teacher_spoke_can_judge_it(
    rows: int, heard: int | None, chosen: tuple[Candidate, ...]
) -> None:
    """Until there are some, or very many others, only what holds on to it competes."""
    assert candidates_for(rows, LABELS, heard=heard) == chosen


def test_the_teacher_alone_makes_a_student() -> None:
    """Before any label; better than chance on new texts, and nothing where the teacher is silent."""
    points, truth = pool()
    student = HybridStudent.of_teacher(points, teacher(truth, 0.9))
    assert student is not None
    assert unseen(student) > 0.6
    assert HybridStudent.of_teacher(points, np.full((400, LABELS), np.nan, np.float32)) is None


def test_rows_without_an_answer_are_believed_by_their_neighbours() -> None:
    """Where the teacher abstained there is a finite belief, mostly the right one."""
    truth = pool()[1]
    student = fit(20, teacher(truth, 0.94))
    silent = np.arange(20, 400, 10)
    assert np.isfinite(student.pool_logits()).all()
    assert np.mean(student.pool_logits()[silent].argmax(axis=1) == truth[silent]) > 0.6


def test_a_class_that_nobody_named_yet() -> None:
    """Labels of two classes: the third is still likeliest where the teacher says so."""
    points, truth = pool()
    rows = np.flatnonzero(truth < 2)[:20]
    student = HybridStudent().fit(points, rows, truth[rows], labels=LABELS, teacher=teacher(truth, 0.94))
    third = truth == 2
    assert np.mean(student.pool_logits()[third].argmax(axis=1) == 2) > 0.5


def test_the_same_input_gives_the_same_student() -> None:
    """Bit by bit, also through its state."""
    told = teacher(pool()[1], 0.8)
    first, second = fit(40, told), fit(40, told)
    assert np.array_equal(first.pool_logits(), second.pool_logits())
    assert np.array_equal(first.out_of_fold_logits(), second.out_of_fold_logits())
    again = HybridStudent.from_state(*first.state())
    assert np.array_equal(again.logits(pool()[0]), second.logits(pool()[0]))


@pytest.mark.parametrize("heard", [True, False])
def test_a_second_fit_is_as_good_as_a_first(heard: bool) -> None:
    """On the pool that it knows, with the same teacher and without one, and on another pool."""
    points, truth = pool()
    rows = np.arange(40, dtype=np.int64)
    told = teacher(truth, 0.8) if heard else None
    other, again = points[::-1].copy(), HybridStudent()
    again.fit(points, rows[:20], truth[:20], labels=LABELS, teacher=told)
    for pool_, said in ((points, told), (points, None), (other, told)):
        fresh = HybridStudent().fit(pool_, rows, truth[rows], labels=LABELS, teacher=said)
        again.fit(pool_, rows, truth[rows], labels=LABELS, teacher=said)
        assert np.array_equal(again.pool_logits(), fresh.pool_logits())
        assert np.array_equal(again.logits(points), fresh.logits(points))


def test_human_rows_keep_what_people_said() -> None:
    """Also where the student alone would say otherwise, and to the majority where people differ."""
    points, truth = pool()
    rows = np.array([*range(60), 0, 0], np.int64)
    targets = truth[rows]
    targets[[5, 60, 61]] = (truth[[5, 0, 0]] + 1) % LABELS
    student = HybridStudent().fit(points, rows, targets, labels=LABELS, teacher=teacher(truth, 0.94))
    said = student.pool_logits().argmax(axis=1)
    assert said[5] == targets[5] != truth[5]
    assert said[0] == targets[60] != truth[0]


def test_a_weight_of_zero_is_no_label() -> None:
    """Wrong labels that weigh nothing are neither believed nor clamped."""
    points, truth = pool()
    rows = np.arange(80, dtype=np.int64)
    targets = truth[rows].copy()
    targets[40:] = (targets[40:] + 1) % LABELS
    weights = np.where(rows < 40, 1.0, 0.0)
    doubted = HybridStudent().fit(points, rows, targets, labels=LABELS, weights=weights)
    trusting = HybridStudent().fit(points, rows, targets, labels=LABELS)
    assert unseen(doubted) > unseen(trusting) + 0.1
    assert np.mean(doubted.pool_logits()[40:80].argmax(axis=1) == truth[40:80]) > 0.5


def test_a_text_never_helps_to_predict_itself() -> None:
    """A lone text with a label of its own, given by two annotators: unknown out of fold unless the pair is split."""
    points, truth = pool()
    points = np.hstack([points, np.zeros((400, 1), np.float32)])
    points[0] = 0
    points[0, -1] = 1
    rows = np.array([*range(40), 0], np.int64)
    targets = np.where(rows == 0, 0, np.maximum(truth[rows], 1))  # only the lone text has label 0

    def believed(groups: NDArray[np.int64]) -> float:
        student = HybridStudent().fit(points, rows, targets, labels=LABELS, groups=groups)
        return float(softmax(student.out_of_fold_logits())[[0, -1], 0].mean())

    assert believed(rows) < 0.2
    assert believed(np.arange(41)) > believed(rows) + 0.05


def test_the_committee_is_a_distribution_per_member() -> None:
    """One per candidate and pool row; candidates that lean differently do not all say the same."""
    members = fit(30, teacher(pool()[1], 0.6)).committee()
    assert members is not None
    assert members.shape[1:] == (400, LABELS)
    assert np.allclose(members.sum(axis=2), 1, atol=1e-4)
    assert len(np.unique(members.argmax(axis=2), axis=0)) > 1


@given(st.integers(1, 5), st.integers(0, 30), st.integers(0, 9))
def test_mixture_weights_are_shares(candidates: int, rows: int, seed: int) -> None:
    """They sum to 1; without a label they are what was believed."""
    rng = np.random.default_rng(seed)
    held_out = rng.dirichlet(np.ones(LABELS), (candidates, rows))
    believed = rng.random(candidates) + 0.1
    shares = mixture_weights(held_out, rng.integers(0, LABELS, rows), np.ones(rows), believed)
    assert np.isclose(shares.sum(), 1)
    assert (shares > 0).all()
    if not rows:
        assert np.allclose(shares, believed / believed.sum())


def test_the_likelier_candidate_gets_the_mixture() -> None:
    """Fifty held-out labels outweigh what was believed of two candidates."""
    good, bad = np.full((50, 2), [0.9, 0.1]), np.full((50, 2), [0.4, 0.6])
    shares = mixture_weights(np.stack([good, bad]), np.zeros(50, np.int64), np.ones(50), np.array([0.2, 2.0]))
    assert shares[0] > 0.9


def test_a_scale_tells_a_good_opinion_from_noise() -> None:
    """Two opinions, one true: its scale grows, the other's vanishes."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    good = np.where(np.eye(2)[truth] > 0, 1.0, -1.0)
    noise = rng.choice([-1.0, 1.0], (60, 1)) * np.array([1.0, -1.0])
    found = fit_leaning(
        np.zeros((60, 1), np.float32),
        np.eye(2, dtype=np.float32)[truth],
        np.ones(60),
        l2=1.0,
        opinions=np.stack([good, noise]).astype(np.float32),
        expected=np.array([0.5, 0.5]),
    )
    assert found.scales[0] > 1.0
    assert 0.0 <= found.scales[1] < 0.4


@pytest.mark.parametrize("rows", [3, 40, 2_500])
def test_neighbours_are_of_the_same_blob(rows: int) -> None:
    """All pairs or buckets: the graph is symmetric, bounded, and smoothing carries labels to their kind."""
    points, truth = pool(rows, spread=0.2)
    graph = neighbour_graph(points)
    assert abs(graph - graph.T).max() < 1e-6
    assert graph.diagonal().max() == 0
    start = np.zeros((rows, LABELS), np.float32)
    start[::2] = np.eye(LABELS, dtype=np.float32)[truth[::2]]
    spread = smooth(graph, start, 0.8, 8)
    assert np.isfinite(spread).all()
    if rows > 3:
        assert np.mean(spread.argmax(axis=1) == truth) > 0.9


def test_a_pool_of_one_text_thousandfold() -> None:
    """Nothing to tell apart is no crash."""
    points = np.ones((2_000, 8), np.float32)
    told = np.tile(np.array([[0.7, 0.3]], np.float32), (2_000, 1))
    student = HybridStudent().fit(points, np.arange(10), np.array([0, 1] * 5), labels=2, teacher=told)
    assert np.isfinite(student.pool_logits()).all()
    assert np.isfinite(student.logits(points)).all()


def test_an_opinion_is_never_turned_round() -> None:
    """One that is always wrong counts as if it had not been there."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    soft = np.eye(2, dtype=np.float32)[truth]
    rows = rng.normal(size=(60, 3)).astype(np.float32)
    good = 2 * soft - 1
    both = fit_leaning(
        rows, soft, np.ones(60), l2=1.0, opinions=np.stack([good, -good]), expected=np.array([0.5, 0.5])
    )
    alone = fit_leaning(rows, soft, np.ones(60), l2=1.0, opinions=good[None], expected=np.array([0.5]))
    assert both.scales.tolist() == [alone.scales[0], 0.0]
    assert np.array_equal(both.weights, alone.weights)
