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
from ale.types import Indices, Probs

GOLD = 0.8
"""How much of a labelled text's target is its label; the rest is what the student says without having seen it."""


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
    choosing: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Distilled:
    """The scanner that answers as `believed` does; `folds[i]` is the fold of the text in row `judged[i]`.

    Whether the beginnings of words count as well is decided by the likeliest beliefs about judged texts, by default
    about all of them: fewer features unless more of them are better.
    """
    target = believed[judged].argmax(axis=1)
    by = np.ones(len(judged), bool) if choosing is None else choosing
    held_out = {form: _held_out(texts, believed, judged, folds, form, seed) for form in (WORDS, STEMS)}

    def better(form: int) -> tuple[float, int]:
        return float(np.nan_to_num(accuracy(held_out[form][by].argmax(axis=1), target[by]))), -form

    form = max(held_out, key=better)
    return Distilled(learn_scanner(Texts.of(texts), believed, form=form, seed=seed), held_out[form])


def with_gold(student: Probs, truth: NDArray[np.int64]) -> Probs:
    """Targets of labelled texts: the label, softened by what the student says out of fold."""
    gold = np.eye(student.shape[1], dtype=np.float32)[truth]
    return np.asarray(GOLD * gold + (1 - GOLD) * student, np.float32)


def _held_out(
    texts: Sequence[str], believed: Probs, judged: Indices, folds: NDArray[np.int64], form: int, seed: int
) -> NDArray[np.float32]:
    """Logits of each judged text from a scanner that has not seen its fold."""
    fold_of = np.full(len(texts), -1, np.int64)
    fold_of[judged] = folds
    logits = np.zeros((len(texts), believed.shape[1]), np.float32)
    for fold in np.unique(folds):
        seen, rest = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(seen):
            continue
        scanner = learn_scanner(Texts.of([texts[row] for row in seen]), believed[seen], form=form, seed=seed)
        logits[rest] = scanner.logits(Texts.of([texts[row] for row in rest]))
    return logits[judged]
