"""How good each published student was, by the labels that there were: the points of the learning curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ale.chance import NOBODY, Rate
from ml_backend.store.schema import Run, Version
from ml_backend.store.versions import RUNS_LOOKED_AT

MOST = 150
"""Students on the curve: more than a screen can tell apart, and few enough to be read in milliseconds."""
EARLY = 30
"""The first versions are all read: there the curve rises."""

_WAS_IN_FORCE = ("in_force", "superseded", "cleaned")


@dataclass(frozen=True, slots=True)
class Learnt:
    """One student. `labels` are people's labels that there were, audits included; None = was not measured.

    `agreement` is with the labels that it learnt from, cross-validated; `audit` counts right answers on audits,
    `teachers` those of all teachers together. `ece` and `audited_ece` are calibration errors, lower is better.
    """

    labels: int
    agreement: float | None
    ece: float | None
    audit: Rate
    audited_ece: float | None
    teachers: float | None


def learning_curve(session: Session, project: str) -> list[Learnt]:
    """The students of the project, the fewest labels first; of those with equally many labels the last one.

    Students of other labels than today's are left out: they had another question to answer. Where there are many
    versions, the first ones, every k-th, and the newest are read.
    """
    published = (Version.project == project, Version.kind == "student", Version.state.in_(_WAS_IN_FORCE))
    found = session.execute(select(func.count(), func.max(Version.number)).where(*published)).one()
    apart = max(1, math.ceil((found[0] or 0) / MOST))
    rows = session.execute(
        select(Version.labels, Version.metrics)
        .where(
            *published, or_(Version.number % apart == 0, Version.number.in_((*range(EARLY + 1), found[1])))
        )
        .order_by(Version.number)
    ).all()
    today = rows[-1].labels if rows else []
    students = [_learnt(row.metrics) for row in rows if row.labels == today]
    newest = _newest_metrics(session, project)
    if newest is not None and rows:
        # It may have learnt and published nothing: the head of the queue stayed as it was.
        students.append(_learnt(newest))
    by_labels = {one.labels: one for one in students}
    return [by_labels[labels] for labels in sorted(by_labels)]


def _newest_metrics(session: Session, project: str) -> Mapping[str, Any] | None:
    """Of the newest run that learnt a student."""
    query = select(Run.counts).where(Run.project == project).order_by(Run.run_id.desc()).limit(RUNS_LOOKED_AT)
    found = (counts for counts in session.scalars(query) if counts.get("metrics"))
    counts = next(found, None)
    return counts["metrics"] if counts is not None and counts.get("student") else None


def _learnt(metrics: Mapping[str, Any]) -> Learnt:
    audits = int(metrics.get("n_audit", 0))
    right = _number(metrics, "audit_accuracy")
    return Learnt(
        labels=int(metrics.get("n_labels", 0)) + audits,
        agreement=_number(metrics, "oof_accuracy"),
        ece=_number(metrics, "oof_ece"),
        audit=NOBODY if right is None else Rate(round(right * audits), audits),
        audited_ece=_number(metrics, "audit_ece"),
        teachers=_number(metrics, "audit_teacher_accuracy"),
    )


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
