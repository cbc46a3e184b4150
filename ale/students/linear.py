"""The linear student: it leans on the teacher and lets human labels overrule it.

1. A prior: the softmax regression of the teacher's answers over the pool. Thousands of noisy answers,
   smoothed by a linear model, are better than the teacher itself.
2. The human fit, centred on that prior (or on zero). How firmly it leans, and whether it leans at all, is
   chosen by the likelihood of held-out human labels, so a bad teacher costs little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ale.calibration import fit_temperature, log_softmax
from ale.errors import LabelSpaceMismatch, NotEnoughLabels
from ale.folds import FOLDS, assign_folds
from ale.students.softmax import Weights, apply, fit_softmax, one_hot
from ale.types import Embeddings, Indices, Probs

PRIOR_ROWS = 4_000  # more rows of the teacher no longer change the prior, only the waiting time
PRIOR_L2 = 1.0
CHOOSE_FROM = 50  # fewer labels cannot tell two ridge strengths apart
FEW_LABELS_L2 = 0.3
_FOLD_WORK = 40_000  # rows * labels * folds of one pass
LEAN_L2 = (1.0, 0.1)
PLAIN_L2 = (0.3, 0.03)


@dataclass(frozen=True, slots=True)
class _Candidate:
    l2: float
    prior: Weights | None


class LinearStudent:
    """Softmax regression on embeddings, by default leaning on the teacher. No state besides its weights."""

    kind = "linear"

    def __init__(self, weights: Weights | None = None, values: Mapping[str, Any] | None = None) -> None:
        self._weights = weights
        self._values: dict[str, Any] = dict(values or {})
        self._out_of_fold: NDArray[np.float64] | None = None
        self._pool: Embeddings | None = None

    def fit(
        self,
        pool: Embeddings,
        labelled: Indices,
        targets: NDArray[np.int64],
        *,
        labels: int,
        groups: NDArray[np.int64] | None = None,
        teacher: Probs | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """See `ale.protocols.Student.fit`. Deterministic; a student fitted before is only a faster start."""
        if len(np.unique(targets)) < 2:
            raise NotEnoughLabels("need_two_classes", "a student needs labels of at least two classes")
        x, soft = pool[labelled], one_hot(targets, labels)
        row_weights = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
        prior = _student_of_teacher(pool, teacher)
        candidates = _candidates(prior, len(targets))
        best = _choose(x, soft, targets, row_weights, candidates, groups)
        chosen = candidates[best]
        # Close to leave-one-out: a held-out row is then judged by nearly the student that will be used.
        folds = assign_folds(targets, groups, _fine_folds(len(targets), labels))
        self._out_of_fold = _out_of_fold(x, soft, row_weights, folds, [chosen])[0]
        self._weights = fit_softmax(x, soft, row_weights, l2=chosen.l2, prior=chosen.prior)
        self._pool = pool
        self._values = {"l2": chosen.l2, "leans_on_teacher": chosen.prior is not None}
        return self

    @classmethod
    def of_teacher(cls, pool: Embeddings, teacher: Probs) -> Self | None:
        """See `ale.protocols.Student.of_teacher`: the prior."""
        prior = _student_of_teacher(pool, teacher)
        return None if prior is None else cls(prior, {"l2": PRIOR_L2, "leans_on_teacher": True})

    def out_of_fold_logits(self) -> NDArray[np.float64]:
        """See `ale.protocols.Student`; only a student that was fitted in this process has them."""
        if self._out_of_fold is None:
            raise NotEnoughLabels("not_fitted", "out-of-fold logits exist only right after fit")
        return self._out_of_fold

    def pool_logits(self) -> NDArray[np.float64]:
        """See `ale.protocols.Student`: it knows no more of its pool than of any text."""
        if self._pool is None:
            raise NotEnoughLabels("not_fitted", "logits of the pool exist only right after fit")
        return self.logits(self._pool)

    def committee(self) -> NDArray[np.float32] | None:
        """None: one candidate wins, the others are forgotten."""
        return None

    def logits(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """Shape (rows, labels), before calibration."""
        if self._weights is None:
            raise NotEnoughLabels("not_fitted", "the student has not been fitted")
        if embeddings.shape[1] != len(self._weights) - 1:
            raise LabelSpaceMismatch(
                f"the student reads {len(self._weights) - 1} columns, not {embeddings.shape[1]}"
            )
        return apply(embeddings, self._weights)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """The weights; the values only tell a reader which candidate won."""
        if self._weights is None:
            raise NotEnoughLabels("not_fitted", "the student has not been fitted")
        return {"weights": self._weights}, dict(self._values)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The student that `state` described."""
        return cls(np.asarray(arrays["weights"], np.float32), values)


