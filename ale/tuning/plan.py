"""How the encoder is tuned, and how long at most."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]

STUDENT = "transformer"
"""Name of the student that a tuning is made for; here, so that asking for it does not load any student."""

LEAST_LABELS = 24
"""Below that a fold holds a handful of texts, and nothing is known of how good the tuning is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` caps everything: the tunings and the pass over the pool. The rest was chosen on inner splits.

    `balance` is between 0, texts are drawn as often as they are labelled so, and 1, every label as often.
    """

    seconds: float = 170.0
    folds: int = 3
    batch: int = 32
    epochs: float = 12.0
    least_steps: int = 40
    most_steps: int = 240
    rate: float = 3e-4
    head_rate: float = 2e-3
    balance: float = 0.5
    decay: float = 0.01
    tokens: int = 128

    def steps(self, labelled: int) -> int:
        """Steps of a tuning on so many labelled texts."""
        wanted = math.ceil(self.epochs * labelled / self.batch)
        return min(max(wanted, self.least_steps), self.most_steps)


class Countdown:
    """Seconds that are left of a cap."""

    def __init__(self, seconds: float, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._start = clock()
        self._end = self._start + seconds

    @property
    def left(self) -> float:
        """Negative when it is over."""
        return self._end - self._clock()

    @property
    def used(self) -> float:
        """Since it began."""
        return self._clock() - self._start

    def part(self, share: float, reserve: float = 0.0) -> Countdown:
        """A countdown for a share of what is left after a reserve."""
        return Countdown(max(0.0, share * (self.left - reserve)), self._clock)
