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
    """Decisions about texts that are as they were. `past` are those that nobody has taken back since; `settled` marks
    labels that stand as they were confirmed or fixed, `reported` wrong ones whose fix was only reported; `before` are
    the labels as they were before the first fix. The latter three are aligned with the data set's labels.
    """

    past: Past
    settled: NDArray[np.bool_]
    reported: NDArray[np.bool_]
    before: NDArray[np.int64]


def reviewed_in(decisions: Sequence[ReviewDecision], dataset: Dataset, space: LabelSpace) -> Reviewed:
    """What of the decisions, the oldest first, still says something about the data set."""
    rows = {task.task_id: row for row, task in enumerate(dataset.tasks)}
    labelled = {int(row): place for place, row in enumerate(dataset.labelled)}
    settled = np.zeros(len(dataset.labelled), bool)
    reported = settled.copy()
    before = dataset.targets.copy()
    seen: set[int] = set()
    past: list[tuple[int, int, float, bool]] = []
    for decision in reversed(decisions):
        row, given = rows.get(decision.task_id), space.index(decision.given)
        if row is None or given is None or dataset.tasks[row].text_hash != decision.text_hash:
            continue
        place, last = labelled.get(row), row not in seen
        seen.add(row)
        if place is not None and last:
            label = dataset.humans[place].label
            settled[place] = decision.applied and decision.answer == label
            reported[place] = not decision.applied and decision.given == label
            if not settled[place] and not reported[place]:
                continue  # somebody has thought better of it since
        past.append((row, given, decision.doubt, decision.answer != decision.given))
        if place is not None and settled[place]:
            before[place] = given  # of several decisions the first one's is left in the end
    return Reviewed(Past.of(past[::-1]), settled, reported, before)


def fingerprint_reviews(decisions: Sequence[ReviewDecision], precision: float) -> str:
    """Changes exactly when other labels could be flagged for the same labels."""
    rows = [[one.task_id, one.text_hash, one.given, one.answer, one.doubt, one.applied] for one in decisions]
    return hashlib.sha256(json.dumps([precision, rows]).encode()).hexdigest()


def review_counts(given: LearnInput, learned: Learned, reviewed: Reviewed, last: Json | None) -> Json:
    """How many wrong labels are left, and what the fixes are worth; None for what could not be judged.

    `decisions` are those that the estimate has heard; reported errors are left for sure. `last` is what the last run
    found: what fixes are worth is measured again when there are others, or a tenth more labels or audits. That takes a second fit, by the labels as they were, on the audit's tasks: `before` and `now` are
    how many of the `of` audits the student has right.
    """
    left, known = learned.remaining, int(reviewed.reported.sum())
    return {
        "labels": len(given.targets),
        "decisions": len(reviewed.past.rows),
        "remaining": None
        if left is None
        else {
            "expected": round(left.expected + known, 2),
            "low": None if left.low is None else round(left.low + known, 2),
            "high": None if left.high is None else round(left.high + known, 2),
        },
        "accuracy": _accuracy(given, learned, reviewed, (last or {}).get("accuracy")),
    }


def _accuracy(given: LearnInput, learned: Learned, reviewed: Reviewed, last: Json | None) -> Json | None:
    changed = np.flatnonzero(reviewed.before != given.targets)
    if not len(changed) or not len(given.audited) or learned.student is None:
        return None
    sizes = {"labels": len(given.targets), "of": len(given.audited)}
    which = np.stack([given.labelled[changed], reviewed.before[changed], given.targets[changed]])
    key = hashlib.sha256(which.tobytes()).hexdigest()[:16]
    if last is not None and last["key"] == key and all(sizes[n] < _GROWN * last[n] for n in sizes):
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
        "fixed": len(changed),
        "key": key,
        "before": _right(without, given),
        "now": _right(learned, given),
        **sizes,
    }


def _right(learned: Learned, given: LearnInput) -> int:
    return int((words(learned.probs[given.audited]) == given.audit_targets).sum())
