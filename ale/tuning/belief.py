"""What a tuned encoder believes, as arrays: nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices

Logits = NDArray[np.float32]
"""Shape (texts, labels), before calibration."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class TunedBelief:
    """`held_out` has a row per labelled row, from a tuning that never saw its text; `pool` a row per pool row.

    A row of NaN is about a text that no tuning has read. `steps` are those of the last tuning, `kept` the share
    of the planned steps that was best on held-out labels, `seconds` what all of it took; `cut` says that time
    ran out, so that the last tuning is shorter than planned.
    """

    held_out: Logits
    pool: Logits
    steps: int
    kept: float
    seconds: float
    cut: bool = False


class Reading(Protocol):
    """A tuned encoder with its head."""

    def logits(self, texts: Sequence[str]) -> Logits:
        """What it believes about any texts."""
        ...


class Tuned(Reading, Protocol):
    """One that was tuned just now."""

    @property
    def belief(self) -> TunedBelief:
        """What it believes of the pool that it was tuned on."""
        ...

    def arrays(self) -> Arrays:
        """The weights that a tuning has changed, from which `Tuner.restored` makes it again."""
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

    def restored(self, arrays: Arrays) -> Reading:
        """The tuned encoder of these weights; raises CheckpointError where they are not such a one's."""
        ...


class CrossTuner(Protocol):
    """Judges texts by tunings that have not seen them."""

    def held_out(
        self,
        texts: Sequence[str],
        targets: NDArray[np.int64],
        *,
        labels: int,
        groups: NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> Logits:
        """What tunings without it believe of each of these texts, all of which have a label; no more is tuned.

        Raises NotEnoughLabels.
        """
        ...
