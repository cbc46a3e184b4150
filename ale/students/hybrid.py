"""The hybrid student: teacher, neighbours and human labels in one mixture, distilled into a linear model.

1. The ground: the pool's main directions and its graph; the teacher, its student (firm and loose), and its
   answers smoothed over the graph are opinions about every text of the pool.
2. Candidates: softmax regressions of the human labels that lean on some of these opinions, and plain ones.
3. A mixture: cross-validation on the human labels says how much each candidate is worth, so that a bad
   teacher costs little and a good one is heard.
4. Distillation: the mixture's belief about all of the pool, human rows clamped, makes a linear student that
   answers for any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.errors import LabelSpaceMismatch, NotEnoughLabels
from ale.folds import FOLDS, assign_folds
from ale.students.candidates import (
    ALL_OPINIONS,
    MANY_LABELS,
    Candidate,
    Labelled,
    candidates_for,
    fit_candidate,
    held_out_logits,
    labelled_directions,
    stack,
)
from ale.students.ground import Ground, expand, spread_rows, survey
from ale.students.leaning import Leaning, fit_leaning
from ale.students.mixture import mix, mixture_weights, sureness, temperatures
from ale.students.softmax import Weights, apply, one_hot
from ale.types import Embeddings, Indices, Probs

DISTIL_L2 = 1.0
DISTIL_SHARPER = 1.5
_DOUBT = 0.1  # the mixture's word about a labelled row counts a tenth of a label
_HUMAN_WEIGHT = 2.0
_LEAST = 1e-7


class HybridStudent:
    """A linear model distilled from a mixture over the pool. No state besides its weights."""

    kind = "hybrid"

    def __init__(self, weights: Weights | None = None, values: Mapping[str, Any] | None = None) -> None:
        self._weights = weights
        self._values: dict[str, Any] = dict(values or {})
        self._out_of_fold: NDArray[np.float64] | None = None
        self._pool: NDArray[np.float64] | None = None
        self._committee: NDArray[np.float32] | None = None

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
        """See `ale.protocols.Student.fit`. Deterministic."""
        if len(np.unique(targets)) < 2:
            raise NotEnoughLabels("need_two_classes", "a student needs labels of at least two classes")
        ground = survey(pool, teacher)
        opinions = {} if ground is None else ground.opinions
        span = labelled_directions(pool[labelled])
        given = Labelled(
            pool[labelled] @ span,
            targets,
            one_hot(targets, labels),
            np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64),
            {name: opinion[labelled] for name, opinion in opinions.items()},
        )
        candidates = candidates_for(labels, teacher=ground is not None)
        held_out = held_out_logits(
            candidates, given, assign_folds(targets, groups, FOLDS if labels < MANY_LABELS else 3)
        )
        scale = temperatures(held_out, targets, given.weights)
        believed = np.array([candidate.believed for candidate in candidates])
        probs = np.stack([mix([h], scale[i : i + 1], np.ones(1)) for i, h in enumerate(held_out)])
        shares = mixture_weights(probs, targets, given.weights, believed)
        self._out_of_fold = np.log(np.maximum(np.einsum("m,mij->ij", shares, probs), _LEAST)).astype(
            np.float64
        )

        everything = np.ones(len(targets), bool)
        near = pool @ span
        members = []
        straight = np.zeros((pool.shape[1] + 1, labels), np.float32)
        for candidate, t, share in zip(candidates, scale, shares, strict=True):
            fit = fit_candidate(candidate, given, everything)
            logits = fit.logits(near, stack(candidate, opinions, len(pool), labels))
            members.append(mix([logits], np.array([t]), np.ones(1)))
            straight += np.float32(share / t) * _straight(candidate, fit, span, ground)
        self._committee = np.stack(members)
        mixed = np.einsum("m,mij->ij", shares.astype(np.float32), self._committee)
        clamped, counted = _clamp(mixed, labelled, given)
        self._pool = np.log(np.maximum(clamped, _LEAST)).astype(np.float64)
        self._weights = _distil(pool, ground, straight, clamped, counted) if ground is not None else straight
        self._values = {
            "mixture": [
                {"l2": c.l2, "leans_on": list(c.leans_on), "share": round(float(s), 4)}
                for c, s in zip(candidates, shares, strict=True)
            ]
        }
        return self

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
        student = cls(_distil(pool, ground, ground.firm, mixed, np.ones(len(pool))), {"mixture": []})
        student._pool = np.log(np.maximum(mixed, _LEAST)).astype(np.float64)
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
        return apply(embeddings, self._weights)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """The weights; the values only tell a reader what the mixture was."""
        if self._weights is None:
            raise NotEnoughLabels("not_fitted", "the student has not been fitted")
        return {"weights": self._weights}, dict(self._values)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The student that `state` described."""
        return cls(np.asarray(arrays["weights"], np.float32), values)


def _fresh(found: NDArray[np.float64] | None, what: str) -> NDArray[np.float64]:
    if found is None:
        raise NotEnoughLabels("not_fitted", f"{what} exist only right after fit")
    return found


def _clamp(
    mixed: NDArray[np.float32], labelled: Indices, given: Labelled
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The mixture with labelled rows drawn to their labels, and the weight of every row in the distillation."""
    said = np.zeros_like(mixed)
    np.add.at(said, labelled, given.soft * given.weights[:, None].astype(np.float32))
    heard = said.sum(axis=1)
    clamped = (said + _DOUBT * mixed) / (heard + _DOUBT)[:, None]
    out = np.where(heard[:, None] > 0, clamped, mixed)
    return np.asarray(out, np.float32), 1.0 + (_HUMAN_WEIGHT - 1.0) * np.minimum(heard, 1.0).astype(
        np.float64
    )


def _straight(candidate: Candidate, fit: Leaning, span: NDArray[np.float32], ground: Ground) -> Weights:
    """The linear part of a candidate: all but what it heard of the teacher's single answers."""
    weights = expand(fit.weights, span)
    for name, scale in zip(candidate.leans_on, fit.scales, strict=True):
        if name == "firm" and ground is not None:
            weights = weights + np.float32(scale) * ground.firm
    return weights


def _distil(
    pool: Embeddings,
    ground: Ground,
    straight: Weights,
    probs: NDArray[np.float32],
    weights: NDArray[np.float64],
) -> Weights:
    """The linear student of the mixture: its linear part, and a correction learnt from its sharpened belief."""
    sharp = probs**DISTIL_SHARPER
    sharp /= sharp.sum(axis=1, keepdims=True)
    known = np.stack([apply(pool, straight).astype(np.float32), ground.opinions["firm"]])
    rows = np.union1d(spread_rows(len(pool), probs.shape[1]), np.flatnonzero(weights > 1.0))
    fit = fit_leaning(
        ground.short[rows],
        sharp[rows],
        weights[rows],
        l2=DISTIL_L2,
        opinions=known[:, rows],
        expected=np.array([1.0, 0.0]),
        rounds=30,
    )
    # As sure as the mixture is, on average over the pool: sharpening was only for teaching.
    doubt = np.float32(sureness(fit.logits(ground.short, known), probs))
    own = expand(fit.weights, ground.basis)
    found = (own + np.float32(fit.scales[0]) * straight + np.float32(fit.scales[1]) * ground.firm) / doubt
    return np.asarray(found, np.float32)
