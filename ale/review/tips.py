"""What is odd about a data set as a whole: pairs that are confused, equal texts with two labels, rare labels, outliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement
from ale.review.counted import counted
from ale.review.issues import CUT, MIN_OF_CLASS
from ale.review.labelled import Labelled
from ale.review.neighbours import MOST_ROWS, nearest

_PAIR_SHARE, _PAIR_ROWS = 0.2, 5  # of all doubted labels, from which a pair is worth a word
_TWIN = 0.95  # cosine from which two texts are the same but for a detail
_ALONE = 0.1  # cosine to the closest text below which a text speaks of nothing that others speak of
_FEWEST = 50  # rows, below which it says nothing that a text resembles none of the others
_SHOWN = 20
_NAMED = 10

Closest = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Of every row, the most similar row with another text and their cosine."""


@dataclass(frozen=True, slots=True)
class Tip:
    """`kind` is a stable word; `rows` are rows of the file that show it."""

    kind: str
    text: str
    rows: tuple[int, ...]


def find_tips(data: Labelled, found: Judgement) -> Iterator[Tip]:
    """The tips, what concerns most labels first."""
    closest = _closest(data)
    yield from _confused_pairs(data, found)
    yield from _two_labels(data, closest)
    yield from _rare(data)
    yield from _outliers(data, closest)


def _closest(data: Labelled) -> Closest | None:
    """None where there are too many rows to compare all with all, or nothing to compare."""
    n = len(data.rows)
    if not 2 <= n <= MOST_ROWS:
        return None
    near, closeness = nearest(data.evidence.features, np.arange(n), 1, data.evidence.groups)
    return near[:, 0], closeness[:, 0]


def _confused_pairs(data: Labelled, found: Judgement) -> Iterator[Tip]:
    doubted = np.flatnonzero(found.score > CUT)
    truth = found.truth.argmax(axis=1)
    low, high = np.minimum(truth, data.given)[doubted], np.maximum(truth, data.given)[doubted]
    apart = low != high
    pairs, count = np.unique(np.stack([low, high])[:, apart], axis=1, return_counts=True)
    for at in np.argsort(-count, kind="stable"):
        if count[at] < max(_PAIR_ROWS, _PAIR_SHARE * len(doubted)) or len(data.space) < 3:
            return
        one, other = (data.space.labels[i] for i in pairs[:, at])
        rows = doubted[(low == pairs[0, at]) & (high == pairs[1, at])]
        yield Tip(
            "confused_labels",
            f"{one!r} and {other!r} overlap: {count[at]} of {len(doubted)} doubts lie between them; "
            "tell annotators more clearly where the one ends and the other begins",
            tuple(data.rows[rows[:_SHOWN]].tolist()),
        )


def _two_labels(data: Labelled, closest: Closest | None) -> Iterator[Tip]:
    """Equal or nearly equal texts with different labels."""
    apart: NDArray[np.bool_] = np.zeros(len(data.rows), bool)
    groups = data.evidence.groups
    if groups is not None:
        pairs = np.unique(np.stack([groups, data.given]), axis=1)[0]
        several, labels = np.unique(pairs, return_counts=True)
        apart = np.isin(groups, several[labels > 1])
    if closest is not None:
        near, closeness = closest
        twin = np.flatnonzero((closeness >= _TWIN) & (data.given != data.given[near]))
        apart[twin] = apart[near[twin]] = True
    rows = np.flatnonzero(apart)
    if len(rows):
        yield Tip(
            "two_labels_of_one_text",
            f"{counted(len(rows), 'row')} with a text that another row has, too, or nearly, under another label",
            tuple(data.rows[rows[:_SHOWN]].tolist()),
        )


def _rare(data: Labelled) -> Iterator[Tip]:
    counts = np.bincount(data.given, minlength=len(data.space))
    rare = np.flatnonzero((counts > 0) & (counts < MIN_OF_CLASS))
    if len(rare):
        shown = ", ".join(repr(data.space.labels[label]) for label in rare[:_NAMED])
        more = f" and {counted(len(rare) - _NAMED, 'more label')}" if len(rare) > _NAMED else ""
        yield Tip(
            "rare_label",
            f"labels given too rarely (fewer than {MIN_OF_CLASS} times) to be judged: {shown}{more}",
            tuple(data.rows[np.flatnonzero(np.isin(data.given, rare))[:_SHOWN]].tolist()),
        )
    others = counts[counts >= MIN_OF_CLASS]
    if len(others) > 1 and counts.max() >= 20 * np.median(others):
        most = data.space.labels[int(counts.argmax())]
        yield Tip("imbalance", f"{most!r} has {counts.max() / counts.sum():.0%} of all labels", ())


def _outliers(data: Labelled, closest: Closest | None) -> Iterator[Tip]:
    if closest is None or len(data.rows) < _FEWEST:
        return
    _, closeness = closest
    # A row without a direction (all texts alike) says nothing; -inf: every other row has the same text.
    known = data.evidence.features.any(axis=1) & np.isfinite(closeness)
    alone = np.flatnonzero(known & (closeness < _ALONE))
    if len(alone):
        yield Tip(
            "outlier",
            f"{counted(len(alone), 'text')} like no other text of the file, perhaps out of scope",
            tuple(data.rows[alone[:_SHOWN]].tolist()),
        )
