"""Cross-validation folds in which equal texts stay together and every label is spread evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def assign_folds(
    targets: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> NDArray[np.int64]:
    """The fold, 0 to at most `folds` - 1, of every row; the same input always gives the same folds.

    A text that was labelled twice must not help to predict itself, so a group never straddles two folds.
    Labels with fewer rows than folds are fine: they miss from some folds. A single group is a single fold.
    """
    n = len(targets)
    if n == 0:
        return np.zeros(0, np.int64)
    _, group = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    folds = min(folds, int(group.max()) + 1)
    counts = np.bincount(targets)
    # Rare labels are dealt first, while every fold still has room: dealing is greedy.
    order = np.random.default_rng(seed).permutation(int(group.max()) + 1)
    rarest = np.full(len(order), n + 1, np.int64)
    np.minimum.at(rarest, group, counts[targets])
    order = order[np.argsort(rarest[order], kind="stable")]
    return _deal(order, group, targets, folds)[group]


def _deal(
    order: NDArray[np.int64], group: NDArray[np.int64], targets: NDArray[np.int64], folds: int
) -> NDArray[np.int64]:
    """The fold of every group: the one with the fewest rows of the group's labels, then the smallest fold."""
    by_group = np.split(targets[np.argsort(group, kind="stable")], np.cumsum(np.bincount(group))[:-1])
    held = np.zeros((folds, int(targets.max()) + 1), np.int64)
    size = np.zeros(folds, np.int64)
    fold_of = np.zeros(len(order), np.int64)
    for one in order:
        labels = by_group[one]
        fold = int(np.lexsort((size, held[:, labels].sum(axis=1)))[0])
        fold_of[one] = fold
        np.add.at(held[fold], labels, 1)
        size[fold] += len(labels)
    return fold_of
