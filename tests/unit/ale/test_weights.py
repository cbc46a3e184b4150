"""The table of weights: who counts less, who counts as one, and what that does to a student."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ale.engine import LearnInput, learn
from ale.strategies import STRATEGIES
from ale.students import HybridStudent
from ale.types import LabelSpace
from ale.weights import CONFIRMED, DOUBTED, label_weights


def test_a_doubt_makes_lighter_and_never_nothing() -> None:
    """Without a doubt a label counts whole; with one by what is left of it, down to the least."""
    nobody = np.zeros(4, bool)
    weights = label_weights(nobody, np.array([0.0, 0.2, 0.6, 0.99]), np.arange(4))
    assert np.allclose(weights, [1.0, 0.8, 0.4, DOUBTED])
    assert DOUBTED > 0


def test_what_a_person_confirmed_is_doubted_no_more() -> None:
    """However sure the review was."""
    weights = label_weights(np.array([True, False]), np.array([0.9, 0.9]), np.arange(2))
    assert weights[0] == CONFIRMED >= 1.0 > weights[1]


def test_equal_texts_count_as_one() -> None:
    """Four labels of one text weigh what the one label of another does; a doubted one among them weighs less."""
    nobody, groups = np.zeros(5, bool), np.array([0, 1, 0, 0, 0])
    weights = label_weights(nobody, np.zeros(5), groups)
    assert weights[groups == 0].sum() == weights[groups == 1].sum() == 1.0
    doubted = label_weights(nobody, np.array([0.5, 0.0, 0.0, 0.0, 0.0]), groups)
    assert np.allclose(doubted, [0.125, 1.0, 0.25, 0.25, 0.25])


def test_no_labels_no_weights() -> None:
    """A project at its start."""
    nothing = np.zeros(0)
    assert label_weights(nothing.astype(bool), nothing, nothing.astype(np.int64)).shape == (0,)


def test_a_student_hears_the_weights() -> None:
    """Wrong labels that are doubted spoil less: the right label of their region gets more of the belief."""
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    raw = rng.normal(size=(200, 16)).astype(np.float32)
    raw[:, 0] += 1.5 * (2 * truth - 1)
    labelled = np.arange(60)
    targets = truth[labelled].astype(np.int64)
    wrong = np.arange(0, 60, 4)
    targets[wrong] = 1 - targets[wrong]
    given = LearnInput(
        raw=raw,
        labelled=labelled,
        targets=targets,
        labels=LabelSpace(("A", "B")),
        strategy=STRATEGIES["margin"],
        student=HybridStudent,
    )
    doubts = np.zeros(60)
    doubts[wrong] = 0.9
    weighed = replace(given, weights=label_weights(np.zeros(60, bool), doubts, labelled))
    rest = np.arange(60, 200)
    alike, lighter = (learn(one).probs[rest, truth[rest]].mean() for one in (given, weighed))
    assert lighter > alike + 0.05
