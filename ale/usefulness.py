"""Which served texts are worth an annotator's time: what people objected to, what the model was unsure of, what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ale.types import Embeddings

COMMON = 0.99
"""A text is new when it is further from the pool than so many of the pool's texts are from each other."""
_ROWS_AT_ONCE = 1_024


class Why(StrEnum):
    """Why a text was chosen, the strongest reason first."""

    OBJECTED = "negative feedback"
    UNSURE = "low confidence"
    NEW = "unlike the project's texts"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate by its place, and why."""

    place: int
    why: Why


def choose(
    objected: Sequence[bool],
    confidence: Sequence[float | None],
    novelty: NDArray[np.float64] | None,
    *,
    below: float,
    limit: int,
) -> list[Chosen]:
    """At most `limit`: all that was objected to first, then unsure and new ones in turns, the worst first.

    `novelty` in [0, 1] is the share of the pool's texts that are less far from the others; None: not known.
    """
    n = len(objected)
    first = [Chosen(i, Why.OBJECTED) for i in range(n) if objected[i]]
    sure = np.array([1.0 if c is None else c for c in confidence], np.float64)
    unsure = [
        Chosen(int(i), Why.UNSURE)
        for i in np.argsort(sure, kind="stable")
        if sure[i] < below and not objected[i]
    ]
    new = []
    if novelty is not None:
        new = [
            Chosen(int(i), Why.NEW)
            for i in np.argsort(-novelty, kind="stable")
            if novelty[i] >= COMMON and not objected[i]
        ]
    found: dict[int, Chosen] = {one.place: one for one in first}
    for turn in range(max(len(unsure), len(new))):
        for side in (unsure, new):
            if turn < len(side):
                found.setdefault(side[turn].place, side[turn])
    return list(found.values())[:limit]


def novelty(texts: Embeddings, pool: Embeddings) -> NDArray[np.float64]:
    """Per text, the share of the pool that is less far from its nearest neighbour; rows of unit length."""
    own = np.sort(1.0 - _nearest(pool, pool, itself=True))
    return np.searchsorted(own, 1.0 - _nearest(texts, pool), side="left") / max(1, len(own))


def _nearest(rows: Embeddings, pool: Embeddings, *, itself: bool = False) -> NDArray[np.float64]:
    out = np.zeros(len(rows), np.float64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        cosines = rows[start : start + _ROWS_AT_ONCE] @ pool.T
        if itself:
            here = np.arange(len(cosines))
            cosines[here, start + here] = -np.inf
        out[start : start + len(cosines)] = cosines.max(axis=1, initial=-1.0)
    return out
