"""Calibration, metrics, folds and features on arrays one can check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from ale.calibration import fit_temperature, softmax
from ale.errors import LabelSpaceMismatch
from ale.features import FeatureSpace
from ale.folds import assign_folds
from ale.metrics import accuracy, area_under_curve, ece, macro_f1


def test_softmax_rows_sum_to_one_even_for_huge_logits() -> None:
    """No overflow, and the likeliest label stays the likeliest."""
    probs = softmax(np.array([[1e4, 0.0], [0.0, 0.0]]))
    assert np.allclose(probs.sum(axis=1), 1)
    assert probs[0].argmax() == 0


def test_boastful_logits_get_a_high_temperature() -> None:
    """Logits that say 99 % where 60 % are right are cooled down, honest ones are left alone."""
    logits = np.tile([5.0, 0.0], (100, 1))
    targets = np.array([0] * 60 + [1] * 40)
    assert fit_temperature(logits, targets) > 5
    honest = np.tile([np.log(1.5), 0.0], (100, 1))
    assert fit_temperature(honest, targets) == pytest.approx(1.0, abs=0.1)


def test_temperature_of_nothing_is_one() -> None:
    """No rows, no change."""
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1.0


def test_rows_without_weight_do_not_count() -> None:
    """A weight of zero takes a row out."""
    logits, targets = np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1])
    with_error = fit_temperature(logits, targets)
    assert fit_temperature(logits, targets, np.array([1.0, 1, 1, 0])) < with_error


def test_metrics() -> None:
    """Values that can be counted by hand."""
    truth, guess = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert accuracy(guess, truth) == 0.75
    assert macro_f1(guess, truth) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert ece(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), truth) == 0
    assert area_under_curve(np.array([0, 10, 30]), np.array([0.0, 1, 1])) == pytest.approx(25 / 30)
    assert np.isnan(accuracy(np.zeros(0, np.int64), np.zeros(0, np.int64)))


def test_groups_never_straddle_folds() -> None:
    """Equal texts stand in one fold, and the folds are the same every time."""
    targets = np.array([0, 1, 2] * 10, np.int64)
    groups = np.arange(30, dtype=np.int64) // 2
    folds = assign_folds(targets, groups)
    assert all(len(set(folds[groups == g])) == 1 for g in groups)
    assert np.array_equal(folds, assign_folds(targets, groups))
    assert set(folds) == {0, 1, 2, 3, 4}


def test_labels_are_spread_over_folds() -> None:
    """Ten rows of a label are two in each of five folds."""
    targets = np.array([0] * 10 + [1] * 10, np.int64)
    folds = assign_folds(targets)
    assert all(np.sum(folds[targets == label] == fold) == 2 for label in (0, 1) for fold in range(5))


@pytest.mark.parametrize("targets", [[], [0], [0, 1], [0, 0, 0, 5]])
def test_tiny_inputs_never_crash(targets: list[int]) -> None:
    """Fewer rows than folds are fine."""
    assert len(assign_folds(np.array(targets, np.int64))) == len(targets)


def test_features_are_unit_rows_whatever_the_scale() -> None:
    """Both halves weigh the same, and a row equal to the mean is a row of zeros."""
    raw = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) * 100 + 7
    features = FeatureSpace.fit(raw).transform(raw)
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert np.allclose((features[:, :4] ** 2).sum(axis=1), 0.5, atol=1e-5)
    one = raw[:1]
    assert np.all(FeatureSpace.fit(one).transform(one) == 0)


def test_another_encoder_is_refused() -> None:
    """A width that does not fit is an error, not a broadcast."""
    with pytest.raises(LabelSpaceMismatch):
        FeatureSpace.fit(np.zeros((2, 4), np.float32)).transform(np.zeros((2, 6), np.float32))
