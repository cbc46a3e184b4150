"""From which chance on a label is suspected in a project."""

from __future__ import annotations

import numpy as np
import pytest

from ale.review.channel import EXPECTED_RATE
from ale.review.issues import LEAST, PRECISION, live_cut
from ale.review.steering import MIN_VERDICTS

small_doubts = np.concatenate([np.full(100, 0.01), [0.06, 0.08, 0.1, 0.12, 0.14, 0.15]])
sure_doubts = np.concatenate([np.full(100, 0.01), np.full(20, 0.9)])


def test_before_decisions_the_five_worst_are_shown() -> None:
    """However small their doubts are, as long as they are more than those of any label beforehand."""
    cut = live_cut(small_doubts, PRECISION, MIN_VERDICTS - 1)
    assert (small_doubts > cut).sum() == MIN_VERDICTS
    assert not (EXPECTED_RATE * small_doubts > live_cut(EXPECTED_RATE * small_doubts, PRECISION, 0)).any()


@pytest.mark.parametrize("decided", [0, MIN_VERDICTS])
def test_sure_ones_are_shown_all(decided: int) -> None:
    """And carry at most as many unsure ones along as the precision allows, none below a floor."""
    cut = live_cut(sure_doubts, PRECISION, decided)
    assert (sure_doubts > cut).sum() == 20
    assert cut >= LEAST * PRECISION


def test_after_decisions_small_doubts_are_left_alone() -> None:
    """By then it is known what they are worth."""
    assert not (small_doubts > live_cut(small_doubts, PRECISION, MIN_VERDICTS)).any()
