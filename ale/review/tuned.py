"""A witness that reads the texts better: an encoder tuned on the given labels, each text judged by a tuning without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ale.calibration import fit_temperature, softmax
from ale.errors import NotEnoughLabels
from ale.review.labelled import Labelled
from ale.tuning.belief import CrossTuner
from ale.tuning.plan import Plan

# As long as it pays: errors that a model made are seldom plain, and a minute more is little beside a person's work.
PLAN = Plan(seconds=3_600.0, most_steps=540, balance=0.0)


def with_tuned(data: Labelled, tuner: CrossTuner) -> Labelled:
    """The same labels with the tuned encoder's held-out beliefs as evidence; with a note where nothing can be tuned.

    Deterministic, unless time runs out.
    """
    try:
        logits = tuner.held_out(data.texts, data.given, labels=len(data.space), groups=data.evidence.groups)
    except NotEnoughLabels as error:
        return replace(data, notes=(*data.notes, f"no encoder was tuned: {error}"))
    held_out = softmax(logits, fit_temperature(logits, data.given)).astype(np.float32)
    return replace(data, evidence=replace(data.evidence, held_out=held_out))
