"""Whether this ALE tunes an encoder at all, and whether it can."""

from __future__ import annotations

import os

from ale.io.tuner import MiniLMTuner, check_tuning
from ale.tuning.belief import Tuner
from ale.tuning.plan import STUDENT, Plan
from ml_backend.settings import Settings


def tunes(settings: Settings) -> bool:
    """Whether an encoder is tuned, and its tunings are used."""
    return settings.student == STUDENT and settings.tune_s > 0


def check_student(settings: Settings) -> None:
    """Raises MissingExtra or CheckpointError where ALE_STUDENT asks for what this installation cannot do."""
    if tunes(settings):
        check_tuning()


def make_tuner(settings: Settings) -> Tuner:
    """The tuner of the settings; torch waits for the first tuning.

    On half of the processors: threads of one product wait for each other, and where the loop takes the processor
    of one, the others stand still (seen on two loaded cores: minutes for a step of a second).
    """
    return MiniLMTuner(Plan(seconds=settings.tune_s), threads=max(1, min(4, (os.cpu_count() or 1) // 2)))
