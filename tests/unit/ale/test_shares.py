"""Shares of labels, corrected for the errors of who counted: closer to the truth, with honest intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.shares import corrected_shares, shares_json

LABELS = ("a", "b", "c")
ERRS = np.array([[0.85, 0.10, 0.05], [0.02, 0.95, 0.03], [0.20, 0.10, 0.70]])
"""How often each true label (row) is given each label."""


def held_out(n: int, mix: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Calibrated beliefs about texts that are mixed so, and their true labels."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, n, p=mix)
    said = np.array([random.choice(3, p=ERRS[label]) for label in truth])
    probs = (mix[:, None] * ERRS / (mix @ ERRS)).T[said]
    return probs.astype(np.float32), truth


def counted(n: int, mix: NDArray[np.float64], seed: int) -> dict[str, int]:
    """What a corpus that is mixed so is counted as."""
    found = np.random.default_rng(seed).multinomial(n, mix @ ERRS)
    return dict(zip(LABELS, found.tolist(), strict=True))


@pytest.mark.parametrize("mix", [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], ids=["as held out", "shifted"])
def test_intervals_hold_the_truth(mix: list[float]) -> None:
    """In at least 93 % of 500 draws of 200 held-out texts at nominally 95 %, and the middle is closer than counting."""
    true = np.array(mix)
    held, closer = [], []
    for seed in range(500):
        probs, truth = held_out(200, np.array([0.5, 0.3, 0.2]), seed)
        counts = counted(100_000, true, seed)
        found = corrected_shares(counts, LABELS, probs, truth, seed)
        held += [
            found[label].low <= share <= found[label].high for label, share in zip(LABELS, mix, strict=True)
        ]
        best = np.array([found[label].corrected for label in LABELS])
        plain = np.array([found[label].counted for label in LABELS])
        closer.append(float(np.abs(best - true).sum() - np.abs(plain - true).sum()))
    assert np.mean(held) >= 0.93
    assert np.mean(closer) < 0


def test_shares_are_of_the_whole() -> None:
    """They sum to one and lie within their intervals, also where the counts fit no mixture."""
    probs, truth = held_out(300, np.array([0.4, 0.4, 0.2]), seed=1)
    found = corrected_shares({"a": 900, "b": 100}, LABELS, probs, truth)
    assert sum(share.corrected for share in found.values()) == pytest.approx(1.0)
    assert all(0 <= share.low <= share.corrected <= share.high <= 1 for share in found.values())
    assert (found["a"].counted, found["c"].counted) == (0.9, 0.0)


def test_without_knowledge_there_is_no_correction() -> None:
    """No held-out text, or nothing counted."""
    nothing = np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
    assert corrected_shares({"a": 5}, LABELS, *nothing) == {}
    assert corrected_shares({}, LABELS, *held_out(10, np.full(3, 1 / 3), 0)) == {}
    assert shares_json({}, 0) == {"held_out": 0, "labels": {}}
