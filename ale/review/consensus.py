"""One label per text from all who labelled it: by what each of them is worth and by all other evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement
from ale.review.labelled import Labelled
from ale.review.settled import Settled, agreed


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """`labels[i]` is the consensus about the text of row i; the counts are of texts.

    Of those with `several` labels some are `apart`: the labels differ. Of these in turn some are `tied`, no label
    being given most often, and in some the consensus is `against` the majority: another label was given more often.
    """

    labels: NDArray[np.int64]
    several: int
    apart: int
    tied: int
    against: int

    def told(self) -> str:
        """The counts as a sentence."""
        if not self.several:
            return "no text was labelled twice: the consensus is what all evidence says of its one label"
        return (
            f"texts labelled more than once: {self.several:,}; with labels that differ: {self.apart:,}, of these without "
            f"a majority: {self.tied:,}; with a consensus by all evidence that is not what most said: {self.against:,}"
        )


def consensus(data: Labelled, found: Judgement, settled: Settled) -> Consensus:
    """The label of each text that all evidence makes likeliest, or the one that a reviewer settled on.

    Each row's truth is believed by its own label, its author's record and the other labels of the text; the rows of
    one text speak together.
    """
    groups = np.arange(len(data.given)) if data.evidence.groups is None else data.evidence.groups
    _, text = np.unique(groups, return_inverse=True)
    total = np.zeros((int(text.max(initial=-1)) + 1, len(data.space)))
    np.add.at(total, text, found.truth)
    verdict, _ = agreed(text, np.where(settled.looked, settled.labels, -1))
    label = np.where(verdict >= 0, verdict, total.argmax(axis=1))
    votes = np.zeros(total.shape, np.int64)
    np.add.at(votes, (text, data.given), 1)
    most = votes.max(axis=1, initial=0)
    several = votes.sum(axis=1) > 1
    return Consensus(
        labels=label[text].astype(np.int64),
        several=int(several.sum()),
        apart=int((most < votes.sum(axis=1)).sum()),
        tied=int(((votes == most[:, None]).sum(axis=1) > 1).sum()),
        against=int((several & (votes[np.arange(len(label)), label] < most)).sum()),
    )
