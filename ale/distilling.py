"""Teaching a scanner what the encoder student believes, and measuring it on texts that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.metrics import accuracy
from ale.scanner.features import STEMS, WORDS
from ale.scanner.learning import learn_scanner
from ale.scanner.scanner import Scanner
from ale.scanner.texts import Texts
from ale.scanner.words import Lexicon, WordVectors
from ale.types import Indices, Probs

GOLD = 0.8
"""How much of a labelled text's target is its label; the rest is what the student says without having seen it."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What can be chosen of a scanner: see `learn_scanner`; without `l2`, words have no vectors."""

    form: int
    l2: float | None = None


FIRM, LOOSE = 1.0, 0.3
SHAPES = (_Shape(WORDS), _Shape(STEMS))
WITH_VECTORS = (_Shape(WORDS, FIRM), _Shape(STEMS, FIRM), _Shape(STEMS, LOOSE))
"""Of shapes that are as good the first is taken: fewer features, but with vectors, which cost nothing and know more."""


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
    lexicon: Lexicon | None = None,
    choosing: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Distilled:
    """The scanner that answers as `believed` does; `folds[i]` is the fold of the text in row `judged[i]`.

    Which shape it has is decided by the likeliest beliefs about judged texts, by default about all of them. With a
    `lexicon` that may be one that knows words which no text has.
    """
    shapes = SHAPES if lexicon is None else (*WITH_VECTORS, *SHAPES)
    fold_of = np.full(len(texts), -1, np.int64)
    fold_of[judged] = folds
    held_out = {shape: np.zeros(believed.shape, np.float32) for shape in shapes}
    for fold in np.unique(folds):
        seen, rest = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(seen):
            continue
        lesson = _Lesson.of([texts[row] for row in seen], believed[seen], lexicon, seed)
        judge = Texts.of([texts[row] for row in rest])
        for shape in shapes:
            held_out[shape][rest] = lesson.taught(shape).logits(judge)
    by = judged if choosing is None else judged[choosing]
    target = believed[by].argmax(axis=1)

    def right(shape: _Shape) -> float:
        return float(np.nan_to_num(accuracy(held_out[shape][by].argmax(axis=1), target)))

    best = max(shapes, key=right)
    return Distilled(_Lesson.of(texts, believed, lexicon, seed).taught(best), held_out[best][judged])


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """Texts, what is believed of them, and the words that these texts and the lexicon have."""

    texts: Texts
    believed: Probs
    words: WordVectors | None
    seed: int

    @classmethod
    def of(cls, texts: Sequence[str], believed: Probs, lexicon: Lexicon | None, seed: int) -> _Lesson:
        words = None if lexicon is None else WordVectors.of(texts, lexicon)
        return cls(Texts.of(texts), believed, words, seed)

    def taught(self, shape: _Shape) -> Scanner:
        if shape.l2 is None:
            return learn_scanner(self.texts, self.believed, form=shape.form, seed=self.seed)
        return learn_scanner(
            self.texts, self.believed, form=shape.form, words=self.words, l2=shape.l2, seed=self.seed
        )


def with_gold(student: Probs, truth: NDArray[np.int64]) -> Probs:
    """Targets of labelled texts: the label, softened by what the student says out of fold."""
    gold = np.eye(student.shape[1], dtype=np.float32)[truth]
    return np.asarray(GOLD * gold + (1 - GOLD) * student, np.float32)
