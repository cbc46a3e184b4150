"""What is odd about a data set as a whole: pairs that are confused, equal texts with two labels, rare labels, outliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ale.review.channel import Judgement
from ale.review.issues import CUT, MIN_OF_CLASS
from ale.review.labelled import Labelled
from ale.review.neighbours import MOST_ROWS, nearest

_PAIR_SHARE, _PAIR_ROWS = 0.2, 5  # of all doubted labels, from which a pair is worth a word
_TWIN = 0.95  # cosine from which two texts are the same but for a detail
_ALONE = 0.1  # cosine to the closest text below which a text speaks of nothing that others speak of
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Tip:
    """`kind` is a stable word; `rows` are rows of the file that show it."""

    kind: str
    text: str
    rows: tuple[int, ...]


def find_tips(data: Labelled, found: Judgement) -> Iterator[Tip]:
    """The tips, what concerns most labels first."""
    yield from _confused_pairs(data, found)
    yield from _two_labels(data)
    yield from _rare(data)
    yield from _outliers(data)


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
            "consider rewriting what is said about these two labels",
            tuple(data.rows[rows[:_SHOWN]].tolist()),
        )


def _two_labels(data: Labelled) -> Iterator[Tip]:
    """Equal or nearly equal texts with different labels."""
    if len(data.rows) > MOST_ROWS or len(data.rows) < 2:
        return
    near, closeness = nearest(data.evidence.features, np.arange(len(data.rows)), 1)
    twin = np.flatnonzero((closeness[:, 0] >= _TWIN) & (data.given != data.given[near[:, 0]]))
    if len(twin):
        rows = np.unique(np.concatenate([twin, near[twin, 0]]))
        yield Tip(
            "two_labels_of_one_text",
            f"{len(rows)} texts stand beside an equal or nearly equal one with another label",
            tuple(data.rows[rows[:_SHOWN]].tolist()),
        )


def _rare(data: Labelled) -> Iterator[Tip]:
    counts = np.bincount(data.given, minlength=len(data.space))
    for label, count in zip(data.space.labels, counts, strict=True):
        if count < MIN_OF_CLASS:
            yield Tip("rare_label", f"{label!r} was given {count} times: too rarely to judge it", ())
    if counts.max() >= 20 * max(1, int(np.median(counts))):
        most = data.space.labels[int(counts.argmax())]
        yield Tip("imbalance", f"{most!r} has {counts.max() / counts.sum():.0%} of all labels", ())


def _outliers(data: Labelled) -> Iterator[Tip]:
    if not 50 <= len(data.rows) <= MOST_ROWS:
        return
    _, closeness = nearest(data.evidence.features, np.arange(len(data.rows)), 1, data.evidence.groups)
    alone = np.flatnonzero(closeness[:, 0] < _ALONE)
    if len(alone):
        yield Tip(
            "outlier",
            f"{len(alone)} texts resemble no other text; they may be out of scope",
            tuple(data.rows[alone[:_SHOWN]].tolist()),
        )
