"""From the mixture's belief about the pool to a linear student that answers for any text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.students.candidates import Candidate, Labelled
from ale.students.ground import Ground, expand, spread_rows
from ale.students.leaning import Leaning, fit_leaning
from ale.students.mixture import sureness
from ale.students.softmax import Weights, apply
from ale.types import Embeddings, Indices

DISTIL_L2 = 1.0
SHARPER = 1.5  # taught by the squared-and-a-half belief it was half a point better on three sets
DOUBT = 0.1  # the mixture's word about a labelled row counts a tenth of a label
HUMAN_WEIGHT = 2.0


def clamp(
    mixed: NDArray[np.float32], labelled: Indices, given: Labelled
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The mixture with labelled rows drawn to their labels, and the weight of every row in the distillation."""
    said = np.zeros_like(mixed)
    np.add.at(said, labelled, given.soft * given.weights[:, None].astype(np.float32))
    heard = said.sum(axis=1)
    clamped = (said + DOUBT * mixed) / (heard + DOUBT)[:, None]
    out = np.where(heard[:, None] > 0, clamped, mixed)
    return np.asarray(out, np.float32), 1.0 + (HUMAN_WEIGHT - 1.0) * np.minimum(heard, 1.0).astype(np.float64)


def straight_part(
    candidate: Candidate, fit: Leaning, span: NDArray[np.float32], ground: Ground | None
) -> Weights:
    """The linear part of a candidate: all but what it heard of the teacher's single answers and silences."""
    weights = expand(np.vstack([fit.weights[: span.shape[1]], fit.weights[-1:]]), span)
    for name, scale in zip(candidate.leans_on, fit.scales, strict=True):
        if name == "firm" and ground is not None:
            weights = weights + np.float32(scale) * ground.firm
    return weights


def distil(
    pool: Embeddings,
    ground: Ground,
    straight: Weights,
    probs: NDArray[np.float32],
    weights: NDArray[np.float64],
) -> Weights:
    """The linear student of the mixture: its linear part, and a correction learnt from its sharpened belief."""
    sharp = probs**SHARPER
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
