"""What a tuned encoder believes, as arrays: nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices

Logits = NDArray[np.float32]
"""Shape (texts, labels), before calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class TunedBelief:
    """`held_out` has a row per labelled row, from a tuning that never saw its text; `pool` a row per pool row.

    `steps` are those of the last tuning, `kept` the share of the planned steps that was best on held-out
    labels, `seconds` what all of it took.
    """

    held_out: Logits
    pool: Logits
    steps: int
    kept: float
    seconds: float


class Tuned(Protocol):
    """A tuned encoder with its head."""

    @property
    def belief(self) -> TunedBelief:
        """What it believes of the pool that it was tuned on."""
        ...

    def logits(self, texts: Sequence[str]) -> Logits:
        """What it believes about any texts."""
        ...


class Tuner(Protocol):
    """Makes an encoder of one pool its own. Deterministic for a seed, unless time runs out."""

    def tune(
        self,
        texts: Sequence[str],
        labelled: Indices,
        targets: NDArray[np.int64],
        *,
        labels: int,
        groups: NDArray[np.int64] | None = None,
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> Tuned:
        """`texts` are the pool; `targets[i]`, `groups[i]` and `weights[i]` belong to row `labelled[i]` of it.

        Raises NotEnoughLabels, and OutOfTime when the pool alone needs more than the time there is.
        """
        ...
