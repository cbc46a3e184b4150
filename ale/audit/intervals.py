"""How good a student or a teacher is, by audit labels alone: a share with its intervals.

An audit is a random draw, so plain binomial intervals hold for it; on actively chosen labels none would.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betaincinv

from ale.chance import Rate


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A judge against audit labels. `answered` leaves skipped audits out: nobody knows the truth there."""

    answered: Rate
    skipped: int

    @property
    def counted(self) -> Rate:
        """All audits, a skipped one as an error: what a promise may count on."""
        return Rate(self.answered.hits, self.answered.of + self.skipped)

    def at_least(self, confidence: float = 0.95) -> float:
        """The accuracy that is surpassed with this confidence, skipped audits as errors, for one look."""
        return clopper_pearson(self.counted, 1.0 - 2.0 * (1.0 - confidence))[0]


def clopper_pearson(rate: Rate, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval (Clopper and Pearson, 1934): never too short, whatever the share."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    tail = (1.0 - confidence) / 2
    hits, missed = rate.hits, rate.of - rate.hits
    low = float(betaincinv(hits, missed + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, missed, 1.0 - tail)) if missed else 1.0
    return low, high
