"""How far each teacher can be trusted in a project, as a learn run writes it down. Pure.

Over the texts of the audit as soon as there are enough of them: people gave those labels blind, and on texts drawn
at random. Before, over all texts that people have labelled, which flatters whoever suggested them. The teacher's words are taken as it said them: what
calibration makes of them was fitted on these very labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.trust import Comparison, LabelTrust, Trust, compare, measure_trust
from ale.types import Indices, LabelSpace, Probs
from ml_backend.dataset import Dataset
from ml_backend.opinions import Opinion
from ml_backend.rates import number, rate_row

Json = dict[str, Any]

AUDIT_FROM = 50
"""Audit labels that a teacher was asked about; fewer say less than all labels together."""
CONFUSIONS = 20
"""The most frequent ones are kept: a run's row must stay small with 500 labels too."""
LABELS = 50
"""Likewise, of those by which the student is judged."""


def trust_in(
    found: Opinion,
    student: Probs | None,
    space: LabelSpace,
    dataset: Dataset,
    pool: Probs | None = None,
) -> Json:
    """By teacher's name: agreement with people, per label too, and the student beside it.

    A teacher that was asked about no labelled text is left out. `student` has an out-of-fold row per labelled row,
    `pool` what it believes of every row. `on` says how many texts of which kind the teacher is measured on.
    """
    trust: Json = {}
    for voice in found.voices:
        rows, human, beside, learnt = _every(dataset, student, pool)
        audit = dataset.audit.measured
        if voice.asked[audit].sum() >= AUDIT_FROM:
            rows, human, learnt = audit, dataset.audit.measured_targets, 0
            beside = None if pool is None else pool[audit]
        asked, said = voice.asked[rows], voice.said[rows]
        if not asked.any():
            continue
        seen = _trust(measure_trust(said[asked], human[asked]), space)
        seen["on"] = {"labels": int(asked[:learnt].sum()), "audit": int(asked[learnt:].sum())}
        if beside is not None:
            seen["against_student"] = _comparison(compare(beside, said, human))
        trust[voice.teacher.name] = seen
    return trust


def student_by_label(student: Probs | None, space: LabelSpace, dataset: Dataset, pool: Probs | None) -> Json:
    """The student against people, label by label: as for a teacher, over the audit once that has enough.

    `student` are out-of-fold beliefs, `pool` those of the whole pool. Empty without a student.
    """
    rows, human, beside, learnt = _every(dataset, student, pool)
    audit = dataset.audit
    if pool is not None and len(audit.measured) >= AUDIT_FROM:
        rows, human, beside, learnt = audit.measured, audit.measured_targets, pool[audit.measured], 0
    if beside is None:
        return {}
    seen = _trust(measure_trust(beside, human), space)
    per_label = sorted(seen["per_label"], key=lambda row: (-row["n"], row["label"]))
    return {
        "on": {"labels": learnt, "audit": len(rows) - learnt},
        "agreed": seen["agreed"],
        "per_label": per_label[:LABELS],
    }


def _every(
    dataset: Dataset, student: Probs | None, pool: Probs | None
) -> tuple[Indices, NDArray[np.int64], Probs | None, int]:
    """Rows, labels and the student's beliefs: of each text that is learnt from once, then of each audit."""
    _, once = np.unique(dataset.groups, return_index=True)
    audit = dataset.audit
    rows = np.concatenate([dataset.labelled[once], audit.rows])
    human = np.concatenate([dataset.targets[once], audit.targets])
    beside = None if student is None else student[once]
    if beside is not None and len(audit.rows):
        beside = None if pool is None else np.concatenate([beside, pool[audit.rows]])
    return rows, human, beside, len(once)


def _trust(trust: Trust, space: LabelSpace) -> Json:
    return {
        "agreed": rate_row(trust.agreed),
        "abstained": trust.abstained,
        "mean_confidence": number(trust.mean_confidence),
        "ece": number(trust.ece),
        "per_label": [_label(row, space) for row in trust.per_label if row.n or row.when_said.of],
        "confusions": _confusions(trust, space),
    }


def _label(row: LabelTrust, space: LabelSpace) -> Json:
    return {
        "label": space.labels[row.label],
        "n": row.n,
        "abstained": row.abstained,
        "agreed": rate_row(row.agreed),
        "when_said": rate_row(row.when_said),
    }


def _confusions(trust: Trust, space: LabelSpace) -> list[Json]:
    """What people called one thing and the teacher another, the most frequent first."""
    wrong = trust.confusion[:, :-1].copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(place), wrong.shape[1]) for place in order]
    return [
        {"people": space.labels[i], "teacher": space.labels[j], "n": int(wrong[i, j])}
        for i, j in pairs
        if wrong[i, j]
    ]


def _comparison(found: Comparison) -> Json:
    return {
        "student": rate_row(found.student),
        "teacher": rate_row(found.teacher),
        "only_student": found.only_student,
        "only_teacher": found.only_teacher,
        "p_value": number(found.p_value),
        "verdict": found.verdict.value,
    }
