"""Making probabilities honest with a single number: a temperature (Guo et al., 2017).

Fitted on out-of-fold logits it needs no holdout, and one parameter cannot overfit a few dozen labels.
On actively chosen labels it errs to the careful side: those labels are harder than the pool.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 0.05, 20.0


def log_softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Row-wise log of `softmax`, safe for any finite logits."""
    scaled = np.asarray(logits, np.float64) / temperature
    if scaled.shape[1] == 0:
        return scaled
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities of shape (rows, labels); a higher temperature is less sure, the likeliest label stays."""
    return np.exp(log_softmax(logits, temperature)).astype(np.float32)


def fit_temperature(
    logits: NDArray[np.floating],
    targets: NDArray[np.integer],
    weights: NDArray[np.floating] | None = None,
    *,
    near: float = 1.0,
    firmness: float = 1.0,
) -> float:
    """The temperature in [0.05, 20] of the highest likelihood on held-out logits; `near` without rows.

    So many pseudo-labels (`firmness`) hold it near the one expected: three labels that happen to be right do not
    mean certainty.
    """
    if len(targets) == 0 or logits.shape[1] < 2:
        return near
    rows = np.arange(len(targets))
    weight = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)

    # Imported here: the web process, which applies temperatures and fits none, does without scipy.
    from scipy.optimize import minimize_scalar

    expected = float(np.log(near))

    def loss(log_temperature: float) -> float:
        held_out = log_softmax(logits, float(np.exp(log_temperature)))[rows, targets]
        return float(-(weight * held_out).sum() + firmness * (log_temperature - expected) ** 2)

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))
