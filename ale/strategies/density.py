"""Unsure and typical: a doubt that stands for many texts is worth more than one about an oddity."""

from __future__ import annotations

import numpy as np

from ale.strategies.batch import MOST_ROWS, distinct
from ale.strategies.diversity import typiclust
from ale.strategies.uncertainty import margin_scores, ordered
from ale.types import Beliefs, Embeddings, Indices, Scores

BETA = 1.0
_SAMPLE = 1_000  # a mean over a sample is within a few percent of the mean over the pool
_BLOCK = 4_096


def density_weighted(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The highest margin score times density ** beta (information density, Settles and Craven, 2008).

    Looks at the 20,000 least sure rows. Without any belief it is `typiclust`.
    """
    probs = beliefs.best
    if probs is None:
        return typiclust(beliefs, batch, rng)
    unsure = margin_scores(probs)
    rows = ordered(unsure, rng)[: max(MOST_ROWS, 2 * batch)]
    sample = beliefs.embeddings[np.sort(rng.permutation(len(beliefs))[:_SAMPLE])]
    scores = unsure[rows] * density_scores(beliefs.embeddings[rows], sample) ** BETA
    return distinct(beliefs.embeddings, rows[ordered(scores, rng)], batch)


def density_scores(points: Embeddings, sample: Embeddings) -> Scores:
    """Mean similarity to the sample over the greatest one; 1 = the densest place, higher = ask first.

    Similarity is the cosine, 0 for opposites: features are centred on the pool, so that the plain mean of
    cosines is next to zero for every text.
    """
    near = np.zeros(len(points))
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK] @ sample.T
        near[start : start + _BLOCK] = np.maximum(block, 0.0).mean(axis=1) if len(sample) else 0.0
    highest = near.max(initial=0.0)
    return near / highest if highest > 0 else np.ones(len(points))
