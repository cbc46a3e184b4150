"""What the audit says in a project, as a learn run writes it down. Pure."""

from __future__ import annotations

from typing import Any

from ale.audit.intervals import Accuracy
from ale.audit.measured import Audit
from ale.chance import Rate
from ale.reliability import Reliability
from ale.trust import words
from ml_backend.dataset import Dataset
from ml_backend.opinions import Opinion, Voice
from ml_backend.rates import number, rate_row

Json = dict[str, Any]


def audit_counts(audit: Audit, found: Opinion, dataset: Dataset) -> Json:
    """How many of the reserve's tasks were labelled blind, and how often student and teachers were right there.

    `waiting` labels wait until the tasks before them have been shown. Who was asked nothing is left out. A rate's
    interval leaves skipped tasks out, of which nobody knows the truth; `at_least` is the student's lower bound
    with them as errors. `reliability` has the student's confidences in bins of equal size, each with the share that was
    right. All of it speaks of the first `texts`; of the `newer` ones, too, after some `to_come` more audits.
    """
    teachers = {voice.teacher.name: _right(voice, dataset) for voice in found.voices}
    return {
        "labels": audit.n,
        "skipped": audit.skipped,
        "waiting": len(dataset.audit.rows) - audit.n,
        "reserve": dataset.audit.size,
        "texts": len(dataset.tasks) - len(dataset.audit.newer),
        "newer": len(dataset.audit.newer),
        "to_come": dataset.audit.to_come,
        "student": rate_row(audit.student) if audit.student.of else None,
        "at_least": number(Accuracy(audit.student, audit.skipped).at_least()) if audit.student.of else None,
        "ece": number(audit.ece),
        "reliability": None if audit.bins is None else _bins(audit.bins),
        "teachers": {name: rate_row(rate) for name, rate in teachers.items() if rate.of},
    }


def _bins(found: Reliability) -> list[Json]:
    """The least confident first."""
    return [
        {"confidence": number(confidence), **rate_row(Rate(round(share * rows), rows))}
        for confidence, share, rows in zip(found.confidence, found.accuracy, found.rows, strict=True)
    ]


def _right(voice: Voice, dataset: Dataset) -> Rate:
    """The teacher's words as it said them, against the audit labels; where it is silent it is not counted."""
    said = words(voice.said[dataset.audit.measured])
    return Rate(int((said == dataset.audit.measured_targets).sum()), int((said >= 0).sum()))
