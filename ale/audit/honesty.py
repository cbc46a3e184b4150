"""Calibration measured on audit labels, which are the only ones that look like the pool.

The student never saw these labels, so one temperature may be fitted on them. What it achieves is measured on
audit rows that it was not fitted on. The measure itself flatters nobody: with few rows even a perfect model seems
a little miscalibrated, and by how much is said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.calibration import fit_temperature, softmax
from ale.metrics import ece
from ale.types import Probs

FEWEST = 50
"""Audit rows from which a temperature of their own is better than the one of the out-of-fold logits."""

_FOLDS = 5
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Honesty:
    """The calibration error over `rows` audit rows, and what a perfectly calibrated model would show there.

    `by_chance` is the mean of the latter, `at_most` its 95th percentile: an `ece` below it shows no fault.
    """

    rows: int
    ece: float
    by_chance: float
    at_most: float

    @property
    def excess(self) -> float:
        """The calibration error that chance does not explain, not below 0."""
        return max(0.0, self.ece - self.by_chance)


def measure_honesty(probs: Probs, truth: NDArray[np.integer], seed: int = 0) -> Honesty:
    """The calibration error of `probs`, beside that of the same probabilities were they perfect.

    For the latter the truth is drawn from the probabilities themselves, many times.
    """
    if not len(truth):
        nothing = float("nan")
        return Honesty(0, nothing, nothing, nothing)
    rng = np.random.default_rng(seed)
    # ece reads of the truth only whether the likeliest label is it.
    confidence, said = probs.max(axis=1), probs.argmax(axis=1)
    drawn = [ece(probs, np.where(rng.random(len(said)) < confidence, said, said - 1)) for _ in range(_DRAWS)]
    return Honesty(len(truth), ece(probs, truth), float(np.mean(drawn)), float(np.quantile(drawn, 0.95)))


def fit_on_audit(logits: NDArray[np.floating], truth: NDArray[np.integer]) -> float | None:
    """The temperature of the audit rows; None while there are too few of them."""
    return fit_temperature(logits, truth) if len(truth) >= FEWEST else None


def held_out_probs(logits: NDArray[np.floating], truth: NDArray[np.integer], seed: int = 0) -> Probs:
    """Each audit row's probabilities at the temperature of the other folds: fit to be measured."""
    fold = np.random.default_rng(seed).permutation(len(truth)) % _FOLDS
    probs: Probs = np.zeros(logits.shape, np.float32)
    for held_out in np.unique(fold):
        mine = fold == held_out
        probs[mine] = softmax(logits[mine], fit_temperature(logits[~mine], truth[~mine]))
    return probs
