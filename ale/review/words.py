"""A second view of the texts: their words and letters. It errs elsewhere than an encoder does.

Ridge regression on TF-IDF of words, word pairs and pieces of words, cross-validated. It is solved by
conjugate gradients on sparse rows, so that no matrix of rows by rows is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.folds import assign_folds
from ale.review.ridge import calibrated

_FOLDS = 10
_ROUNDS, _CLOSE = 25, 1e-3
_STRENGTH = 1.0
_CHARS = 2_000  # of a text; the rest of a long one costs much and says the same
MOST_ROWS = 50_000
"""With more rows the encoder's view alone is good enough, and this one would cost minutes."""


def held_out_by_words(
    texts: Sequence[str],
    targets: NDArray[np.int64],
    labels: int,
    groups: NDArray[np.int64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Log probabilities (rows, labels), each row judged by other folds. Zeros where there is nothing to count."""
    n = len(targets)
    weight = np.ones(n) if weights is None else weights.astype(np.float64)
    counts = _tfidf(texts)
    if counts is None:
        return np.zeros((n, labels))
    truth = np.eye(labels, dtype=np.float32)[targets]
    out = np.zeros((n, labels))
    folds = assign_folds(targets, groups, _FOLDS)
    for fold in np.unique(folds):
        seen = np.flatnonzero((folds != fold) & (weight > 0))
        if not len(seen):
            continue
        share = truth[seen].mean(axis=0)
        out[folds == fold] = counts[folds == fold] @ _ridge(counts[seen], truth[seen] - share) + share
    return calibrated(out, targets, weight)[1]


def _tfidf(texts: Sequence[str]) -> Any | None:
    """Sparse rows of unit length at most; None when no text has a word."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    cut = [text[:_CHARS] for text in texts]
    same = {"sublinear_tf": True, "dtype": np.float32}
    views = [
        TfidfVectorizer(ngram_range=(1, 2), **same),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, **same),
    ]
    found = []
    for view in views:
        try:
            found.append(view.fit_transform(cut))
        except ValueError:  # how scikit-learn says that no word is left
            continue
    return hstack(found).tocsr() * np.float32(np.sqrt(0.5)) if found else None


def _ridge(rows: Any, truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights (columns, labels) by conjugate gradients in the rows, all labels side by side."""
    back = rows.T.tocsr()
    found = np.zeros_like(truth)
    left = truth.copy()
    step = left.copy()
    size = (left * left).sum(axis=0)
    goal = _CLOSE**2 * np.maximum(size, 1e-12)
    for _ in range(_ROUNDS):
        if (size <= goal).all():
            break
        moved = rows @ (back @ step) + np.float32(_STRENGTH) * step
        length = size / np.maximum((step * moved).sum(axis=0), 1e-12)
        found += length * step
        left -= length * moved
        new = (left * left).sum(axis=0)
        step = left + (new / np.maximum(size, 1e-12)) * step
        size = new
    return np.asarray(back @ found, np.float32)
