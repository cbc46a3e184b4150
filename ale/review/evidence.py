"""What there is to judge given labels by: held-out beliefs, similar texts, teachers, other annotators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings, Probs

Refit = Callable[[NDArray[np.float64]], Probs]
"""Held-out probabilities of the same rows from a fit with these row weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Arrays over the labelled rows. `held_out` are calibrated probabilities that did not see the row, if any.

    `teacher` rows are NaN where it abstained; `more_teachers` are others like it. `refit` allows the second
    pass of `held_out`. `texts` add a view of their words. `annotators[i]` numbers who gave label i, from 0;
    with `groups` (equal for equal texts) the labels of others for the same text are heard too.
    """

    held_out: Probs | None
    targets: NDArray[np.int64]
    features: Embeddings
    groups: NDArray[np.int64] | None = None
    teacher: Probs | None = None
    refit: Refit | None = None
    more_teachers: Sequence[Probs] = ()
    texts: Sequence[str] | None = None
    annotators: NDArray[np.int64] | None = None

    @property
    def teachers(self) -> list[Probs]:
        """All of them, the first one first."""
        return [*([] if self.teacher is None else [self.teacher]), *self.more_teachers]

    @property
    def unheard(self) -> list[Probs]:
        """Teachers whose word is to be weighed. A student learns with the first one: it is not heard twice."""
        return self.teachers if self.held_out is None else list(self.more_teachers)
