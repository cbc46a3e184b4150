"""Audit labels in the benchmark: drawn before, never trained on, and what they do to confidences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.benchmark.curves import curve, methods
from ale.benchmark.points import Outcome, Point, draw_audit, measure
from ale.calibration import softmax
from ale.metrics import ece
from ale.reliability import ece_by_luck, reliability
from ale.simulate import rounds
from ale.strategies import resolve_strategy
from ale.students import LinearStudent
from tests.unit.ale.test_benchmark import arrays


def honest(rows: int, labels: int = 4) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and truths drawn from their probabilities: a student that is right as often as it says."""
    rng = np.random.default_rng(4)
    logits = rng.normal(scale=2.0, size=(rows, labels))
    probs = softmax(logits).astype(np.float64)
    return logits, np.array([rng.choice(labels, p=row / row.sum()) for row in probs])


def outcome(sure: float, audit: int) -> Point:
    """The point of an honest student whose logits are blown up by `sure`, with that many audit labels."""
    logits, truth = honest(4_000 + audit)
    seen = Outcome(50, sure * logits[audit:], sure * logits[:audit], 1.0, 0.1, 0.2)
    return measure("m", 0, seen, truth[audit:], truth[:audit])


def test_the_audit_is_drawn_by_seed_and_holds_back_equal_texts() -> None:
    """The same for a seed, another for another; a pool row with an audited text may not be asked either."""
    groups = np.repeat(np.arange(100), 2)
    drawn = draw_audit(10, groups, seed=1)
    assert len(set(drawn.rows)) == 10
    assert np.array_equal(drawn.rows, draw_audit(10, groups, seed=1).rows)
    assert not np.array_equal(drawn.rows, draw_audit(10, groups, seed=2).rows)
    assert set(groups[drawn.reserved]) == set(groups[drawn.rows])
    assert drawn.reserved.sum() == 2 * len(set(groups[drawn.rows]))
    assert not draw_audit(0, groups, seed=1).reserved.any()


@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_reserved_rows_are_never_asked_for(strategy: str) -> None:
    """Nor a row twice, up to the last one that is free."""
    given = arrays(60)
    reserved = np.arange(60) % 3 == 0
    *_, last = rounds(
        given.pool, given.gold, given.labels, stops=[10, 40], strategy=resolve_strategy(strategy),
        student=LinearStudent, reserved=reserved,
    )  # fmt: skip
    assert sorted(last.labelled) == np.flatnonzero(~reserved).tolist()


def test_bins_are_those_of_the_ece() -> None:
    """Their weighted mean gap is the ECE; their confidences rise."""
    logits, truth = honest(503)
    bins = reliability(softmax(2 * logits), truth)
    gaps = [n * abs(c - a) for c, a, n in zip(bins.confidence, bins.accuracy, bins.rows, strict=True)]
    assert sum(gaps) / 503 == pytest.approx(ece(softmax(2 * logits), truth))
    assert list(bins.confidence) == sorted(bins.confidence)
    assert sum(bins.rows) == 503


@pytest.mark.parametrize("rows", [300, 3_000])
def test_luck_is_the_ece_of_an_honest_student(rows: int) -> None:
    """It agrees with the mean ECE over many honest test splits, and shrinks with the root of their size."""
    logits, _ = honest(rows)
    probs = softmax(logits)
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(60):
        truth = (probs.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=probs.shape[1] - 1)
        drawn.append(ece(probs, truth))
    assert ece_by_luck(probs, np.random.default_rng(0)) == pytest.approx(np.mean(drawn), rel=0.1)
    ten_times = ece_by_luck(np.repeat(probs, 10, axis=0), np.random.default_rng(0))
    assert ten_times == pytest.approx(np.mean(drawn) / np.sqrt(10), rel=0.15)


def test_audit_labels_calibrate() -> None:
    """Logits three times too large show on the test split; a temperature from 500 audit labels mends it."""
    point = outcome(sure=3.0, audit=500)
    assert point.audit is not None
    assert point.ece > 0.15
    assert point.audit.ece < 0.05
    assert point.audit.low < point.accuracy < point.audit.high
    assert point.ece_by_luck < point.audit.ece_by_luck < 0.03
    assert outcome(sure=3.0, audit=0).audit is None


def test_a_curve_with_an_audit_is_whole() -> None:
    """Every budget has its point with the audit's figures; without an audit there are none."""
    given = arrays(120)
    method = methods([], ["linear"], teacher=True)[0]
    audited = list(curve(given, method, 0, [10, 60], 25, audit=50))
    assert [p.labels for p in audited] == [0, 10, 60]
    assert all(p.audit is not None and 0 <= p.audit.ece <= 1 for p in audited)
    assert all(p.audit is None for p in curve(given, method, 0, [10], 25))
