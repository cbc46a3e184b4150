"""What the audit labels say about student and teacher: how often each is right, and how honest its confidence is.

Only these labels may: they are a random sample, and the student has learnt from none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.audit.temperature import held_out_probs
from ale.chance import NOBODY, Rate
from ale.metrics import ece
from ale.reliability import Reliability, reliability
from ale.trust import words
from ale.types import Probs

_IN_A_BIN = 20
"""Audit labels: a share of fewer could be anything."""
_MOST_BINS = 10


@dataclass(frozen=True, slots=True)
class Audit:
    """`n` tasks were labelled blind, `skipped` more were shown and got no label.

    `student` and `teacher` count right answers of those that were given: a teacher may abstain. `ece` is the
    student's calibration error, NaN without a student; lower is better. `bins` show what it is the mean of; None
    while there are too few labels for two of them.
    """

    n: int
    skipped: int
    student: Rate
    teacher: Rate
    ece: float
    bins: Reliability | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """For a run's figures; what nobody was asked about is left out."""
        found = {"n_audit": float(self.n)}
        if self.student.of:
            found |= {"audit_accuracy": self.student.share, "audit_ece": self.ece}
        if self.teacher.of:
            found["audit_teacher_accuracy"] = self.teacher.share
        return found


NOTHING_AUDITED = Audit(0, 0, NOBODY, NOBODY, float("nan"))


def measure_audit(
    targets: NDArray[np.int64],
    skipped: int,
    student: NDArray[np.float64] | None,
    *,
    out_of_fold: float,
    teacher: Probs | None,
) -> Audit:
    """`student` are logits and `teacher` probabilities (NaN rows abstain) of the audited rows; None = nobody.

    The student's temperature was set by these very labels: each is judged under the temperature of the others.
    `out_of_fold` is the temperature without them.
    """
    n = len(targets)
    if student is None or not n:
        return Audit(n, skipped, NOBODY, _right(teacher, targets), float("nan"))
    probs = held_out_probs(student, targets, out_of_fold)
    count = min(_MOST_BINS, n // _IN_A_BIN)
    bins = reliability(probs, targets, count) if count > 1 else None
    return Audit(n, skipped, _right(probs, targets), _right(teacher, targets), ece(probs, targets), bins)


def _right(probs: Probs | None, targets: NDArray[np.int64]) -> Rate:
    if probs is None:
        return NOBODY
    said = words(probs)
    return Rate(int((said == targets).sum()), int((said >= 0).sum()))
