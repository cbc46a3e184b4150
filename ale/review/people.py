"""How good are those who labelled: each annotator and each teacher, against what all evidence says together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement
from ale.review.labelled import Labelled
from ale.review.witnesses import words_of


@dataclass(frozen=True, slots=True)
class Quality:
    """`right` is the expected share of right labels, `per_label` the same where the truth is that label.

    NaN where nothing was said.
    """

    name: str
    labels: int
    right: float
    per_label: dict[str, float]


def expected_of_annotators(data: Labelled, found: Judgement) -> Iterator[Quality]:
    """One per annotator, in alphabetical order."""
    who = data.evidence.annotators
    for number, name in enumerate(data.people):
        if who is not None:
            yield _quality(name, np.where(who == number, data.given, -1), data, found)


def expected_of_teachers(data: Labelled, found: Judgement) -> Iterator[Quality]:
    """One per teacher."""
    for name, teacher in zip(data.teachers, data.evidence.teachers, strict=True):
        yield _quality(name, words_of(teacher), data, found)


def _quality(name: str, said: NDArray[np.int64], data: Labelled, found: Judgement) -> Quality:
    spoke = np.flatnonzero(said >= 0)
    truth = found.truth[spoke]
    hit = np.zeros_like(truth)
    hit[np.arange(len(spoke)), said[spoke]] = truth[np.arange(len(spoke)), said[spoke]]
    of, right = truth.sum(axis=0), hit.sum(axis=0)
    per_label = {
        label: float(right[i] / of[i]) if of[i] > 0 else float("nan")
        for i, label in enumerate(data.space.labels)
    }
    share = float(hit.sum() / len(spoke)) if len(spoke) else float("nan")
    return Quality(name, len(spoke), share, per_label)
