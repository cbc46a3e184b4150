"""Labels of equal texts count as one, and a student hears it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ale.engine import LearnInput, learn
from ale.strategies import STRATEGIES
from ale.students import HybridStudent
from ale.types import LabelSpace
from ale.weights import label_weights


def test_equal_texts_count_as_one() -> None:
    """Four labels of one text weigh what the one label of another does."""
    weights = label_weights(np.array([0, 1, 0, 0, 0]))
    assert np.allclose(weights, [0.25, 1.0, 0.25, 0.25, 0.25])


def test_no_labels_no_weights() -> None:
    """A project at its start."""
    assert label_weights(np.zeros(0, np.int64)).shape == (0,)


def test_a_student_hears_the_weights() -> None:
    """A wrong label on a text that was imported forty times spoils less when the forty share the weight of one."""
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    raw = rng.normal(size=(200, 16)).astype(np.float32)
    raw[:, 0] += 1.5 * (2 * truth - 1)
    raw[20:60] = raw[20]  # all of them the text of row 20, and wrong
    targets = truth[:60].astype(np.int64)
    targets[20:] = 1 - truth[20]
    groups = np.minimum(np.arange(60), 20)
    given = LearnInput(
        raw=raw,
        labelled=np.arange(60),
        targets=targets,
        groups=groups,
        labels=LabelSpace(("A", "B")),
        strategy=STRATEGIES["margin"],
        student=HybridStudent,
    )
    rest = np.arange(60, 200)
    alike, shared = (
        learn(one).probs[rest, truth[rest]].mean()
        for one in (given, replace(given, weights=label_weights(groups)))
    )
    assert shared > alike + 0.02
