"""The sets of rows that may be finished, nested from the surest to all, and in which order they are tested.

A set is what stands at or above a threshold of the confidence. Sets are fixed by the confidences alone, before any
audit label of the test is read. So is the order of the tests (fixed-sequence testing; learn then test, Angelopoulos
et al., 2021): a set is tested after the next smaller one has passed, and inherits its share of the risk. The path
may be entered at two places: small sets hold too few audit labels to prove anything, and a step that fails by
bad luck ends the path. Handing the shares on keeps the chance that any bad set passes below the whole risk
(fallback procedure; Wiens, 2003).

Where confidences were learnt from audit labels (see `selector`), the main entry is where they promise the clearest
evidence. Others only give an order: a temperature fitted on actively chosen labels may say .07 where the error is
.01, and a plain student the reverse. Then the entries are a quarter and half of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = 10  # with finer steps a path fails more often by bad luck than it gains
_MAIN = 0.8  # of the risk is for the main entry, the rest for one at half as many rows
_BLIND = 0.5  # of the rows: the main entry where the size of a confidence means nothing
_CLEAR = 0.95  # of the clearest evidence is clear enough: then the larger set is wanted


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Thresholds, falling, and the share of the risk with which the path may be entered at each; they sum to 1."""

    thresholds: NDArray[np.float64]
    entries: NDArray[np.float64]

    @property
    def shares(self) -> list[float]:
        """All shares of the risk that a set may come to be tested with, rising."""
        found = {1.0}
        for place in np.flatnonzero(self.entries):
            found |= {float(self.entries[place]), float(self.entries[: place + 1].sum())}
        return sorted(found)


def make_path(confidence: NDArray[np.floating], max_error: float | None = None) -> Path:
    """The path over rows of this confidence (NaN, no opinion, is never accepted); empty without any.

    `max_error` is given where the confidences are honest chances to be right.
    """
    known = np.sort(np.asarray(confidence, np.float64)[~np.isnan(confidence)])[::-1]
    if not len(known):
        return Path(np.zeros(0), np.zeros(0))
    shares = np.arange(1, _STEPS + 1) / _STEPS
    thresholds = np.unique(known[np.ceil(shares * len(known)).astype(np.int64) - 1])[::-1]
    sizes = np.searchsorted(-known, -thresholds, side="right")
    main = int(np.argmin(np.abs(sizes - _BLIND * len(known))))
    if max_error is not None:
        expected = np.cumsum(1.0 - known)[sizes - 1] / sizes
        # How many standard errors an audit would find the set below the limit, up to a factor.
        clearness = np.sqrt(sizes) * (max_error - expected)
        if clearness.max() > 0:
            main = int(np.flatnonzero(clearness >= _CLEAR * clearness.max())[-1])
    early = int(np.argmin(np.abs(sizes - sizes[main] / 2)))
    entries = np.zeros(len(thresholds))
    entries[early] += 1.0 - _MAIN
    entries[main] += _MAIN
    return Path(thresholds, entries)
