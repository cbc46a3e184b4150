"""How much is the teacher's word worth? What it has earned on the labels that people gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.types import Probs

_PSEUDO = 5.0  # rows of the overall rate that stand behind every class


def agreement(
    teacher: Probs, targets: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """Where it answered, what it said, and per class how often it agreed with people (shrunk to its mean)."""
    labels = teacher.shape[1]
    answered: NDArray[np.bool_] = np.asarray(~np.isnan(teacher).any(axis=1), bool)
    said = np.where(answered, np.nan_to_num(teacher).argmax(axis=1), -1).astype(np.int64)
    hit = answered & (said == targets)
    overall = float(hit.sum()) / max(1, int(answered.sum()))
    asked = np.bincount(targets[answered], minlength=labels)
    right = np.bincount(targets[hit], minlength=labels)
    return answered, said, np.clip((right + _PSEUDO * overall) / (asked + _PSEUDO), 1e-3, 0.98)


def with_vote(probs: NDArray[np.float64], teacher: Probs, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probabilities after hearing the teacher; rows sum to 1, silence changes nothing.

    The vote counts with a weight of half its overall agreement. In full it would count twice what a student
    that leans on the teacher knows already: with a weak zero-shot teacher that halves the precision, while
    at this weight it does no harm and a good teacher still brings most of its gain.
    """
    labels = probs.shape[1]
    answered, said, right = agreement(teacher, targets)
    if labels < 2 or not answered.any():
        return probs
    weight = 0.5 * float(np.mean(said[answered] == targets[answered]))
    rows = np.flatnonzero(answered)
    right = np.maximum(right, 1.0 / labels)  # worse than chance is no evidence for the opposite
    likelihood = np.tile((1.0 - right) / (labels - 1), (len(rows), 1))
    likelihood[np.arange(len(rows)), said[rows]] = right[said[rows]]
    heard = probs.copy()
    heard[rows] *= likelihood**weight
    return np.asarray(heard / heard.sum(axis=1, keepdims=True), np.float64)
