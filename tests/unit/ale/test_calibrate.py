"""A teacher's probabilities against people's labels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.errors import LabelSpaceMismatch
from ale.metrics import ece
from ale.teachers.calibrate import OFFSETS_FROM, TeacherCalibration, fit_calibration
from ale.types import Probs


def boastful(rows: int, right: float, said: float = 0.95, seed: int = 0) -> tuple[Probs, NDArray[np.int64]]:
    """Answers that say 95 % and are right less often, over three labels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    answer = np.where(rng.random(rows) < right, truth, (truth + 1) % 3)
    probs = np.full((rows, 3), (1 - said) / 2, np.float32)
    probs[np.arange(rows), answer] = said
    return probs, truth


@pytest.mark.parametrize("rows", [OFFSETS_FROM - 10, 200])
def test_boasting_is_cooled_down(rows: int) -> None:
    """On other rows than it was fitted on, the calibration error falls from .35 to a tenth."""
    fitted = fit_calibration(*boastful(rows, 0.6))
    probs, truth = boastful(5000, 0.6, seed=1)
    assert ece(probs, truth) == pytest.approx(0.35, abs=0.02)
    assert ece(fitted.apply(probs), truth) < 0.1


def test_a_hard_answer_is_worth_what_it_is_right() -> None:
    """Certainty that is right in three of four cases becomes about .75."""
    fitted = fit_calibration(*boastful(400, 0.75, said=1.0))
    calibrated = fitted.apply(np.eye(3, dtype=np.float32))
    assert calibrated.max(axis=1) == pytest.approx([0.75] * 3, abs=0.06)


def test_a_few_labels_never_change_an_answer() -> None:
    """Below 50 labels only the temperature is fitted; above, a label that is given too often is held back."""
    probs = np.tile(np.array([[0.6, 0.4]], np.float32), (100, 1))
    truth = np.array([0, 1, 1, 1] * 25)
    assert fit_calibration(probs[:40], truth[:40]).apply(probs[:1]).argmax() == 0
    assert fit_calibration(probs, truth).apply(probs[:1]).argmax() == 1


def test_abstentions_do_not_count_and_stay() -> None:
    """A row of NaN teaches nothing and comes back as it was."""
    probs, truth = boastful(100, 0.6)
    with_silence = np.concatenate([probs, np.full((50, 3), np.nan, np.float32)])
    fitted = fit_calibration(with_silence, np.concatenate([truth, np.zeros(50, np.int64)]))
    assert fitted == fit_calibration(probs, truth)
    assert np.isnan(fitted.apply(with_silence)[-1]).all()
    assert np.allclose(fitted.apply(probs).sum(axis=1), 1, atol=1e-5)


def test_weights_count_rows() -> None:
    """A weight of zero takes a row out."""
    probs, truth = boastful(100, 0.6)
    doubled = fit_calibration(np.tile(probs, (2, 1)), np.tile(truth, 2), np.repeat([1.0, 0.0], 100))
    assert doubled.temperature == pytest.approx(fit_calibration(probs, truth).temperature, rel=1e-3)


def test_without_labels_nothing_changes() -> None:
    """No rows, or nothing but abstentions."""
    probs, truth = boastful(10, 0.5)
    for fitted in (
        fit_calibration(probs[:0], truth[:0]),
        fit_calibration(np.full_like(probs, np.nan), truth),
    ):
        assert fitted == TeacherCalibration()
        assert fitted.apply(probs) is probs


def test_other_labels_are_refused() -> None:
    """Offsets belong to their label space, and rows to their labels."""
    fitted = fit_calibration(*boastful(100, 0.6))
    with pytest.raises(LabelSpaceMismatch):
        fitted.apply(np.full((2, 4), 0.25, np.float32))
    with pytest.raises(ValueError, match="1 labels for 3"):
        fit_calibration(np.eye(3, dtype=np.float32), np.array([0]))
