"""The transformer student: the hybrid student and a tuned encoder, in the mixture that held-out labels ask for.

Tuning reads texts and takes minutes, a student sees arrays and takes seconds: so the tuning comes first, by
`ale.tuning`, and what it believes is handed in. Both sides are judged on labels that they have not seen. A
tuning that tells those labels no better than the hybrid student alone has no share at all.

The hybrid student goes on while a tuning lasts, and texts go on coming: of one that no tuning has read yet there
is only the hybrid student's word. It is brought to the scale of the mixture, so that one temperature fits all.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.errors import LabelSpaceMismatch, NotEnoughLabels
from ale.students.hybrid import HybridStudent
from ale.students.mixture import Verdict, judge
from ale.tuning.belief import TunedBelief
from ale.tuning.plan import STUDENT
from ale.types import Embeddings, Indices, Probs

_BELIEVED = (2.0, 2.0)
_GAIN = 3.0
"""Log-likelihood by which the mixture must beat the hybrid student on held-out labels: a share and a
temperature, chosen on these labels, gain about 1 by chance.
"""

_LEAST = 1e-7
_ALONE = Verdict(np.ones(2), np.array([1.0, 0.0]))


@dataclass(frozen=True, slots=True)
class Trial:
    """Both sides on held-out labels: of `labels` that the tuning has an opinion on, how often is right what the
    hybrid student says alone, and what the mixture says; `gain` in log-likelihood. Weights count.
    """

    labels: int
    alone: float
    mixed: float
    gain: float


class TransformerStudent:
    """Fitted on the belief that it was given; without one it is the hybrid student.

    `logits` reads the hybrid student's columns and, to their right, the tuned encoder's logits. These may be NaN,
    or missing altogether, where no tuned encoder has read the text.
    """

    kind = STUDENT

    def __init__(self, belief: TunedBelief | None = None) -> None:
        self._belief = belief
        self._hybrid = HybridStudent()
        self._verdict = _ALONE
        self._trial: Trial | None = None
        self._out_of_fold: NDArray[np.float64] | None = None
        self._pool: NDArray[np.float64] | None = None

    @property
    def share(self) -> float:
        """Of the tuned encoder in the mixture; 0 where it did not win."""
        return float(self._verdict.shares[1])

    @property
    def trial(self) -> Trial | None:
        """How the tuned encoder did on held-out labels; None where there was nothing to try."""
        return self._trial

    @property
    def refuted(self) -> bool:
        """Of the hybrid student: whether the first labels refuted the teacher."""
        return self._hybrid.refuted

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
        """See `ale.protocols.Student.fit`. The belief must be about the same rows; NaN where it knows nothing."""
        # A copy of this student is fitted again for the review: what it shares with us must stay as it is.
        self._hybrid = copy(self._hybrid).fit(
            pool, labelled, targets, labels=labels, groups=groups, teacher=teacher, weights=weights
        )
        held_out, of_pool = self._hybrid.out_of_fold_logits(), self._hybrid.pool_logits()
        self._out_of_fold, self._pool, self._verdict, self._trial = held_out, of_pool, _ALONE, None
        belief = self._belief
        if belief is None:
            return self
        if belief.held_out.shape != held_out.shape or belief.pool.shape != of_pool.shape:
            raise LabelSpaceMismatch(
                f"tuned on {belief.held_out.shape} held-out and {belief.pool.shape} pool logits, "
                f"not {held_out.shape} and {of_pool.shape}"
            )
        read = _read(belief.held_out)
        if not read.any():
            return self
        both: list[NDArray[np.floating]] = [held_out[read], belief.held_out[read]]
        counted = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
        verdict = judge(both, targets[read], counted[read], _BELIEVED)
        self._trial = _tried(verdict, both, targets[read], counted[read])
        if self._trial.gain > _GAIN:
            self._verdict = verdict
            self._out_of_fold = self._mixed(held_out, belief.held_out)
            self._pool = self._mixed(of_pool, belief.pool)
        return self

    def _mixed(self, plain: NDArray[np.float64], tuned: NDArray[np.floating]) -> NDArray[np.float64]:
        """The mixture's logits; where the tuned encoder knows nothing, the hybrid student's at the same scale."""
        read = _read(tuned)
        probs = softmax(plain, float(self._verdict.temperatures[0]))
        probs[read] = self._verdict.mix([plain[read], tuned[read]])
        return _logs(probs)

    @classmethod
    def of_teacher(cls, pool: Embeddings, teacher: Probs) -> Self | None:
        """See `ale.protocols.Student.of_teacher`: the hybrid student's."""
        hybrid = HybridStudent.of_teacher(pool, teacher)
        if hybrid is None:
            return None
        student = cls()
        student._hybrid = hybrid
        student._pool = hybrid.pool_logits()
        return student

    def out_of_fold_logits(self) -> NDArray[np.float64]:
        """See `ale.protocols.Student`: from fits and tunings without the row's text."""
        return _fresh(self._out_of_fold, "out-of-fold logits")

    def pool_logits(self) -> NDArray[np.float64]:
        """The mixture's belief about the pool."""
        return _fresh(self._pool, "logits of the pool")

    def committee(self) -> NDArray[np.float32] | None:
        """The hybrid student's candidates, and the tuned encoder where it has a share."""
        members = self._hybrid.committee()
        if self._belief is None or not self.share or members is None:
            return members
        tuned = softmax(np.nan_to_num(self._belief.pool), float(self._verdict.temperatures[1]))
        # Who has not read a text does not disagree about it.
        plain = softmax(self._hybrid.pool_logits(), float(self._verdict.temperatures[0]))
        tuned = np.where(_read(self._belief.pool)[:, None], tuned, plain)
        return np.concatenate([members, tuned[None]])

    def logits(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """Shape (rows, labels), before calibration; see the class for the columns."""
        weights = self._hybrid.state()[0]["weights"]
        columns, labels = weights.shape[0] - 1, weights.shape[1]
        if embeddings.shape[1] not in {columns, columns + labels}:
            raise LabelSpaceMismatch(
                f"the student reads {columns} columns and {labels} of the tuned encoder, "
                f"not {embeddings.shape[1]}"
            )
        plain = self._hybrid.logits(embeddings[:, :columns])
        if not self.share:
            return plain
        tuned = embeddings[:, columns:]
        return self._mixed(plain, tuned if tuned.shape[1] else np.full(plain.shape, np.nan, np.float32))

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """The hybrid student's, and the mixture. The tuned encoder's own weights are kept by who tuned it."""
        arrays, values = self._hybrid.state()
        mixture = {"shares": self._verdict.shares, "temperatures": self._verdict.temperatures}
        return {**arrays, **mixture}, {**values, "tuned_share": round(self.share, 4)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The student that `state` described."""
        student = cls()
        student._hybrid = HybridStudent.from_state(arrays, values)
        student._verdict = Verdict(
            np.asarray(arrays["temperatures"], np.float64), np.asarray(arrays["shares"], np.float64)
        )
        return student


def _fresh(found: NDArray[np.float64] | None, what: str) -> NDArray[np.float64]:
    if found is None:
        raise NotEnoughLabels("not_fitted", f"{what} exist only right after fit")
    return found


def _logs(probs: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(probs, _LEAST)), np.float64)


def _read(logits: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Rows about which a tuned encoder has said something."""
    return np.asarray(~np.isnan(logits).any(axis=1))


def _tried(
    verdict: Verdict,
    both: list[NDArray[np.floating]],
    targets: NDArray[np.int64],
    counted: NDArray[np.float64],
) -> Trial:
    alone, mixed = verdict.apart(both)[0], verdict.mix(both)
    rows = np.arange(len(targets))
    gain = counted @ (np.log(mixed[rows, targets] + _LEAST) - np.log(alone[rows, targets] + _LEAST))
    everyone = max(float(counted.sum()), 1e-9)

    def right(probs: NDArray[np.float32]) -> float:
        return float(counted @ (probs.argmax(axis=1) == targets)) / everyone

    return Trial(len(targets), right(alone), right(mixed), float(gain))
