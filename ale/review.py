"""Which given labels does the evidence doubt?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings, LabelIssue, LabelSpace, Probs


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Arrays over the labelled rows. `held_out` are calibrated probabilities that did not see the row."""

    held_out: Probs
    targets: NDArray[np.int64]
    features: Embeddings
    groups: NDArray[np.int64] | None = None
    teacher: Probs | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """Label issues, worst first; `skipped` is a stable word when nothing could be judged."""

    issues: list[LabelIssue]
    skipped: str | None = None


def find_label_issues(evidence: Evidence, labels: LabelSpace, max_share: float = 0.2) -> Review:
    """The labels most likely to be wrong, worst first, at most max(3, 20 %) of them."""
    held_out, targets = evidence.held_out, evidence.targets
    if len(targets) < 10 or len(np.unique(targets)) < 2:
        return Review([], "too_few_labels")
    rows = np.arange(len(targets))
    suggested = held_out.argmax(axis=1)
    doubt = held_out[rows, suggested] - held_out[rows, targets]
    cap = max(3, int(max_share * len(targets)))
    issues = [
        LabelIssue(
            position=int(row),
            given=int(targets[row]),
            suggested=int(suggested[row]),
            score=float(np.clip(doubt[row], 0.0, 1.0)),
            reason=f"Model says {labels.labels[suggested[row]]} ({held_out[row, suggested[row]]:.2f})",
        )
        for row in np.argsort(-doubt, kind="stable")[:cap]
        if doubt[row] > 0.5
    ]
    return Review(issues)
