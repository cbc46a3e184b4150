"""How much to believe each candidate: weights under which held-out human labels are likeliest.

Candidates are brought to one scale first (a temperature each), so that knowledge competes, not sureness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.calibration import fit_temperature, log_softmax, softmax

_ROUNDS = 50
_ENOUGH_ROWS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The temperature of each candidate, and its share in the mixture."""

    temperatures: NDArray[np.float64]
    shares: NDArray[np.float64]

    def apart(self, logits: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
        """Probabilities of each candidate, shape (candidates, rows, labels)."""
        return np.stack([softmax(one, float(t)) for one, t in zip(logits, self.temperatures, strict=True)])

    def mix(self, logits: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
        """Probabilities of the mixture, shape (rows, labels)."""
        return np.asarray(np.einsum("m,mij->ij", self.shares.astype(np.float32), self.apart(logits)))


def judge(
    held_out: Sequence[NDArray[np.floating]],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    believed: Sequence[float],
) -> Verdict:
    """What held-out logits of each candidate say about it; `believed`: see `mixture_weights`."""
    found = np.array([fit_temperature(logits, targets, weights) for logits in held_out])
    probs = Verdict(found, found).apart(held_out)
    return Verdict(found, mixture_weights(probs, targets, weights, np.array(believed)))


def mixture_weights(
    held_out: NDArray[np.floating],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    believed: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Shape (candidates,), sums to 1, by expectation maximisation; `held_out` is (candidates, rows, labels).

    `believed` are pseudo-labels that speak for each candidate: with few labels they decide, with hundreds not.
    """
    likely = held_out[:, np.arange(len(targets)), targets].astype(np.float64) + 1e-12
    mixed = believed / believed.sum()
    for _ in range(_ROUNDS):
        share = mixed[:, None] * likely
        share /= share.sum(axis=0)
        mixed = (share * weights).sum(axis=1) + believed
        mixed /= mixed.sum()
    return np.asarray(mixed)


def sureness(logits: NDArray[np.floating], probs: NDArray[np.floating]) -> float:
    """The temperature that brings `logits` nearest to `probs`, by cross-entropy; 2,000 rows tell it."""
    from scipy.optimize import minimize_scalar

    rows = np.unique(np.linspace(0, len(probs) - 1, _ENOUGH_ROWS).astype(np.int64))
    logits, probs = logits[rows], probs[rows]

    def loss(log_temperature: float) -> float:
        return float(-(probs * log_softmax(logits, float(np.exp(log_temperature)))).sum())

    found = minimize_scalar(
        loss, bounds=(np.log(0.1), np.log(10.0)), method="bounded", options={"xatol": 0.02}
    )
    return float(np.exp(found.x))
