"""Which given labels does the evidence doubt? Confident learning on out-of-fold probabilities, in two passes.

1. Held-out probabilities, with the teacher's vote where its agreement with people earned it one.
2. From them the chance that a label is a slip: the person meant another label and gave this one.
3. The sure slips are taken out, the student is fitted again, and everything is judged once more, since a
   wrong label also hides its neighbours' errors (drop-and-refit).

cleanlab (Northcutt et al., 2021) names the candidates and their quality. Its own cuts assume labels drawn
at random; on actively chosen ones, which are the hard ones, they flag 20 to 30 % of clean labels (measured
on four sets: precision .20 to .40). The cut by posterior keeps precision above one half there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.evidence import Evidence
from ale.reasons import explain
from ale.types import LabelIssue, LabelSpace, Probs
from ale.votes import agreement, with_vote

MIN_LABELS = 10
MIN_OF_CLASS = 3  # a label with fewer rows is not judged by the student alone: it hardly knows it
MAX_SHARE = 0.2
CUT = 0.15  # chosen on four sets with 0, 10 and 20 % noise; calibrated on hard rows, q is too careful
SURE = 0.5
_PRIOR_NOISE, _PRIOR_ROWS = 0.1, 60.0  # what is believed of the noise rate before the labels were seen


@dataclass(frozen=True, slots=True)
class Review:
    """Label issues, worst first; `skipped` is a stable word when nothing could be judged."""

    issues: list[LabelIssue]
    skipped: str | None = None


def find_label_issues(evidence: Evidence, labels: LabelSpace) -> Review:
    """The labels most likely to be wrong, worst first, at most max(3, 20 %) of them; never raises."""
    targets = evidence.targets
    if len(targets) < MIN_LABELS:
        return Review([], "too_few_labels")
    if len(np.unique(targets)) < 2:
        return Review([], "one_class")
    probs, slip = _judge(evidence, evidence.held_out)
    sure = slip > SURE
    if evidence.refit is not None and sure.any():
        probs, slip = _judge(evidence, evidence.refit(np.where(sure, 0.0, 1.0)))
    suggested = _suggestions(probs, targets)
    flagged = (slip > CUT) & _candidates(probs, targets) & _may_judge(evidence, suggested)
    order = np.lexsort((_quality(probs, targets), -slip))
    worst = [int(row) for row in order if flagged[row]][: max(3, int(MAX_SHARE * len(targets)))]
    issues = [
        LabelIssue(
            position=row,
            given=int(targets[row]),
            suggested=int(suggested[row]),
            score=float(np.clip(slip[row], 0.0, 1.0)),
            reason=explain(evidence, row, int(suggested[row]), float(probs[row, suggested[row]]), labels),
        )
        for row in worst
    ]
    return Review(issues)


def slip_chance(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """The posterior that each label is a slip, in [0, 1]; higher = more surely wrong.

    Model: the truth is drawn from `probs`; with the noise rate the person gives one of the other labels
    instead. The rate is found by expectation maximisation, held by a prior so that clean data stay clean.
    """
    given = probs[np.arange(len(targets)), targets]
    others = max(1, probs.shape[1] - 1)
    rate = _PRIOR_NOISE
    slip = np.zeros(len(targets))
    for _ in range(30):
        wrong = (1.0 - given) * rate / others
        slip = wrong / np.maximum(wrong + given * (1.0 - rate), 1e-12)
        rate = (float(slip.sum()) + _PRIOR_NOISE * _PRIOR_ROWS) / (len(targets) + _PRIOR_ROWS)
    return slip


def _judge(evidence: Evidence, held_out: Probs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    probs = np.asarray(held_out, np.float64)
    if evidence.teacher is not None:
        probs = with_vote(probs, evidence.teacher, evidence.targets)
    return probs, slip_chance(probs, evidence.targets)


def _suggestions(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The likeliest label other than the given one."""
    others = probs.copy()
    others[np.arange(len(targets)), targets] = -1.0
    return np.asarray(others.argmax(axis=1), np.int64)


def _candidates(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """cleanlab's mask: rows whose evidence prefers another label."""
    from cleanlab.filter import find_label_issues as mask_of_issues

    present, compact, columns = _seen_labels(probs, targets)
    mask = mask_of_issues(compact, columns, filter_by="predicted_neq_given", n_jobs=1)
    # A label that nobody has given yet is no column for cleanlab, but may be the right one.
    unseen = ~np.isin(probs.argmax(axis=1), present)
    return np.asarray(mask, bool) | unseen


def _quality(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """cleanlab's label quality, 1 = clean, 0 = doubtful; breaks ties of the posterior."""
    from cleanlab.rank import get_label_quality_scores

    _, compact, columns = _seen_labels(probs, targets)
    return np.asarray(get_label_quality_scores(compact, columns, method="self_confidence"), np.float64)


def _seen_labels(
    probs: NDArray[np.float64], targets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Labels that occur, targets counted among them, and their columns summing to 1: cleanlab's input."""
    present, compact = np.unique(targets, return_inverse=True)
    columns = np.maximum(probs[:, present], 1e-12)
    return present, np.asarray(compact, np.int64), columns / columns.sum(axis=1, keepdims=True)


def _may_judge(evidence: Evidence, suggested: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Labels of rare classes are doubted only with the teacher's word for the same other label."""
    common = np.bincount(evidence.targets)[evidence.targets] >= MIN_OF_CLASS
    if evidence.teacher is None:
        return common
    answered, said, _ = agreement(evidence.teacher, evidence.targets)
    return np.asarray(common | (answered & (said == suggested)), bool)
