"""Teaching a scanner what the encoder student believes, and measuring it on texts that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ale.metrics import accuracy
from ale.scanner.features import STEMS, WORDS
from ale.scanner.learning import learn_scanner
from ale.scanner.scanner import Scanner
from ale.scanner.texts import Texts
from ale.scanner.words import WordVectors
from ale.types import Indices, Probs

GOLD = 0.8
"""How much of a labelled text's target is its label; the rest is what the student says without having seen it."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What can be chosen of a scanner: see `learn_scanner`."""

    form: int
    l2: float


FIRM, LOOSE = 1.0, 0.3
SHAPES = (_Shape(WORDS, FIRM), _Shape(STEMS, FIRM))
"""The simplest first: of two that are as good it is taken."""
BY_VECTORS = (*SHAPES, _Shape(STEMS, LOOSE))
"""With vectors of words there is one more: few texts or many labels gain by it, others may lose."""


@dataclass(frozen=True, slots=True, eq=False)
class Distilled:
    """The scanner, not calibrated, and its logits of each judged text out of fold."""

    scanner: Scanner
    logits: NDArray[np.float32]


def distil(
    texts: Sequence[str],
    believed: Probs,
    judged: Indices,
    folds: NDArray[np.int64],
    *,
    words: WordVectors | None = None,
    choosing: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Distilled:
    """The scanner that answers as `believed` does; `folds[i]` is the fold of the text in row `judged[i]`.

    Which shape it has is decided by the likeliest beliefs about judged texts, by default about all of them.
    """
    target = believed[judged].argmax(axis=1)
    by = np.ones(len(judged), bool) if choosing is None else choosing

    def taught(shape: _Shape, rows: Indices) -> Scanner:
        some = Texts.of([texts[row] for row in rows])
        return learn_scanner(some, believed[rows], form=shape.form, words=words, l2=shape.l2, seed=seed)

    def right(shape: _Shape) -> float:
        return float(np.nan_to_num(accuracy(held_out[shape][by].argmax(axis=1), target[by])))

    shapes = SHAPES if words is None else BY_VECTORS
    held_out = {
        shape: _held_out(texts, believed.shape[1], judged, folds, partial(taught, shape)) for shape in shapes
    }
    best = max(shapes, key=right)
    return Distilled(taught(best, np.arange(len(texts))), held_out[best])


def with_gold(student: Probs, truth: NDArray[np.int64]) -> Probs:
    """Targets of labelled texts: the label, softened by what the student says out of fold."""
    gold = np.eye(student.shape[1], dtype=np.float32)[truth]
    return np.asarray(GOLD * gold + (1 - GOLD) * student, np.float32)


def _held_out(
    texts: Sequence[str],
    labels: int,
    judged: Indices,
    folds: NDArray[np.int64],
    taught: Callable[[Indices], Scanner],
) -> NDArray[np.float32]:
    """Logits of each judged text from a scanner that has not seen its fold."""
    fold_of = np.full(len(texts), -1, np.int64)
    fold_of[judged] = folds
    logits = np.zeros((len(texts), labels), np.float32)
    for fold in np.unique(folds):
        seen, rest = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if len(seen):
            logits[rest] = taught(seen).logits(Texts.of([texts[row] for row in rest]))
    return logits[judged]
