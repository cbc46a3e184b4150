"""What people decided about earlier doubts corrects today's: which labels to flag, and how many wrong ones are left.

A decision is about a label that may stand no longer: it was fixed. What is known of it is how surely it was wrong
then. By all decisions a logistic regression learns how far such a doubt is to be trusted, by label and region, as
`ale.review.steering` does for a file. It starts from what doubts are worth where labels are asked for because they
are hard, and stays close to that until decisions say otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.odds import chances, log_odds
from ale.review.steering import (
    LEAST_SLOPE,
    MIN_VERDICTS,
    Verdicts,
    columns_of,
    fit_correction,
)
from ale.types import Embeddings

# How strongly slope and shift are held at the usual worth. For the order and the flags: a loose slope lets labels and
# regions decide, and finds fewer errors. For the range: projects differ in both, and only the worst are decided on.
_CAREFUL, _OPEN = (20.0, 2.0), (4.0, 1.0)
_DRAWS, _TAIL = 400, 0.025


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Side by side: the texts' `features`, labels that were doubted, how surely, and whether they were `wrong`."""

    features: Embeddings
    given: NDArray[np.int64]
    doubts: NDArray[np.float64]
    wrong: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.given)


@dataclass(frozen=True, slots=True)
class Worth:
    """What doubts are worth before anybody has decided anything: log odds are `slope` times those, plus `shift`."""

    slope: float
    shift: float

    def odds(self, doubts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log odds that the label is wrong."""
        return self.slope * log_odds(doubts) + self.shift


@dataclass(frozen=True, slots=True)
class Remaining:
    """How many of the labels that nobody has reviewed are wrong, and between which numbers that may lie.

    The range is one of 95 % if doubts of this project differ from the usual ones as those of others did: nobody has
    looked at what is not doubted. `low` and `high` are None before there are decisions.
    """

    expected: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """`chances` in [0, 1] that each given label is wrong. `draws` are corrections that the decisions allow, shape
    (draws, columns): a weight for each of `columns`, to be added to `odds`; None before there are enough decisions.
    """

    chances: NDArray[np.float64]
    odds: NDArray[np.float64]
    columns: NDArray[np.float64]
    draws: NDArray[np.float64] | None

    @property
    def usual(self) -> NDArray[np.float64]:
        """The chances without any decision."""
        return chances(self.odds)

    def remaining(self, reviewed: NDArray[np.bool_]) -> Remaining:
        """Of the rows that are not marked as reviewed. Deterministic."""
        rest = ~reviewed
        expected = float(self.chances[rest].sum())
        if self.draws is None:
            return Remaining(expected)
        odds, columns = self.odds[rest], self.columns[rest]
        luck = np.random.default_rng(0).standard_normal(len(self.draws))
        many = np.zeros(len(self.draws))
        for i, draw in enumerate(self.draws):
            each = chances(odds + columns @ draw)
            many[i] = each.sum() + luck[i] * np.sqrt((each * (1.0 - each)).sum())
        low, middle, high = np.clip(np.quantile(many, [_TAIL, 0.5, 1.0 - _TAIL]), 0.0, rest.sum())
        return Remaining(float(middle), float(low), float(high))


def correct(
    doubts: NDArray[np.float64],
    given: NDArray[np.int64],
    features: Embeddings,
    decisions: Decisions | None,
    worth: Worth,
) -> Corrected:
    """The chances behind `doubts`, given what was decided, and before that by their usual `worth`. Deterministic."""
    n = len(doubts)
    odds = worth.odds(doubts)
    if decisions is None or len(decisions) < MIN_VERDICTS:
        return Corrected(chances(odds), odds, np.zeros((n, 0)), None)
    every = np.concatenate([odds, worth.odds(decisions.doubts)])
    columns, strengths = columns_of(
        every,
        np.concatenate([given, decisions.given]),
        np.concatenate([features, decisions.features]),
        np.zeros((len(every), 0)),
    )
    columns[:, 0] -= columns[n:, 0].mean()  # a shift is one of the doubts that were decided on
    verdicts = Verdicts(np.arange(n, len(every)), decisions.wrong)
    strengths[:2] = _CAREFUL
    found = fit_correction(every, columns, strengths, verdicts)
    strengths[:2] = _OPEN
    draws = _draws(every, columns, strengths, verdicts)
    return Corrected(chances(odds + columns[:n] @ found), odds, columns[:n], draws)


def _draws(
    odds: NDArray[np.float64],
    columns: NDArray[np.float64],
    strengths: NDArray[np.float64],
    verdicts: Verdicts,
) -> NDArray[np.float64]:
    """Laplace's approximation: corrections around the best one, as far from it as the decisions leave open."""
    best = fit_correction(odds, columns, strengths, verdicts)
    rows = verdicts.rows
    said = chances(odds[rows] + columns[rows] @ best)
    curvature = (columns[rows].T * (said * (1.0 - said))) @ columns[rows] + np.diag(strengths)
    normal = np.random.default_rng(1).standard_normal((len(best), _DRAWS))
    draws = best + np.linalg.solve(np.linalg.cholesky(curvature).T, normal).T
    draws[:, 0] = np.maximum(draws[:, 0], LEAST_SLOPE)
    return np.asarray(draws, np.float64)