def _student_of_teacher(pool: Embeddings, teacher: Probs | None) -> Weights | None:
    """The prior: a softmax regression of what the teacher answered; None without answers."""
    if teacher is None:
        return None
    answered = np.flatnonzero(~np.isnan(teacher).any(axis=1))
    if not len(answered):
        return None
    if len(answered) > PRIOR_ROWS:
        answered = answered[np.linspace(0, len(answered) - 1, PRIOR_ROWS).astype(np.int64)]
    return fit_softmax(pool[answered], teacher[answered], l2=PRIOR_L2, rounds=50)


def _fine_folds(rows: int, labels: int) -> int:
    """As many folds as a second or two pays for, 5 to 20."""
    return int(np.clip(_FOLD_WORK // (rows * labels), FOLDS, 20))


def _choose(
    x: Embeddings,
    soft: NDArray[np.float32],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    candidates: list[_Candidate],
    groups: NDArray[np.int64] | None,
) -> int:
    """The candidate under which held-out labels are likeliest."""
    if len(candidates) == 1:
        return 0
    held_out = _out_of_fold(x, soft, weights, assign_folds(targets, groups), candidates)
    return int(np.argmax([_likelihood(logits, targets, weights) for logits in held_out]))


def _candidates(prior: Weights | None, labels: int) -> list[_Candidate]:
    """What may compete, the firmest of a kind first. Leaning beat not leaning even on a teacher that is
    47 % right, so with few labels only leaning is tried.
    """
    if labels < CHOOSE_FROM:
        return [_Candidate(FEW_LABELS_L2, prior)]
    if prior is None:
        return [_Candidate(l2, None) for l2 in PLAIN_L2]
    return [*(_Candidate(l2, prior) for l2 in LEAN_L2), _Candidate(PLAIN_L2[-1], None)]


def _out_of_fold(
    x: Embeddings,
    soft: NDArray[np.float32],
    weights: NDArray[np.float64],
    folds: NDArray[np.int64],
    candidates: list[_Candidate],
) -> list[NDArray[np.float64]]:
    """Per candidate the logits of every row from the fit on the other folds.

    Each fit starts from the candidate before it in the same fold; never from another fold, which has seen
    the rows that are held out here. A lone fold is judged by the prior.
    """
    nothing = np.zeros((x.shape[1] + 1, soft.shape[1]), np.float32)
    out = [apply(x, nothing if c.prior is None else c.prior) for c in candidates]
    for fold in np.unique(folds):
        seen = folds != fold
        if not seen.any():
            continue
        start: Weights | None = None
        for logits, candidate in zip(out, candidates, strict=True):
            start = fit_softmax(
                x[seen], soft[seen], weights[seen], l2=candidate.l2, prior=candidate.prior, start=start
            )
            logits[~seen] = apply(x[~seen], start)
    return out


def _likelihood(
    logits: NDArray[np.float64], targets: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Log-likelihood of held-out labels after calibration: knowledge competes, not scale."""
    held_out = log_softmax(logits, fit_temperature(logits, targets, weights))
    return float((weights * held_out[np.arange(len(targets)), targets]).sum())
