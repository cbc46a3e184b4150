"""What people decided about doubted labels, as the engine wants it, and what the reviews have brought so far. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.engine import Learned, LearnInput, learn
from ale.learn_input import Past
from ale.trust import words
from ale.types import LabelSpace
from ml_backend.dataset import Dataset
from ml_backend.store.schema import ReviewDecision

Json = dict[str, Any]

_GROWN = 1.1  # of the labels, until the same fixes are measured once more


@dataclass(frozen=True, slots=True, eq=False)
class Reviewed:
    """Decisions about texts that are as they were. `past` are all of them; `settled` marks labels that stand as they
    were confirmed or fixed; `before` are the labels as they were before the first fix. The latter two are aligned
    with the data set's labels.
    """

    past: Past
    settled: NDArray[np.bool_]
    before: NDArray[np.int64]


def reviewed_in(decisions: Sequence[ReviewDecision], dataset: Dataset, space: LabelSpace) -> Reviewed:
    """What of the decisions, the oldest first, still says something about the data set."""
    rows = {task.task_id: row for row, task in enumerate(dataset.tasks)}
    labelled = {int(row): place for place, row in enumerate(dataset.labelled)}
    settled = np.zeros(len(dataset.labelled), bool)
    before = dataset.targets.copy()
    past: list[tuple[int, int, float, bool]] = []
    for decision in reversed(decisions):
        row, given = rows.get(decision.task_id), space.index(decision.given)
        if row is None or given is None or dataset.tasks[row].text_hash != decision.text_hash:
            continue
        past.append((row, given, decision.doubt, decision.answer != decision.given))
        place = labelled.get(row)
        if place is None:
            continue
        if decision.answer == dataset.humans[place].label:
            settled[place] = True
        if settled[place]:
            before[place] = given  # of several decisions the first one's is left in the end
    return Reviewed(_past(past[::-1]), settled, before)


def _past(rows: Sequence[tuple[int, int, float, bool]]) -> Past:
    return Past(
        np.array([row for row, *_ in rows], np.int64),
        np.array([given for _, given, _, _ in rows], np.int64),
        np.array([doubt for *_, doubt, _ in rows], np.float64),
        np.array([wrong for *_, wrong in rows], bool),
    )


def fingerprint_reviews(decisions: Sequence[ReviewDecision], precision: float) -> str:
    """Changes exactly when other labels could be flagged for the same labels."""
    rows = [[one.task_id, one.text_hash, one.given, one.answer, one.doubt] for one in decisions]
    return hashlib.sha256(json.dumps([precision, rows]).encode()).hexdigest()


def review_counts(given: LearnInput, learned: Learned, reviewed: Reviewed, last: Json | None) -> Json | None:
    """How many wrong labels are left, and what the fixes are worth; None where nothing could be judged.

    `last` is what the last run found: what fixes are worth is measured again when there are others, or a tenth more
    labels. That takes a second fit, by the labels as they were, on the audit's tasks: `before` and `now` are
    how many of the `of` audits the student has right.
    """
    if learned.remaining is None:
        return None
    left = learned.remaining
    fixed = int((reviewed.before != given.targets).sum())
    return {
        "labels": len(given.targets),
        "remaining": {
            "expected": round(left.expected, 2),
            "low": None if left.low is None else round(left.low, 2),
            "high": None if left.high is None else round(left.high, 2),
        },
        "accuracy": _accuracy(given, learned, reviewed, fixed, (last or {}).get("accuracy")),
    }


def _accuracy(
    given: LearnInput, learned: Learned, reviewed: Reviewed, fixed: int, last: Json | None
) -> Json | None:
    if not fixed or not len(given.audited) or learned.student is None:
        return None
    if last is not None and last["fixed"] == fixed and len(given.targets) < _GROWN * last["labels"]:
        return last
    nobody = np.zeros(len(given.raw), bool)
    without = learn(
        replace(
            given, targets=reviewed.before, review=False, candidates=nobody, audit_order=given.audit_order[:0]
        )
    )
    if without.student is None:
        return None
    return {
        "fixed": fixed,
        "labels": len(given.targets),
        "before": _right(without, given),
        "now": _right(learned, given),
        "of": len(given.audited),
    }


def _right(learned: Learned, given: LearnInput) -> int:
    return int((words(learned.probs[given.audited]) == given.audit_targets).sum())
