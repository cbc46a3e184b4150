"""What there is to judge human labels by: held-out beliefs, neighbours, the teacher's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings, Probs

Refit = Callable[[NDArray[np.float64]], Probs]
"""Held-out probabilities of the same rows from a fit with these row weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Arrays over the labelled rows. `held_out` are calibrated probabilities that did not see the row.

    `teacher` rows are NaN where it abstained. `refit` allows the second pass.
    """

    held_out: Probs
    targets: NDArray[np.int64]
    features: Embeddings
    groups: NDArray[np.int64] | None = None
    teacher: Probs | None = None
    refit: Refit | None = None
