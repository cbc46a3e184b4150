"""How far each teacher can be trusted in a project, as a learn run writes it down. Pure.

Over the texts that people have labelled, each once. The teacher's words are taken as it said them: what
calibration makes of them was fitted on these very labels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ale.chance import Rate
from ale.trust import Comparison, LabelTrust, Trust, compare, measure_trust
from ale.types import LabelSpace, Probs
from ml_backend.dataset import Dataset
from ml_backend.opinions import Opinion

Json = dict[str, Any]

CONFUSIONS = 20
"""The most frequent ones are kept: a run's row must stay small with 500 labels too."""


def trust_in(found: Opinion, student: Probs | None, space: LabelSpace, dataset: Dataset) -> Json:
    """By teacher's name: agreement with people, per label too, and the student beside it.

    A teacher that was asked about no labelled text is left out. `student` has an out-of-fold row per labelled row.
    """
    _, once = np.unique(dataset.groups, return_index=True)
    rows, human = dataset.labelled[once], dataset.targets[once]
    trust: Json = {}
    for voice in found.voices:
        asked, said = voice.asked[rows], voice.said[rows]
        if not asked.any():
            continue
        seen = _trust(measure_trust(said[asked], human[asked]), space)
        if student is not None:
            seen["against_student"] = _comparison(compare(student[once], said, human))
        trust[voice.teacher.name] = seen
    return trust


def _trust(trust: Trust, space: LabelSpace) -> Json:
    return {
        "agreed": _rate(trust.agreed),
        "abstained": trust.abstained,
        "mean_confidence": _number(trust.mean_confidence),
        "ece": _number(trust.ece),
        "per_label": [_label(row, space) for row in trust.per_label if row.n or row.when_said.of],
        "confusions": _confusions(trust, space),
    }


def _label(row: LabelTrust, space: LabelSpace) -> Json:
    return {
        "label": space.labels[row.label],
        "n": row.n,
        "abstained": row.abstained,
        "agreed": _rate(row.agreed),
        "when_said": _rate(row.when_said),
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
        "student": _rate(found.student),
        "teacher": _rate(found.teacher),
        "only_student": found.only_student,
        "only_teacher": found.only_teacher,
        "p_value": _number(found.p_value),
        "verdict": found.verdict.value,
    }


def _rate(rate: Rate) -> Json:
    low, high = rate.interval
    return {"hits": rate.hits, "of": rate.of, "low": round(low, 4), "high": round(high, 4)}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 6)
