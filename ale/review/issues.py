"""Which given labels does the evidence doubt? The flags, worst first, with a suggestion and a reason.

Confident learning (Northcutt et al., 2021) counts, from held-out probabilities, how many labels of each pair
are wrong. Its cuts assume labels drawn at random and one view of the texts. Here several views and witnesses are
weighed together, and the wrong labels are counted by a noise channel: see `ale.review.channel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import EXPECTED_RATE, Judgement
from ale.review.decisions import Decisions, Remaining, Worth, correct
from ale.review.evidence import Evidence
from ale.review.reasons import MAX_CHARS, reasons_for
from ale.review.steering import MIN_VERDICTS, cut_for
from ale.review.weighing import weigh
from ale.review.witnesses import words_of
from ale.types import LabelIssue, LabelSpace

MIN_LABELS = 10
MIN_OF_CLASS = 3  # a label with fewer rows is not judged by the student alone: it hardly knows it
MAX_SHARE = 0.3  # of the labels, in one run
CUT = 0.5  # surer than a coin: the hard rows of clean data are mostly left alone
# Fitted on labels that were chosen as in a project, without and with a teacher: four sets of texts, up to 240 labels
# each, none to a fifth of them wrong.
WORTH, WORTH_TAUGHT = Worth(0.55, -0.85), Worth(0.7, -0.45)
PRECISION = 0.5  # of the suspicions
LEAST = 0.4  # of that, for each: sure ones shall not carry any number of unsure ones along


@dataclass(frozen=True, slots=True)
class Review:
    """Label issues, worst first; `skipped` is a stable word when nothing could be judged."""

    issues: list[LabelIssue]
    skipped: str | None = None
    judgement: Judgement | None = None
    remaining: Remaining | None = None


def find_label_issues(
    evidence: Evidence,
    labels: LabelSpace,
    *,
    reviewed: NDArray[np.bool_] | None = None,
    decisions: Decisions | None = None,
    precision: float = PRECISION,
    names: Sequence[str] = (),
    most_chars: int = MAX_CHARS,
) -> Review:
    """The labels most likely to be wrong, worst first; never raises. For labels that were actively chosen.

    As many as are expected to be wrong at the rate `precision`, by the evidence and, from five on, by what people
    decided about earlier doubts; before, the five worst at least, if they are doubted more than any label is beforehand. At most max(3, 30 %).
    Labels that are marked as `reviewed` are right.
    """
    skipped = why_not(evidence.targets)
    if skipped is not None:
        return Review([], skipped)
    found = weigh(evidence, len(labels))
    settled = np.zeros(len(found.score), bool) if reviewed is None else reviewed
    worth = WORTH_TAUGHT if evidence.teachers else WORTH
    corrected = correct(found.score, evidence.targets, evidence.features, decisions, worth)
    chances, usual = (np.where(settled, 0.0, each) for each in (corrected.chances, corrected.usual))
    suggested = suggestions(found, evidence.targets)
    decided = 0 if decisions is None else len(decisions)
    flagged = flags(evidence, replace(found, score=chances), suggested, live_cut(chances, precision, decided))
    # A few decisions about the worst labels say little about all others: suspicions grow with the decisions.
    many = int((usual > live_cut(usual, precision, decided)).sum())
    flagged = flagged[: max(many, 2 * MIN_VERDICTS, decided)]
    reasons = reasons_for(evidence, flagged, names)
    issues = [
        LabelIssue(
            position=int(row),
            given=int(evidence.targets[row]),
            suggested=int(suggested[row]),
            score=float(chances[row]),
            reason=reasons.tell(place, int(suggested[row]), found.truth[row], labels, most_chars),
            doubt=float(found.score[row]),
        )
        for place, row in enumerate(flagged)
    ]
    return Review(issues, judgement=found, remaining=corrected.remaining(settled))


def live_cut(chances: NDArray[np.float64], precision: float, decided: int) -> float:
    """The cut above which labels are suspected, when so many decisions have been made."""
    cut = max(cut_for(chances, chances, precision), LEAST * precision)
    if decided < MIN_VERDICTS:
        # Else nobody would ever decide on anything where all doubts look small, as they do where the labels are of
        # texts that the student knows least about.
        worst = np.nextafter(np.sort(chances)[-MIN_VERDICTS:], 0.0)
        return float(max(min(cut, *worst), EXPECTED_RATE))
    return cut


def why_not(targets: NDArray[np.int64]) -> str | None:
    """A stable word when there is too little to judge by."""
    if len(targets) < MIN_LABELS:
        return "too_few_labels"
    return "one_class" if len(np.unique(targets)) < 2 else None


def suggestions(found: Judgement, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The likeliest label other than the given one."""
    others = found.truth.copy()
    others[np.arange(len(targets)), targets] = -1.0
    return np.asarray(others.argmax(axis=1), np.int64)


def flags(
    evidence: Evidence, found: Judgement, suggested: NDArray[np.int64], cut: float
) -> NDArray[np.int64]:
    """The rows above the cut that may be judged, worst first, within the cap."""
    doubted = np.flatnonzero((found.score > cut) & _may_judge(evidence, suggested))
    order = doubted[np.argsort(-found.score[doubted], kind="stable")]
    return order[: most_flags(len(found.score))]


def most_flags(rows: int) -> int:
    """How many of so many labels are flagged in one run at most."""
    return max(3, int(MAX_SHARE * rows))


def _may_judge(evidence: Evidence, suggested: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Labels of rare classes are doubted only with a teacher's word for the same other label."""
    common = np.bincount(evidence.targets)[evidence.targets] >= MIN_OF_CLASS
    for teacher in evidence.teachers:
        common = common | (words_of(teacher) == suggested)
    return np.asarray(common, bool)
