"""Multinomial logistic regression with soft targets, row weights and a prior to lean on.

Minimises  sum_i w_i CE(t_i, softmax(x_i W + b)) + l2/2 |W - W0|^2 + weak/2 |b - b0|^2  with L-BFGS.
With W0 = 0 it is the usual ridge; with W0 = the student of the teacher, human labels correct the teacher
only where they have something to say ("regularized self-training").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ale.types import Embeddings

Weights = NDArray[np.float32]
"""Shape (dimensions + 1, labels); the last row is the intercept."""

_INTERCEPT_L2 = 0.01  # weak, but enough to keep a label without any row from running to minus infinity


def apply(features: Embeddings, weights: Weights) -> NDArray[np.float64]:
    """Logits of shape (rows, labels)."""
    return np.asarray(features @ weights[:-1] + weights[-1], np.float64)


def one_hot(targets: NDArray[np.int64], labels: int) -> NDArray[np.float32]:
    """Shape (rows, labels): hard labels as distributions."""
    return np.eye(labels, dtype=np.float32)[targets]


def fit_softmax(
    features: Embeddings,
    targets: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
    *,
    l2: float,
    prior: Weights | None = None,
    start: Weights | None = None,
    rounds: int = 100,
) -> Weights:
    """The weights of least loss; `targets` is (rows, labels), rows sum to 1, `start` only saves time.

    Products are float32 (the data's precision), L-BFGS itself runs in float64. Deterministic.
    """
    n, d = features.shape
    labels = targets.shape[1]
    shape = (d + 1, labels)
    centre = np.zeros(shape, np.float64) if prior is None else prior.astype(np.float64)
    first = centre if start is None else start.astype(np.float64)
    row_weight = np.ones((n, 1), np.float32) if weights is None else weights.astype(np.float32)[:, None]
    soft = targets.astype(np.float32)
    penalty = np.full((d + 1, 1), l2)
    penalty[-1] = _INTERCEPT_L2

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = flat.reshape(shape)
        logits = features @ w[:-1].astype(np.float32) + w[-1].astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        expd = np.exp(logits)
        total = expd.sum(axis=1, keepdims=True)
        log_probs = logits - np.log(total)
        away = w - centre
        value = -float((row_weight * soft * log_probs).sum(dtype=np.float64))
        value += 0.5 * float((penalty * away * away).sum())
        residual = row_weight * (expd / total - soft)
        gradient = penalty * away
        gradient[:-1] += features.T @ residual
        gradient[-1] += residual.sum(axis=0, dtype=np.float64)
        return value, gradient.ravel()

    # The tolerance is relative to the loss: below it float32 sums are noise.
    found = minimize(
        loss,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": rounds, "ftol": 1e-6, "gtol": 1e-4},
    )
    return np.asarray(found.x.reshape(shape), np.float32)
