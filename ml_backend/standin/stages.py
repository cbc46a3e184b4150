"""How a job gets on: one stage each time that somebody looks, or one every so many seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


class Stages:
    """Counts the stages that a job has reached. With `seconds` 0 each look is one stage further, so that a test
    sees them all without waiting.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._start = clock()
        self._looks = 0

    def reached(self) -> int:
        """The stage by now: 0 when the job was made."""
        if self._seconds > 0:
            return int((self._clock() - self._start) / self._seconds)
        self._looks += 1
        return self._looks
