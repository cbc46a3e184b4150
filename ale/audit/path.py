"""The sets of rows that may be finished, nested from the surest to all, and in which order they are tested.

A set is what stands at or above a threshold of the confidence. Sets are fixed by the confidences alone, before any
audit label is read. So is the order of the tests (fixed-sequence testing; learn then test, Angelopoulos et al.,
2021): a set is tested after the next smaller one has passed, and inherits its share of the risk; at two sets the
path may be entered. The main entry is where the confidences themselves promise the clearest evidence; the
early one, half as large, is for models that are less good than they believe. Handing the shares on keeps the
chance that any bad set passes below the whole risk (fallback procedure; Wiens, 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = 20  # finer steps fail more often by bad luck than they gain
_EARLY = 0.3  # of the risk
_CLEAR = 0.9  # of the clearest evidence is clear enough: then the larger set is wanted
_FLATTERY = 0.25  # of the limit: confidences near 1 promise too much, and labels have errors of their own


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


def make_path(confidence: NDArray[np.floating], max_error: float) -> Path:
    """The path over rows of this confidence (NaN, no opinion, is never accepted); empty without any."""
    known = np.sort(np.asarray(confidence, np.float64)[~np.isnan(confidence)])[::-1]
    if not len(known):
        return Path(np.zeros(0), np.zeros(0))
    shares = np.arange(1, _STEPS + 1) / _STEPS
    thresholds = np.unique(known[np.ceil(shares * len(known)).astype(np.int64) - 1])[::-1]
    sizes = np.searchsorted(-known, -thresholds, side="right")
    expected = np.cumsum(1.0 - known)[sizes - 1] / sizes
    # How many standard errors an audit would tell the set's expected error from the limit: up to a factor this.
    clearness = np.sqrt(sizes / len(known)) * ((1.0 - _FLATTERY) * max_error - expected)
    main = int(np.flatnonzero(clearness >= _CLEAR * clearness.max())[-1]) if clearness.max() > 0 else 0
    early = int(np.argmin(np.abs(sizes - sizes[main] / 2)))
    entries = np.zeros(len(thresholds))
    entries[early] += _EARLY
    entries[main] += 1.0 - _EARLY
    return Path(thresholds, entries)
