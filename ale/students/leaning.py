"""Softmax regression that leans on given opinions and learns how far to believe each.

logits_i = z_i W + b + sum_m a_m O_mi.  Minimises  sum_i w_i CE(t_i, .) + l2/2 |W|^2 + weak/2 |b|^2
+ firmness/2 |a - a0|^2, with a >= 0: an opinion is believed or not, never turned round.
With one opinion and a0 = 1 it is ridge regression centred on that opinion: with few labels the opinion rules,
with many the labels do. The scales a need no more than a few dozen labels to tell a good opinion from a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ale.calibration import softmax
from ale.types import Embeddings, Indices

Opinions = NDArray[np.float32]
"""Shape (opinions, rows, labels): what each of them would add to the logits."""

INTERCEPT_L2 = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Leaning:
    """`weights` is (columns + 1, labels), the last row the intercept; `scales` has one number per opinion."""

    weights: NDArray[np.float32]
    scales: NDArray[np.float64]

    def logits(self, rows: Embeddings, opinions: Opinions) -> NDArray[np.float32]:
        """Shape (rows, labels)."""
        out = rows @ self.weights[:-1]
        out += self.weights[-1]
        for scale, opinion in zip(self.scales, opinions, strict=True):
            out += np.float32(scale) * opinion
        return np.asarray(out, np.float32)


def fit_leaning(
    rows: Embeddings,
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
    *,
    l2: float,
    opinions: Opinions | None = None,
    expected: NDArray[np.float64] | None = None,
    intercept_l2: float = INTERCEPT_L2,
    rounds: int = 60,
    tolerance: float = 1e-5,
    firmness: float = 1.0,
) -> Leaning:
    """The fit of least loss; `expected` is a0. Deterministic.

    An opinion that it would turn round is left out, and the rest fitted anew: scipy's own bounds are checked
    weight by weight in Python, which took a third of the time with 77 labels.
    """
    told = np.zeros((0, *targets.shape), np.float32) if opinions is None else opinions
    centre = np.zeros(len(told)) if expected is None else expected
    heard: Indices = np.arange(len(told))
    while True:
        scales = np.zeros(len(told))
        w, scales[heard] = _fit(
            rows,
            targets,
            weights,
            l2,
            told[heard] if len(heard) < len(told) else told,
            centre[heard],
            intercept_l2,
            rounds,
            tolerance,
            firmness,
        )
        if (scales >= 0).all():
            return Leaning(w, scales)
        heard = np.flatnonzero(scales > 0)


def _fit(
    rows: Embeddings,
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
    l2: float,
    told: Opinions,
    centre: NDArray[np.float64],
    intercept_l2: float,
    rounds: int,
    tolerance: float,
    firmness: float,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Weights and scales of least loss, the scales of either sign.

    Columns are scaled by their likely curvature first: on principal components that is nearly a Newton step,
    and halves the rounds.
    """
    _, k = rows.shape
    labels = targets.shape[1]
    weight = weights.astype(np.float32)[:, None]
    curvature = (labels - 1) / labels**2
    spread = np.einsum("ij,ij->j", rows * weight, rows).astype(np.float64)
    unit = np.empty((k + 1, 1))
    unit[:-1, 0] = 1 / np.sqrt(l2 + curvature * spread)
    unit[-1] = 1 / np.sqrt(intercept_l2 + curvature * float(weight.sum()))
    penalty = np.full((k + 1, 1), l2)
    penalty[-1] = intercept_l2
    size = (k + 1) * labels
    ease = 1 / np.sqrt(firmness + _pull(told, centre, weights))

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = flat[:size].reshape(k + 1, labels) * unit
        scales = flat[size:] * ease
        single = w.astype(np.float32)
        logits = rows @ single[:-1]
        logits += single[-1]
        for scale, opinion in zip(scales, told, strict=True):
            logits += np.float32(scale) * opinion
        logits -= logits.max(axis=1, keepdims=True)
        chosen = np.einsum("ij,ij->i", targets, logits)
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        value = float((weight[:, 0] * (np.log(total[:, 0]) - chosen)).sum(dtype=np.float64))
        value += 0.5 * float((penalty * w * w).sum()) + 0.5 * firmness * float(((scales - centre) ** 2).sum())
        logits /= total
        logits -= targets
        logits *= weight
        gradient = penalty * w
        gradient[:-1] += rows.T @ logits
        gradient[-1] += logits.sum(axis=0, dtype=np.float64)
        pull = [float(np.vdot(logits, opinion)) for opinion in told]
        return value, np.concatenate(
            [(gradient * unit).ravel(), (np.array(pull) + firmness * (scales - centre)) * ease]
        )

    first = np.concatenate([np.zeros(size), centre / ease])
    found = minimize(
        loss,
        first,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": rounds, "ftol": tolerance, "gtol": 1e-4, "maxcor": 6},
    )
    w = found.x[:size].reshape(k + 1, labels) * unit
    return w.astype(np.float32), found.x[size:] * ease


def _pull(told: Opinions, scales: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curvature of the loss along each scale: the opinions' variance under what they say together."""
    if not len(told):
        return np.zeros(0)
    probs = softmax(np.einsum("m,mij->ij", scales, told))
    mean = np.einsum("ij,mij->mi", probs, told)
    return np.asarray((np.einsum("ij,mij->mi", probs, told**2) - mean**2) @ weights, np.float64)
