"""The review of a finished data set: a judgement of every row, ranked flags, and what is odd about the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement
from ale.review.consensus import Consensus, consensus
from ale.review.counted import counted
from ale.review.issues import CUT, MAX_SHARE, MIN_LABELS, flags, most_flags, suggestions, why_not
from ale.review.labelled import Labelled
from ale.review.people import Quality, expected_of_annotators, expected_of_teachers
from ale.review.reasons import Reasons, reasons_for, short
from ale.review.settled import Settled, settle
from ale.review.steering import MIN_VERDICTS, cut_for, steer
from ale.review.tips import Tip, find_tips
from ale.review.weighing import weigh

REASON_CHARS = 120
_WHY_NOT = {
    "too_few_labels": f"there are fewer than {MIN_LABELS} labels",
    "one_class": "all labels are the same",
}


@dataclass(frozen=True, slots=True)
class RowReview:
    """One row of the file. `score` in [0, 1], higher = more surely wrong; no suggestion where none is judged.

    `consensus_label` is that of the row's text, empty where annotators are not known or the row is not judged.
    """

    row: int
    score: float
    given_label: str
    suggested_label: str
    flagged: bool
    reason: str
    consensus_label: str = ""

    def as_json(self) -> dict[str, Any]:
        """The published layout."""
        return {
            "row": self.row,
            "score": self.score,
            "given_label": self.given_label,
            "suggested_label": self.suggested_label,
            "flagged": self.flagged,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class WholeReview:
    """All rows of the file in its order, and the data set as a whole.

    `errors` is the expected number of wrong labels, NaN when nothing was judged; `skipped` is why.
    """

    rows: tuple[RowReview, ...]
    errors: float
    cut: float
    reviewed: int
    fixed: int
    skipped: str | None
    tips: tuple[Tip, ...]
    annotators: tuple[Quality, ...]
    teachers: tuple[Quality, ...]
    notes: tuple[str, ...]

    @property
    def why_no_flags(self) -> str:
        """A sentence for people, where nothing is flagged."""
        if self.skipped is not None:
            return f"Nothing was judged: {_WHY_NOT[self.skipped]}."
        return "No label is doubted enough to be flagged."

    @property
    def ranked(self) -> list[RowReview]:
        """Worst first; rows of one score in the file's order."""
        return sorted(self.rows, key=lambda one: (not one.flagged, -one.score, one.row))

    @property
    def flagged(self) -> list[RowReview]:
        """The flags, worst first."""
        return [one for one in self.ranked if one.flagged]


def review_whole(
    data: Labelled, labels: list[str], *, precision: float | None = None, most: int | None = None
) -> WholeReview:
    """The review; `labels` are the file's given labels, row by row.

    Without `precision` a row is flagged when it is clearly more surely wrong than right; with it, as many as are
    expected to be wrong at that rate. `most` caps the flags. Reviewed rows are never flagged; rows with a text that
    was settled as another label in a reviewed row always are, within `most`.
    """
    wrong = data.settled.wrong
    settled = (len(data.settled), int(wrong.sum()))
    skipped = why_not(data.evidence.targets)
    if skipped is not None:
        rows = [_unjudged(i, label, f"not judged: {_WHY_NOT[skipped]}") for i, label in enumerate(labels)]
        return WholeReview(tuple(rows), float("nan"), 1.0, *settled, skipped, (), (), (), data.notes)
    found = weigh(data.evidence, len(data.space))
    verdicts = settle(data)
    steered = _steered(data, found)
    scores = verdicts.place(steered)
    chances = verdicts.place(_chances(found, steered, data))
    cut = CUT
    if precision is not None:
        cut = cut_for(
            np.where(verdicts.looked, 0.0, scores), np.where(verdicts.looked, 0.0, chances), precision
        )
    suggested = np.where(verdicts.known, verdicts.labels, suggestions(found, data.given))
    judged = replace(found, score=np.where(verdicts.known, 0.0, scores))
    doubted = flags(data.evidence, judged, suggested, cut)
    sure = np.flatnonzero(verdicts.followers & verdicts.wrong)
    flagged = np.concatenate([sure, doubted])[: max(len(sure), most_flags(len(scores)))][:most]
    agreed = None if data.evidence.annotators is None else consensus(data, found, verdicts)
    rows = _rows(data, labels, scores, suggested, flagged, found, verdicts, agreed)
    more = len(sure) + int((judged.score > cut).sum()) - len(flagged)
    notes = [*data.notes, *verdicts.notes(), *([] if agreed is None else [agreed.told()])]
    if more > 0 and (most is None or len(flagged) < most):
        notes.append(
            f"{counted(more, 'more label')} doubted as much: no more than {MAX_SHARE:.0%} are flagged in one run, and of "
            "rare labels only those that a teacher doubts, too"
        )
    return WholeReview(
        tuple(rows),
        float(chances[~verdicts.known].sum() + verdicts.wrong.sum()),
        cut,
        *settled,
        None,
        tuple(find_tips(data, found)),
        tuple(expected_of_annotators(data, found)),
        tuple(expected_of_teachers(data, found)),
        tuple(notes),
    )


def _steered(data: Labelled, found: Judgement) -> NDArray[np.float64]:
    against = found.contradict.astype(np.float64)
    return steer(found.score, data.given, data.evidence.features, against, data.settled)


def _chances(found: Judgement, steered: NDArray[np.float64], data: Labelled) -> NDArray[np.float64]:
    """That a label is wrong: by the verdicts, if they suffice. Before, a score is for ranking only."""
    return steered if len(data.settled) >= MIN_VERDICTS else found.wrong


def _rows(
    data: Labelled,
    labels: list[str],
    scores: NDArray[np.float64],
    suggested: NDArray[np.int64],
    flagged: NDArray[np.int64],
    found: Judgement,
    verdicts: Settled,
    agreed: Consensus | None,
) -> list[RowReview]:
    out = [_unjudged(i, label, "not judged: no text or no label") for i, label in enumerate(labels)]
    names = data.space.labels
    marked = np.zeros(len(data.given), bool)
    marked[flagged] = True
    reasons = reasons_for(data.evidence, flagged, data.teachers)
    place = {int(row): i for i, row in enumerate(flagged)}
    for i, row in enumerate(data.rows):
        told = _settled_reason(i, verdicts, names) or _reason(
            i, int(suggested[i]), data, found, place.get(i), reasons
        )
        out[row] = RowReview(
            int(row),
            float(scores[i]),
            labels[row],
            names[suggested[i]],
            bool(marked[i]),
            told,
            "" if agreed is None else names[agreed.labels[i]],
        )
    return out


def _unjudged(row: int, label: str, why: str) -> RowReview:
    return RowReview(row, 0.0, label, "", flagged=False, reason=why)


def _settled_reason(i: int, verdicts: Settled, names: Sequence[str]) -> str:
    if verdicts.looked[i]:
        return "reviewed: was wrong" if verdicts.wrong[i] else "reviewed: was right"
    if verdicts.known[i]:
        return f"the same text was settled as {short(names[verdicts.labels[i]])!r}"
    return ""


def _reason(
    i: int, suggested: int, data: Labelled, found: Judgement, place: int | None, reasons: Reasons
) -> str:
    if place is not None:
        return reasons.tell(place, suggested, found.truth[i], data.space, REASON_CHARS)
    return f"not flagged: given label {float(found.truth[i, data.given[i]]):.2f} likely"
