"""Prediction sets hold the true label as often as was asked for, and say when that cannot be promised."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.errors import ConfigurationError
from ale.prediction_sets import prediction_sets, set_threshold
from ale.types import Probs


def drawn(n: int, seed: int, labels: int = 4) -> tuple[Probs, NDArray[np.int64]]:
    """Beliefs that are too sure of themselves, and true labels."""
    random = np.random.default_rng(seed)
    true = random.dirichlet(np.full(labels, 0.4), n)
    truth = np.array([random.choice(labels, p=row) for row in true], np.int64)
    sure = true**2
    return (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_the_true_label_is_among_them_as_often_as_promised(coverage: float) -> None:
    """On average over held-out sets of a hundred texts, however wrong the confidences are."""
    probs, truth = drawn(4_000, seed=1)
    hits = []
    for seed in range(200):
        threshold = set_threshold(*drawn(100, seed=seed + 2), coverage)
        hits.append(prediction_sets(probs, threshold)[np.arange(4_000), truth].mean())
    # The likeliest label is always among them, so there may be more hits, not fewer.
    assert coverage - 0.006 < np.mean(hits) < coverage + 0.04


def test_a_set_is_never_empty_and_holds_the_likeliest() -> None:
    """Also where nothing reaches the threshold."""
    probs = np.array([[0.4, 0.35, 0.25], [0.9, 0.05, 0.05]], np.float32)
    assert prediction_sets(probs, 0.95).tolist() == [[True, False, False], [True, False, False]]
    assert prediction_sets(probs, 0.3).tolist() == [[True, True, False], [True, False, False]]


def test_too_few_texts_promise_nothing() -> None:
    """Nineteen texts are the least for 95 %; the message says so."""
    probs, truth = drawn(19, seed=0)
    assert 0 <= set_threshold(probs, truth, 0.95) <= 1
    with pytest.raises(ConfigurationError, match=r"takes at least 19 labelled texts .* has 18"):
        set_threshold(probs[:18], truth[:18], 0.95)
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        set_threshold(probs, truth, 1.0)
