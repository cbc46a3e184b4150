"""What is a word worth that somebody else said about the same text? What it has earned, label by label.

Every teacher, each (model, prompt) pair of one, and every other annotator of the text is a noisy witness with a
table: how often it says z when the truth is t (Dawid and Skene, 1979). The tables are shrunk, to the witness's
overall accuracy and to what is usual. How far witnesses repeat each other is for the channel's powers to find.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.calibration import log_softmax
from ale.types import Probs

Truth = NDArray[np.float64]
"""Shape (rows, labels): what is believed of each row's truth while tables are made."""

_ASSUMED, _ASSUMED_ROWS = 0.7, 5.0  # how often a witness is right, before it was seen
_OWN_ROWS = 5.0  # rows of the overall accuracy that stand behind each label of a teacher
_SHARED_ROWS = 20.0  # rows of the common table that stand behind each label of an annotator
_FLOOR = 1e-3  # no distribution is taken to be surer


def words_of(probs: Probs) -> NDArray[np.int64]:
    """The likeliest label of every row, -1 where the teacher was silent."""
    silent = np.isnan(probs).any(axis=1)
    return np.where(silent, -1, np.nan_to_num(probs).argmax(axis=1)).astype(np.int64)


def table(said: NDArray[np.int64], truth: Truth) -> NDArray[np.float64]:
    """`table[t, z]`: the chance that it says z when the truth is t; rows sum to 1. -1 in `said` is silence."""
    labels = truth.shape[1]
    counts = _count(said, truth)
    right = float(np.trace(counts)) + _ASSUMED * _ASSUMED_ROWS
    return _shrunk(counts, _usual(right / (float(counts.sum()) + _ASSUMED_ROWS), labels), _OWN_ROWS)


def teacher_opinions(teacher: Probs, truth: Truth) -> list[NDArray[np.float64]]:
    """Its words by its table and, where it gave more than words, its distributions; silent rows are zeros."""
    said = words_of(teacher)
    spoke = said >= 0
    if not spoke.any() or truth.shape[1] < 2:
        return []
    by_word = np.zeros(truth.shape)
    by_word[spoke] = np.log(table(said, truth)[:, said[spoke]].T)
    sure = np.round(teacher[spoke].max(axis=1), 4)
    if (
        len(np.unique(sure)) <= truth.shape[1] + 1
    ):  # one number per label at most: it gave words, nothing more
        return [by_word]
    spread = np.zeros(truth.shape)
    spread[spoke] = np.log(np.maximum(teacher[spoke].astype(np.float64), _FLOOR))
    return [by_word, spread]


def annotator_tables(
    given: NDArray[np.int64], annotators: NDArray[np.int64], groups: NDArray[np.int64], truth: Truth
) -> NDArray[np.float64]:
    """Shape (annotators, labels, labels): each one's table, by what others' labels of the same texts suggest."""
    labels, people = truth.shape[1], int(annotators.max(initial=0)) + 1
    _, group = np.unique(groups, return_inverse=True)
    total = np.zeros((int(group.max(initial=-1)) + 1, labels))
    np.add.at(total, group, truth)
    many = np.bincount(group)
    rest = total[group] - truth  # what the other rows of the text say of it
    seen = np.flatnonzero(many[group] > 1)
    expected = rest[seen] / (many[group[seen]] - 1)[:, None]
    counts = np.zeros((people, labels, labels))
    np.add.at(counts.transpose(0, 2, 1), (annotators[seen], given[seen]), expected)
    together = counts.sum(axis=0)
    right = float(np.trace(together)) + _ASSUMED * _ASSUMED_ROWS
    common = _shrunk(together, _usual(right / (float(together.sum()) + _ASSUMED_ROWS), labels), _OWN_ROWS)
    return np.stack([_shrunk(one, common, _SHARED_ROWS) for one in counts])


def other_annotators(
    given: NDArray[np.int64],
    annotators: NDArray[np.int64],
    groups: NDArray[np.int64],
    tables: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What the other annotators of each row's text say together: log chances; even where there is no other."""
    _, group = np.unique(groups, return_inverse=True)
    own = np.log(tables[annotators, :, given])
    total = np.zeros((int(group.max(initial=-1)) + 1, own.shape[1]))
    np.add.at(total, group, own)
    return log_softmax(total[group] - own)


def _count(said: NDArray[np.int64], truth: Truth) -> NDArray[np.float64]:
    spoke = said >= 0
    counts = np.zeros((truth.shape[1], truth.shape[1]))
    np.add.at(counts.T, said[spoke], truth[spoke])
    return counts


def _usual(accuracy: float, labels: int) -> NDArray[np.float64]:
    right = float(np.clip(accuracy, 1.0 / labels, 0.98))
    out = np.full((labels, labels), (1.0 - right) / max(1, labels - 1))
    np.fill_diagonal(out, right)
    return out


def _shrunk(counts: NDArray[np.float64], usual: NDArray[np.float64], rows: float) -> NDArray[np.float64]:
    return np.asarray((counts + rows * usual) / (counts.sum(axis=1, keepdims=True) + rows))
