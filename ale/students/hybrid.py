"""The hybrid student: teacher, neighbours and human labels in one mixture, distilled into a linear model.

1. The ground: the pool's main directions and its graph; the teacher, its student (firm and loose), and its
   answers smoothed over the graph are opinions about every text of the pool.
2. Candidates: softmax regressions of the human labels that lean on some of these opinions, and plain ones.
3. A mixture: cross-validation on the human labels says how much each candidate is worth, so that a bad
   teacher costs little and a good one is heard.
4. Distillation: the mixture's belief about all of the pool, human rows clamped, makes a linear student that
   answers for any text, with a memory of what was believed of the nearest ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.errors import LabelSpaceMismatch, NotEnoughLabels
from ale.folds import assign_folds
from ale.students.candidates import (
    ALL_OPINIONS,
    FEW,
    PLAIN,
    Labelled,
    candidates_for,
    fit_candidate,
    folds_for,
    held_out_logits,
    labelled_directions,
    refuted,
    silence,
    stack,
)
from ale.students.distilling import clamp, distil, straight_part
from ale.students.ground import Ground, main_directions, survey
from ale.students.memory import DIRECTIONS, Memory, with_memory
from ale.students.mixture import judge
from ale.students.softmax import Weights, apply, one_hot
from ale.types import Embeddings, Indices, Probs

_LEAST = 1e-7  # of a probability, before its logarithm


@dataclass(frozen=True, slots=True, eq=False)
class _Surveyed:
    """The arrays that were surveyed, and what was found."""

    pool: Embeddings
    teacher: Probs | None
    ground: Ground | None
    basis: NDArray[np.float32]


class HybridStudent:
    """A linear model distilled from a mixture over the pool, and a memory of it. No other state."""

    kind = "hybrid"

    def __init__(
        self,
        weights: Weights | None = None,
        values: Mapping[str, Any] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._weights = weights
        self._memory = memory
        self._values: dict[str, Any] = dict(values or {})
        self._out_of_fold: NDArray[np.float64] | None = None
        self._pool: NDArray[np.float64] | None = None
        self._committee: NDArray[np.float32] | None = None
        self._refuted = False
        self._surveyed: _Surveyed | None = None

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
        """See `ale.protocols.Student.fit`. Deterministic; a second fit to the same arrays knows the ground."""
        if len(np.unique(targets)) < 2:
            raise NotEnoughLabels("need_two_classes", "a student needs labels of at least two classes")
        ground, basis = self._survey(pool, teacher)
        counts = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
        said = {} if ground is None else {name: o[labelled] for name, o in ground.opinions.items()}
        texts = (
            np.arange(len(targets)) if groups is None else groups
        )  # ten labels of one text tell as much as one
        heard = None
        if ground is not None and teacher is not None:
            heard = len(np.unique(texts[~np.isnan(teacher[labelled]).any(axis=1)]))
        candidates = candidates_for(len(np.unique(texts)), labels, heard=heard)
        self._refuted = (
            teacher is not None and candidates is FEW and refuted(teacher[labelled], said, targets, counts)
        )
        if self._refuted:
            ground, said, candidates = None, {}, PLAIN
        opinions = {} if ground is None else ground.opinions
        span = labelled_directions(pool[labelled])
        short = np.hstack([pool @ span, silence(teacher if ground is not None else None, len(pool))])
        given = Labelled(
            short[labelled],
            targets,
            one_hot(targets, labels),
            counts,
            said,
        )
        held_out = held_out_logits(candidates, given, assign_folds(targets, groups, folds_for(labels)))
        verdict = judge(held_out, targets, given.weights, [c.believed for c in candidates])
        self._out_of_fold = _logs(verdict.mix(held_out))

        fits = [fit_candidate(candidate, given) for candidate in candidates]
        members = [
            fit.logits(short, stack(candidate, opinions, len(pool), labels))
            for candidate, fit in zip(candidates, fits, strict=True)
        ]
        self._committee = verdict.apart(members)
        believed, counted = clamp(verdict.mix(members), labelled, given)
        self._pool = _logs(believed)
        straight = np.sum(
            [
                np.float32(share / t) * straight_part(candidate, fit, span, ground)
                for candidate, fit, share, t in zip(
                    candidates, fits, verdict.shares, verdict.temperatures, strict=True
                )
            ],
            axis=0,
        )
        alone = straight if ground is None else distil(pool, ground, straight, believed, counted)
        self._weights, self._memory = with_memory(pool, basis, alone, believed, labelled)
        self._values = {
            "mixture": [
                {"l2": c.l2, "leans_on": list(c.leans_on), "share": round(float(share), 4)}
                for c, share in zip(candidates, verdict.shares, strict=True)
            ]
        }
        return self

    @property
    def refuted(self) -> bool:
        """Whether the first labels spoke so loudly against the teacher that it was not heard at all."""
        return self._refuted

    def _survey(self, pool: Embeddings, teacher: Probs | None) -> tuple[Ground | None, NDArray[np.float32]]:
        """The ground and the main directions of a pool; half of a quick fit is spent on them."""
        known = self._surveyed
        if known is None or known.pool is not pool or known.teacher is not teacher:
            ground = survey(pool, teacher)
            basis = main_directions(pool, DIRECTIONS) if ground is None else ground.basis
            known = self._surveyed = _Surveyed(pool, teacher, ground, basis)
        return known.ground, known.basis

    @classmethod
    def of_teacher(cls, pool: Embeddings, teacher: Probs) -> Self | None:
        """See `ale.protocols.Student.of_teacher`: the mixture as it is expected to be, distilled."""
        ground = survey(pool, teacher)
        if ground is None:
            return None
        labels = teacher.shape[1]
        scales = np.array(list(ALL_OPINIONS.leans_on.values()))
        told = stack(ALL_OPINIONS, ground.opinions, len(pool), labels)
        mixed = softmax(np.einsum("m,mij->ij", scales, told))
        alone = distil(pool, ground, ground.firm, mixed, np.ones(len(pool)))
        weights, memory = with_memory(pool, ground.basis, alone, mixed, np.zeros(0, np.int64))
        student = cls(weights, {"mixture": []}, memory)
        student._pool = _logs(mixed)
        return student

    def out_of_fold_logits(self) -> NDArray[np.float64]:
        """See `ale.protocols.Student`; only a student that was fitted in this process has them."""
        return _fresh(self._out_of_fold, "out-of-fold logits")

    def pool_logits(self) -> NDArray[np.float64]:
        """The mixture's belief about the pool, human rows clamped."""
        return _fresh(self._pool, "logits of the pool")

    def committee(self) -> NDArray[np.float32] | None:
        """Probabilities of the candidates over the pool."""
        return self._committee

    def logits(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """Shape (rows, labels), before calibration."""
        if self._weights is None:
            raise NotEnoughLabels("not_fitted", "the student has not been fitted")
        if embeddings.shape[1] != len(self._weights) - 1:
            raise LabelSpaceMismatch(
                f"the student reads {len(self._weights) - 1} columns, not {embeddings.shape[1]}"
            )
        alone = apply(embeddings, self._weights)
        return alone if self._memory is None else alone + self._memory.logits(embeddings)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """The weights and the memory; the values only tell a reader what the mixture was."""
        if self._weights is None:
            raise NotEnoughLabels("not_fitted", "the student has not been fitted")
        memory = {} if self._memory is None else self._memory.state()
        return {"weights": self._weights, **memory}, dict(self._values)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The student that `state` described."""
        return cls(np.asarray(arrays["weights"], np.float32), values, Memory.from_state(arrays))


def _fresh(found: NDArray[np.float64] | None, what: str) -> NDArray[np.float64]:
    if found is None:
        raise NotEnoughLabels("not_fitted", f"{what} exist only right after fit")
    return found


def _logs(probs: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(probs, _LEAST)), np.float64)
