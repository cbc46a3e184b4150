"""Which given labels does the evidence doubt? The flags, worst first, with a suggestion and a reason.

Confident learning (Northcutt et al., 2021) counts, from held-out probabilities, how many labels of each pair
are wrong. Its cuts assume labels drawn at random and one view of the texts. Here several views and witnesses are
weighed together, and the wrong labels are counted by a noise channel: see `ale.review.channel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement
from ale.review.evidence import Evidence
from ale.review.reasons import MAX_CHARS, reasons_for
from ale.review.weighing import weigh
from ale.review.witnesses import words_of
from ale.types import LabelIssue, LabelSpace

MIN_LABELS = 10
MIN_OF_CLASS = 3  # a label with fewer rows is not judged by the student alone: it hardly knows it
MAX_SHARE = 0.3  # of the labels, in one run
CUT = 0.6  # surer than a coin, so that the hard rows of clean data are mostly left alone
# Of labels that were asked for because they are hard: there the chances are too careful, with a teacher in the
# student even more (measured on the sample pool, 10 % noise: precision .53 to .60 at recall .64 to .72).
LIVE_CUT, LIVE_CUT_TAUGHT = 0.3, 0.15


@dataclass(frozen=True, slots=True)
class Review:
    """Label issues, worst first; `skipped` is a stable word when nothing could be judged."""

    issues: list[LabelIssue]
    skipped: str | None = None
    judgement: Judgement | None = None


def find_label_issues(
    evidence: Evidence,
    labels: LabelSpace,
    *,
    cut: float | None = None,
    names: Sequence[str] = (),
    most_chars: int = MAX_CHARS,
) -> Review:
    """The labels most likely to be wrong, worst first, at most max(3, 30 %) of them; never raises.

    The `cut` is by default the one for actively chosen labels.
    """
    if cut is None:
        cut = LIVE_CUT_TAUGHT if evidence.teachers else LIVE_CUT
    skipped = why_not(evidence.targets)
    if skipped is not None:
        return Review([], skipped)
    found = weigh(evidence, len(labels))
    suggested = suggestions(found, evidence.targets)
    flagged = flags(evidence, found, suggested, cut)
    reasons = reasons_for(evidence, flagged, names)
    issues = [
        LabelIssue(
            position=int(row),
            given=int(evidence.targets[row]),
            suggested=int(suggested[row]),
            score=float(found.score[row]),
            reason=reasons.tell(place, int(suggested[row]), found.truth[row], labels, most_chars),
        )
        for place, row in enumerate(flagged)
    ]
    return Review(issues, judgement=found)


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
