"""Whether what is asked of a served model changes: its labels, its confidence, its texts, day by day.

Every measure is of a random sample of the day, and says what chance alone would do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency

from ale.types import Embeddings

SURPRISING = 1e-3
"""A day's labels have shifted when chance would do that on fewer days than this share."""
ENOUGH = 20
"""Predictions of a day below which nothing is said of it."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day's sample against the reference; None where too little is known.

    `shift`: half the sum of differences of the label shares, in [0, 1]; `by_chance`: what it would be on average if
    nothing had changed. `distance`: how far the mean of the day's embeddings is from that of the model's pool, 0 = equal,
    as an estimate that does not grow with fewer texts.
    """

    day: str
    predictions: int
    shift: float | None
    by_chance: float | None
    shifted: bool
    confidence: float | None
    unsure: float | None
    distance: float | None


def measure(
    day: str,
    labels: Sequence[str],
    confidence: Sequence[float],
    reference: Mapping[str, int],
    embeddings: Embeddings | None,
    below: float,
) -> Day:
    """`embeddings` are centred on the model's pool and of unit length; `below` is what counts as unsure."""
    counts = Counter(labels)
    names = sorted(counts.keys() | reference.keys())
    now = np.array([counts[name] for name in names], np.float64)
    then = np.array([reference.get(name, 0) for name in names], np.float64)
    shift = by_chance = None
    shifted = False
    if now.sum() >= ENOUGH and then.sum() >= ENOUGH:
        shift = float(0.5 * np.abs(now / now.sum() - then / then.sum()).sum())
        share = (now + then) / (now + then).sum()
        spread = np.sqrt(share * (1 - share) * (1 / now.sum() + 1 / then.sum()))
        by_chance = float(0.5 * math.sqrt(2 / math.pi) * spread.sum())
        if len(names) > 1:
            shifted = bool(chi2_contingency(np.stack([now, then]), correction=False).pvalue < SURPRISING)
    known = np.array(confidence, np.float64)
    return Day(
        day=day,
        predictions=len(labels),
        shift=shift,
        by_chance=by_chance,
        shifted=shifted,
        confidence=float(known.mean()) if len(known) else None,
        unsure=float((known < below).mean()) if len(known) else None,
        distance=distance(embeddings) if embeddings is not None and len(embeddings) >= ENOUGH else None,
    )


def distance(unit: Embeddings) -> float:
    """Length of the mean of unit vectors, less what n of them have by chance alone."""
    n = len(unit)
    square = float((unit.mean(axis=0, dtype=np.float64) ** 2).sum())
    return math.sqrt(max(0.0, (n * square - 1) / (n - 1)))
