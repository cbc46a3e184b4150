"""What verdicts settle: the rows that a person looked at, and the open rows with an equal text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.counted import counted
from ale.review.labelled import Labelled

_SHORT_OF_SURE = 1e-9  # nobody has looked at the row itself


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """`labels[i]` is what row i was settled as, by a verdict on it or on an equal text, -1 where by none.

    `looked` marks the rows with a verdict of their own; `contradicted` counts the texts with verdicts that differ.
    """

    given: NDArray[np.int64]
    labels: NDArray[np.int64]
    looked: NDArray[np.bool_]
    contradicted: int

    @property
    def known(self) -> NDArray[np.bool_]:
        """The rows about which nothing is left to judge."""
        return np.asarray(self.labels >= 0, bool)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """The settled rows with another given label."""
        return np.asarray(self.known & (self.labels != self.given), bool)

    @property
    def followers(self) -> NDArray[np.bool_]:
        """The rows that nobody looked at, settled by a verdict on an equal text."""
        return np.asarray(self.known & ~self.looked, bool)

    def place(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores, with 1 (wrong) or 0 (right) where somebody looked, and almost that on equal texts."""
        least = np.where(self.looked, 0.0, _SHORT_OF_SURE)
        return np.where(self.known, np.where(self.wrong, 1.0 - least, least), scores)

    def notes(self) -> list[str]:
        """What a person should know of the rows that followed, or could not."""
        out = []
        count = int(self.followers.sum())
        if count:
            wrong = int((self.followers & self.wrong).sum())
            out.append(
                f"settled by a verdict on the same text in another row: {counted(count, 'row')}, "
                f"{wrong:,} with a wrong label and {count - wrong:,} with the right one"
            )
        if self.contradicted:
            out.append(
                f"{counted(self.contradicted, 'text')} with verdicts that contradict each other: "
                "the other rows with the same text are judged as if there were none"
            )
        return out


def settle(data: Labelled) -> Settled:
    """The verdicts of the data set, and what follows from them; contradicting verdicts settle their own rows only."""
    labels, looked = data.decided, data.decided >= 0
    if data.evidence.groups is None or not looked.any():
        return Settled(data.given, labels, looked, 0)
    _, text = np.unique(data.evidence.groups, return_inverse=True)
    by_text, contradicted = agreed(text, labels)
    return Settled(data.given, np.where(looked, labels, by_text[text]), looked, contradicted)


def agreed(text: NDArray[np.int64], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """By text the one label of its rows, -1 being none, or -1 where they differ; and how many texts differ."""
    count, most = int(text.max(initial=-1)) + 1, np.iinfo(np.int64).max
    highest, lowest = np.full(count, -1, np.int64), np.full(count, most, np.int64)
    np.maximum.at(highest, text, labels)
    np.minimum.at(lowest, text, np.where(labels < 0, most, labels))
    return np.where(highest == lowest, highest, -1), int((highest > lowest).sum())
