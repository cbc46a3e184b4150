"""The noise channel: how many labels are wrong, which, and which pairs are confused as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.review.channel import judge


def crisp(truth: NDArray[np.int64], labels: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """One opinion that nearly always knows the truth, unsurely."""
    logits = rng.normal(size=(len(truth), labels))
    logits[np.arange(len(truth)), truth] += 5.0
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def noisy(truth: NDArray[np.int64], labels: int, rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """That share of labels replaced by any other."""
    wrong = rng.random(len(truth)) < rate
    return np.where(wrong, (truth + rng.integers(1, labels, len(truth))) % labels, truth)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2])
def test_errors_are_counted(rate: float) -> None:
    """The chances of wrong labels add up to their number."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 800)
    given = noisy(truth, 4, rate, rng)
    found = judge(crisp(truth, 4, rng)[None], given)
    assert abs(found.errors - np.sum(given != truth)) < 0.03 * 800


def test_the_wrong_ones_come_first() -> None:
    """Scores are high where the label is wrong; the truth is what the opinion says."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 800)
    given = noisy(truth, 4, 0.1, rng)
    found = judge(crisp(truth, 4, rng)[None], given)
    wrong = given != truth
    worst = np.argsort(-found.score)[: wrong.sum()]
    assert wrong[worst].mean() > 0.85
    assert (found.truth.argmax(axis=1) == truth).mean() > 0.97
    assert (found.score >= 0).all()
    assert (found.score <= 1).all()


def test_a_confused_pair_is_learnt() -> None:
    """When 0 is often given as 1 and nothing else goes wrong, that pair's labels are doubted more."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 900)
    given = np.where((truth == 0) & (rng.random(900) < 0.3), 1, truth)
    confusion = judge(crisp(truth, 3, rng)[None], given).channel.confusion
    assert confusion[0, 1] > 3 * confusion[[0, 1, 1, 2, 2], [2, 0, 2, 0, 1]].max()
    assert np.allclose(confusion.sum(axis=1), 1.0)


def test_noise_counts_nothing_where_an_opinion_knows_nothing() -> None:
    """An opinion drawn by lot gets no power beside a good one."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 600)
    opinions = np.stack([crisp(truth, 3, rng), crisp(rng.integers(0, 3, 600), 3, rng)])
    powers = judge(opinions, noisy(truth, 3, 0.1, rng)).channel.powers
    assert powers[1] < 0.1 * powers[0]


def test_a_careless_annotator_is_doubted_more() -> None:
    """Of two annotators the one with more wrong labels has the higher rate."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 800)
    who = np.arange(800) % 2
    given = np.where(who == 0, truth, noisy(truth, 3, 0.3, rng))
    rates = judge(crisp(truth, 3, rng)[None], given, who).channel.rates
    assert rates[1] > 2 * rates[0]


def test_two_labels_have_an_even_channel() -> None:
    """There nothing tells uneven noise from a bias of the opinions."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 300)
    given = np.where((truth == 0) & (rng.random(300) < 0.3), 1, truth)
    confusion = judge(crisp(truth, 2, rng)[None], given).channel.confusion
    assert confusion[0, 1] == pytest.approx(confusion[1, 0])


def test_equal_input_equal_output() -> None:
    """Nothing is drawn by lot."""
    rng = np.random.default_rng(6)
    truth = rng.integers(0, 3, 200)
    opinions = crisp(truth, 3, rng)[None]
    assert np.array_equal(judge(opinions, truth).score, judge(opinions, truth).score)
