"""Audit labels set the temperature without forgetting what held-out labels said, and measure it honestly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.audit.temperature import audit_temperature, held_out_probs
from ale.calibration import softmax
from ale.metrics import ece


def belief(n: int, sharpness: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and truths drawn from them; `sharpness` above 1 is too sure."""
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1.5, (n, 3))
    chance = softmax(logits).cumsum(axis=1)
    return logits * sharpness, (rng.random((n, 1)) > chance).sum(axis=1).clip(0, 2)


def test_one_that_is_too_sure_is_mended_on_other_rows() -> None:
    """Three times too sharp: the temperature comes out near 3 and takes the fault away."""
    logits, truth = belief(1_000, 3.0)
    assert audit_temperature(logits, truth, 1.0) == pytest.approx(3.0, rel=0.15)
    assert ece(held_out_probs(logits, truth, 1.0), truth) < ece(softmax(logits), truth) / 3


def test_few_labels_hardly_move_what_held_out_labels_gave() -> None:
    """None leave it, ten pull a little, a thousand a lot; a temperature that was right stays."""
    logits, truth = belief(1_000, 3.0)
    none, ten, all_of_them = (audit_temperature(logits[:n], truth[:n], 1.0) for n in (0, 10, 1_000))
    assert none == 1.0 < ten < 2.0 < all_of_them
    assert audit_temperature(logits[:10], truth[:10], 3.0) == pytest.approx(3.0, rel=0.1)


def test_no_row_is_measured_at_a_temperature_that_it_helped_to_fit() -> None:
    """Another truth of a row changes the probabilities of other rows, never its own."""
    logits, truth = belief(60, 1.0)
    other = truth.copy()
    other[7] = (other[7] + 1) % 3
    one, two = held_out_probs(logits, truth, 1.0), held_out_probs(logits, other, 1.0)
    assert np.array_equal(one[7], two[7])
    assert not np.array_equal(one, two)


def test_a_lone_row_is_judged_without_itself() -> None:
    """There is nobody else to fit on: the temperature of the held-out labels stays; no row, no probabilities."""
    logits, truth = belief(1, 3.0)
    assert np.array_equal(held_out_probs(logits, truth, 2.0), softmax(logits, 2.0))
    assert held_out_probs(logits[:0], truth[:0], 2.0).shape == (0, 3)
