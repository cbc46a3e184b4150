"""What a learn run writes down about its student: which it is, and what a tuning has added."""

from __future__ import annotations

from typing import Any

from ale.protocols import Student
from ale.students import HybridStudent, TransformerStudent
from ml_backend.rates import number
from ml_backend.tuning.kept import Kept

Json = dict[str, Any]


def student_counts(student: Student, kept: Kept | None) -> Json:
    """As a learn run writes it down. `alone` and `mixed` are the shares of held-out labels that are told right."""
    said: Json = {"kind": student.kind}
    if isinstance(student, HybridStudent | TransformerStudent) and student.refuted:
        said["teacher_refuted"] = True
    if isinstance(student, TransformerStudent) and kept is not None:
        trial = student.trial
        said |= {
            "tuning": kept.id,
            **{name: kept.facts[name] for name in ("tuned_at", "labels", "seconds", "cut")},
            "share": number(student.share),
            "tried_on": 0 if trial is None else trial.labels,
            "alone": None if trial is None else number(trial.alone),
            "mixed": None if trial is None else number(trial.mixed),
        }
    return said
