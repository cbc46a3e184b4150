"""Who of several annotators is right how often."""

from __future__ import annotations

import numpy as np

from ale.annotators import crowdlab_quality
from ale.relabel import Answers


def crowd(rows: int = 200, seed: int = 0) -> Answers:
    """Three answers per row of people who are right in 90, 85 and 45 %; the student is right in 80 %."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    right = rng.random((rows, 3)) < [0.9, 0.85, 0.45]
    said = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, 3, (rows, 3))) % 3)
    student = np.where(rng.random(rows) < 0.8, truth, (truth + 1) % 3)
    probs = (0.7 * np.eye(3)[student] + 0.1).astype(np.float32)
    at = np.repeat(np.arange(rows), 3)
    return Answers(at, np.tile([7, 8, 9], rows), said.ravel(), probs[at])


def test_the_careless_one_is_told() -> None:
    """By numbers of their own, however they are called."""
    found = crowdlab_quality(crowd())
    assert [one.annotator for one in found] == [7, 8, 9]
    assert found[2].quality < min(found[0].quality, found[1].quality)
    assert all(one.answers == one.shared == 200 and 0 <= one.quality <= 1 for one in found)


def test_without_shared_rows_there_is_nothing_to_compare() -> None:
    """Nothing, not a guess."""
    all_ = crowd()
    lone = Answers(all_.rows[::3], all_.annotators[::3], all_.targets[::3], all_.held_out[::3])
    assert crowdlab_quality(lone) == []
