"""What may be luck: an interval for a share, and an exact test for two judges of the same examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `of`; `share` is NaN and the interval [0, 1] when nothing was counted."""

    hits: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.of:
            raise ValueError(f"{self.hits} hits of {self.of}")

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % score interval (Wilson, 1927): honest also for few rows and shares near 0 or 1."""
        if not self.of:
            return 0.0, 1.0
        square = _Z95**2
        middle = (self.hits + square / 2) / (self.of + square)
        spread = math.sqrt(self.hits * (self.of - self.hits) / self.of + square / 4)
        half = _Z95 / (self.of + square) * spread
        return max(0.0, middle - half), min(1.0, middle + half)


NOBODY = Rate(0, 0)
"""Nobody was asked."""


def one_sided(wins: int, losses: int) -> float:
    """The chance of at least `wins` if each of the differing examples were a fair coin; low = better indeed.

    Exact McNemar test (McNemar, 1947), which is the sign test on the examples that only one of two judges
    got right. Without a differing example it is 1.
    """
    from scipy.special import bdtrc  # here: the web process has no need of scipy

    return float(bdtrc(wins - 1, wins + losses, 0.5)) if wins > 0 else 1.0


def two_sided(first: int, second: int) -> float:
    """The same test without a direction: low = the two are not equally good."""
    return min(1.0, 2.0 * one_sided(max(first, second), min(first, second)))
