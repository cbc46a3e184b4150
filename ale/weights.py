"""How much a person's label counts in a student and in a tuning, by how it came about. The one table of weights.

Labels of the audit have no weight: they measure, and train nothing. Nor has a teacher's answer: the student finds
out by cross-validation on people's labels what it is worth. A label that was given blind, one that says what was
suggested and one that says something else count alike: with annotators who let three wrong suggestions in ten
pass, making the last heavier or the second lighter cost half a point where the teacher is good, and won less
elsewhere (`python -m benchmarks label_weights`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GIVEN = 1.0
"""As it was given."""

CONFIRMED = 1.0
"""Looked at twice: kept or put right in the review, or set as ground truth. Such a label is not doubted any more;
half as much again or twice won nothing, and where no label was wrong it cost a quarter of a point or more on MR.
"""

DOUBTED = 0.3
"""The least that a label counts which the review doubts, until somebody decides; 1 less the doubt where that is
more. Never nothing: doubts fall on rare labels first, and half of them are wrong. With one label in ten wrong this
won three quarters of what a reviewer wins who looks at the doubted ones, and where none is wrong it cost nothing.
"""


def label_weights(
    confirmed: NDArray[np.bool_], doubts: NDArray[np.float64], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """A weight per label; `doubts[i]` is the chance that it is wrong, 0 where nobody doubts it.

    Labels of equal texts (of one number in `groups`, from 0) share the weight of one: what is imported often is no
    surer for it, and a few such texts outweighed all others.
    """
    weights = np.where(confirmed, CONFIRMED, np.maximum(GIVEN - doubts, DOUBTED))
    return np.asarray(weights / np.bincount(groups)[groups] if len(groups) else weights, np.float64)
