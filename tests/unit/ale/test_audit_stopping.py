"""The stop is said when models agree and the curve is flat, and not before; calibration is measured honestly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from ale.audit.honesty import FEWEST, fit_on_audit, held_out_probs, measure_honesty
from ale.audit.stopping import Past, cohen_kappa, expected_gain, judge
from ale.calibration import softmax

POOL = 4000
NOBODY = np.zeros(0, np.int64)


def curve(*errors: tuple[int, float], alike: bool = True) -> tuple[list[Past], NDArray[np.int64]]:
    """Models with these shares of errors after so many labels, and the truth; `alike` models share their errors."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, POOL)
    hard = rng.random(POOL)
    past = []
    for labels, share in errors:
        wrong = (hard if alike else rng.random(POOL)) < share
        past.append(Past(labels, np.where(wrong, (truth + 1) % 3, truth)))
    return past, truth


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
def test_kappa_is_cohens(rows: list[tuple[int, int]]) -> None:
    """As scikit-learn has it; two who only ever know the same answer agree."""
    one, other = (np.array(side) for side in zip(*rows, strict=True))
    if len(set(one) | set(other)) == 1:
        assert cohen_kappa(one, other) == 1.0
    else:
        assert cohen_kappa(one, other) == pytest.approx(cohen_kappa_score(one, other))


def test_a_flat_curve_of_agreeing_models_is_the_end() -> None:
    """The reason names both: agreement, and what is left to gain."""
    past, truth = curve(*((n, 0.10 + 0.5 / n) for n in range(100, 401, 50)))
    found = judge(past, np.arange(200), truth[:200])
    assert found.stop, found.reason
    assert "kappa" in found.reason
    assert "expected to gain" in found.reason


def test_models_that_still_change_go_on() -> None:
    """The same accuracy all the time, but other answers each time."""
    past, truth = curve(*((n, 0.10) for n in range(100, 401, 50)), alike=False)
    found = judge(past, np.arange(200), truth[:200])
    assert not found.stop
    assert found.kappa is not None
    assert found.kappa < 0.9
    assert "still change" in found.reason


def test_a_rising_curve_goes_on() -> None:
    """Slow and steady: neighbours agree by .99, but a hundred more labels gain more than half a point."""
    past, truth = curve(*((n, 0.30 - 0.00025 * n) for n in range(100, 501, 25)))
    found = judge(past, np.arange(2000), truth[:2000])
    assert found.kappa is not None
    assert found.kappa >= 0.99
    assert not found.stop
    assert found.gain is not None
    assert 0.005 <= found.gain.expected <= 0.03
    assert found.gain.low <= found.gain.expected <= found.gain.high


def test_a_power_law_is_continued() -> None:
    """From .30 - 2 n^-.7 at 200 to 800 labels, the next hundred gain what the law says."""
    past, truth = curve(*((n, 0.05 + 4 * n**-0.7) for n in range(200, 801, 50)))
    found = expected_gain(past, np.arange(POOL), truth)
    assert found is not None
    assert found.expected == pytest.approx(4 * (800**-0.7 - 900**-0.7), abs=0.002)


def test_nothing_is_said_without_models_or_audits() -> None:
    """Too few models, models too close together, too few audit labels: no stop, and the reason says which."""
    past, truth = curve(*((n, 0.1) for n in range(100, 401, 50)))
    assert "fewer than" in judge([], NOBODY, NOBODY).reason
    assert "fewer than" in judge(past[:3], np.arange(99), truth[:99]).reason
    close, _ = curve(*((n, 0.1) for n in range(300, 330, 5)))
    assert "25 labels apart" in judge(close, np.arange(99), truth[:99]).reason
    few = judge(past, np.arange(20), truth[:20])
    assert not few.stop
    assert "20 audit labels" in few.reason


def belief(n: int, sharpness: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and truths drawn from them; `sharpness` above 1 is too sure."""
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1.5, (n, 3))
    chance = softmax(logits).cumsum(axis=1)
    return logits * sharpness, (rng.random((n, 1)) > chance).sum(axis=1).clip(0, 2)


def test_a_perfect_model_shows_no_more_error_than_chance() -> None:
    """With 100 rows even it seems .05 off or more; the measure says that this is chance."""
    logits, truth = belief(100, 1.0)
    found = measure_honesty(softmax(logits), truth)
    assert found.by_chance > 0.05
    assert found.ece <= found.at_most
    logits, truth = belief(20_000, 1.0)
    large = measure_honesty(softmax(logits), truth)
    assert large.by_chance < 0.01
    assert large.excess < 0.01


def test_one_that_is_too_sure_is_found_out_and_mended_on_other_rows() -> None:
    """Three times too sharp: the fault is beyond chance; the temperature comes out near 3 and takes it away."""
    logits, truth = belief(400, 3.0)
    before = measure_honesty(softmax(logits), truth)
    after = measure_honesty(held_out_probs(logits, truth), truth)
    assert before.ece > before.at_most
    assert after.ece < before.ece / 2
    assert fit_on_audit(logits, truth) == pytest.approx(3.0, rel=0.25)


def test_no_row_is_measured_at_a_temperature_that_it_helped_to_fit() -> None:
    """Another truth of a row changes the probabilities of other rows, never its own."""
    logits, truth = belief(60, 1.0)
    other = truth.copy()
    other[7] = (other[7] + 1) % 3
    one, two = held_out_probs(logits, truth), held_out_probs(logits, other)
    assert np.array_equal(one[7], two[7])
    assert not np.array_equal(one, two)


def test_few_audit_rows_fit_no_temperature() -> None:
    """Below the fewest there is none; without rows nothing is measured."""
    logits, truth = belief(FEWEST, 1.0)
    assert fit_on_audit(logits, truth) is not None
    assert fit_on_audit(logits[1:], truth[1:]) is None
    assert np.isnan(measure_honesty(np.zeros((0, 3), np.float32), NOBODY).ece)
