"""Which suggestions are surest: learnt from the first audit labels, which then prove nothing any more.

A student's confidence is fitted to labels that were chosen for being hard, and it does not know that a teacher errs
more often on one label than on another. A logistic regression of "the suggestion is right" on a handful of signs
mends both, and its numbers are honest for the pool, so that it is known beforehand where a finish has a chance. The
labels that it learnt from are taken out of the pool and out of every test (`fitted` in `finish.select`): the audit
that follows is as random for the rest of the pool as before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices, Probs, Scores

FITTED = 150
"""The first audit labels that the selector learns from: fewer rank badly, more are missed in the test."""

_RIDGE = 3.0
_ROUNDS = 30


def signs(probs: Probs, teacher: Probs | None = None, others: Sequence[Probs] = ()) -> NDArray[np.float64]:
    """What speaks for each row's likeliest label: shape (rows, signs), in standard units.

    By how much the student, and each of `others`, prefers the label; whether the teacher says so too, or is
    silent; and which label it is. `probs` must have no NaN; `teacher` and `others` may, where they are silent.
    """
    said = probs.argmax(axis=1)
    columns = [_preference(one, said) for one in (probs, *others)]
    if teacher is not None:
        silent = np.isnan(teacher).any(axis=1)
        agreed = ~silent & (np.nan_to_num(teacher).argmax(axis=1) == said)
        columns += [agreed.astype(np.float64), np.asarray(silent, np.float64)]
    columns += [(said == label).astype(np.float64) for label in range(probs.shape[1])]
    table = np.stack(columns, axis=1)
    spread = table.std(axis=0)
    return np.asarray((table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def sureness(table: NDArray[np.float64], rows: Indices, right: NDArray[np.bool_]) -> Scores:
    """The chance that each row's suggestion is right, in (0, 1), learnt from `rows`."""
    if len(rows) != len(right):
        raise ValueError(f"{len(rows)} rows, {len(right)} verdicts")
    x = np.column_stack([np.ones(len(table)), table])
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[0] = 1e-3  # enough for a solution when all are right
    weights: NDArray[np.float64] = np.zeros(x.shape[1])
    seen, truth = x[rows], right.astype(np.float64)
    for _ in range(_ROUNDS):  # Newton's method; a convex problem in a few dimensions
        chance = _sigmoid(seen @ weights)
        slope = seen.T @ (chance - truth) + ridge * weights
        curve = (seen * (chance * (1 - chance))[:, None]).T @ seen + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        weights = weights - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break
    return _sigmoid(x @ weights)


def _preference(probs: Probs, said: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log-odds of the label that was said; 0 where there is no opinion."""
    chance = probs[np.arange(len(probs)), said].astype(np.float64)
    chance = np.clip(np.where(np.isnan(chance), 0.5, chance), 1e-4, 1 - 1e-4)
    return np.asarray(np.log(chance / (1 - chance)))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -500, 500))))
