"""What the first verdicts say about the rest: how surely a doubt is right, and where errors gather.

A reviewer's verdicts on the worst labels are a sample of the flags, not of the data. They correct the scores by a
small logistic regression that stays close to "as it was" until verdicts say otherwise: the score itself, the given
label (some labels are wrong more often), the witnesses, and the region of the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ale.review.odds import chances, log_odds
from ale.types import Embeddings

MIN_VERDICTS = 5
_SLOPE_L2, _SHIFT_L2, _LABEL_L2, _SAID_L2, _REGION_L2 = 20.0, 0.1, 0.5, 2.0, 4.0
_DIRECTIONS = 30
_EDGE = 1e-9
_SUREST = 3.0
LEAST_SLOPE = -0.9  # added to 1: a doubt never counts against itself


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """`rows` that a person looked at, and whether the given label was `wrong`."""

    rows: NDArray[np.int64]
    wrong: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)


NO_VERDICTS = Verdicts(np.zeros(0, np.int64), np.zeros(0, bool))


def steer(
    scores: NDArray[np.float64],
    given: NDArray[np.int64],
    features: Embeddings,
    disagree: NDArray[np.float64],
    verdicts: Verdicts,
) -> NDArray[np.float64]:
    """The scores after the verdicts, in [0, 1]; reviewed rows are 1 (wrong) or 0 (right).

    `disagree`, shape (rows, witnesses), is 1 where that witness contradicts the given label.
    """
    out = scores.copy()
    if len(verdicts) >= MIN_VERDICTS:
        odds = log_odds(scores)
        # No score is surer than this for the fit: one right label among the surest would else clear all others.
        bounded = np.clip(odds, -_SUREST, _SUREST)
        columns, strengths = columns_of(bounded, given, features, disagree)
        found = fit_correction(bounded, columns, strengths, verdicts)
        out = chances(odds + columns @ found)
    out[verdicts.rows] = verdicts.wrong.astype(np.float64)
    return out


def cut_for(scores: NDArray[np.float64], likely: NDArray[np.float64], precision: float) -> float:
    """The cut above which the flags are expected to be right at this rate; 1 when there is none.

    Flags are taken from the top score while the mean of `likely`, the chances of being wrong, stays at the precision.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    mean = np.cumsum(likely[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(mean >= precision)
    if not len(enough):
        return 1.0
    last = int(enough[-1])
    return float(np.nextafter(ordered[last], 0.0))


def columns_of(
    odds: NDArray[np.float64],
    given: NDArray[np.int64],
    features: Embeddings,
    disagree: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What may correct the odds, a row each (slope, shift, labels, witnesses, regions), and how strongly each column is
    held at no correction.
    """
    labels = np.eye(int(given.max(initial=0)) + 1)[given]
    region = _regions(features)
    parts = [
        odds[:, None],
        np.ones((len(odds), 1)),
        labels - labels.mean(axis=0),
        disagree - disagree.mean(axis=0),
        region,
    ]
    strengths = (_SLOPE_L2, _SHIFT_L2, _LABEL_L2, _SAID_L2, _REGION_L2)
    return np.hstack(parts), np.concatenate(
        [np.full(part.shape[1], s) for part, s in zip(parts, strengths, strict=True)]
    )


def _regions(features: Embeddings) -> NDArray[np.float64]:
    """Where each text lies along the directions in which texts differ most; of length 1 on average."""
    rows, dimensions = features.shape
    wide = features.astype(np.float64)
    if rows < dimensions:  # the smaller of the two products
        values, left = np.linalg.eigh(wide @ wide.T)
        along = left * np.sqrt(np.maximum(values, 0.0))
    else:
        along = wide @ np.linalg.eigh(wide.T @ wide)[1]
    along = along[:, ::-1][:, :_DIRECTIONS]
    return np.asarray(along / max(float(np.sqrt((along**2).sum(axis=1).mean())), _EDGE))


def fit_correction(
    odds: NDArray[np.float64],
    columns: NDArray[np.float64],
    strengths: NDArray[np.float64],
    verdicts: Verdicts,
) -> NDArray[np.float64]:
    """A weight per column, to be added to the odds; all 0 = as it was."""
    rows = verdicts.rows
    x = columns[rows]
    truth = verdicts.wrong.astype(np.float64)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = odds[rows] + x @ w
        gap = chances(z) - truth
        value = float(np.sum(np.logaddexp(0.0, z) - truth * z) + 0.5 * (strengths * w * w).sum())
        return value, x.T @ gap + strengths * w

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    found[0] = max(found[0], LEAST_SLOPE)
    return np.asarray(found, np.float64)
