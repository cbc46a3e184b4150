"""Why a label is doubted, in plain words for the person who decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.review.evidence import Evidence
from ale.review.neighbours import NEAR, nearest
from ale.review.witnesses import words_of
from ale.types import LabelSpace

MAX_CHARS = 61  # a table cell shows about 120; the other half says how to answer
_NEIGHBOURS = 5
_SURE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """What is known of some rows, to be told. `near` are the most similar other texts of each, -1 = none;
    `same[i, y]` is how many other rows of the very same text say y.
    """

    rows: NDArray[np.int64]
    near: NDArray[np.int64]
    same: NDArray[np.int64]
    targets: NDArray[np.int64]
    said: NDArray[np.int64]
    names: Sequence[str]

    def tell(
        self,
        place: int,
        suggested: int,
        truth: NDArray[np.floating],
        labels: LabelSpace,
        most: int = MAX_CHARS,
    ) -> str:
        """At most `most` characters about the row at this place: the model, by its belief about the `truth`, then
        whoever agrees. Where it finds the given label likelier than any other, it is only not sure of it; where it
        is sure of it, reviewers' verdicts on others have put the row here.
        """
        given, chance = int(self.targets[self.rows[place]]), float(truth[suggested])
        text = f"Model says {short(labels.labels[suggested])} ({chance:.2f})"
        if truth[given] >= _SURE:  # it is here for what reviewers said of others
            text = "Reviews found labels like this wrong"
        elif truth[given] >= chance:
            text = (
                f"Not sure: {short(labels.labels[given], 18)} {truth[given]:.2f}, "
                f"{short(labels.labels[suggested], 18)} {chance:.2f}"
            )
        for more in (
            self._others(place, suggested),
            self._teachers(place, suggested),
            self._neighbours(place, suggested),
        ):
            if more and len(text) + 2 + len(more) <= most:
                text += f"; {more}"
        return text[:most]

    def _others(self, place: int, suggested: int) -> str:
        """How many other labels of the same text are the suggested one."""
        said = self.same[place]
        if suggested >= len(said) or not said[suggested]:
            return ""
        return f"{said[suggested]} of {said.sum()} others of this text too"

    def _teachers(self, place: int, suggested: int) -> str:
        agree = [
            name
            for name, said in zip(self.names, self.said[:, self.rows[place]], strict=True)
            if said == suggested
        ]
        if not agree:
            return ""
        if len(self.names) == 1:
            return f"{short(agree[0])} agrees"
        return f"{len(agree)} of {len(self.names)} teachers agree"

    def _neighbours(self, place: int, suggested: int) -> str:
        """How many of the most similar other texts carry the suggested label; silent below two."""
        near = self.near[place]
        near = near[near >= 0]
        same = int(np.sum(self.targets[near] == suggested))
        return f"{same} of {len(near)} similar too" if same >= 2 else ""


def reasons_for(evidence: Evidence, rows: NDArray[np.int64], names: Sequence[str] = ()) -> Reasons:
    """What can be told about these rows; `names` of the teachers, if they have any."""
    found, closeness = nearest(evidence.features, rows, _NEIGHBOURS, evidence.groups)
    said = [words_of(teacher) for teacher in evidence.teachers]
    return Reasons(
        rows=rows,
        near=np.where(closeness >= NEAR, found, -1),
        same=_same(evidence, rows),
        targets=evidence.targets,
        said=np.stack(said) if said else np.zeros((0, len(evidence.targets)), np.int64),
        names=tuple(names) or ("teacher",) * len(said),
    )


def _same(evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shape (rows, labels): what the other rows of each row's text say."""
    targets, groups = evidence.targets, evidence.groups
    labels = max((teacher.shape[1] for teacher in evidence.teachers), default=0)
    said = np.zeros((len(rows), max(labels, int(targets.max(initial=0)) + 1)), np.int64)
    if groups is None:
        return said
    for place, row in enumerate(rows):
        others = np.flatnonzero(groups == groups[row])
        np.add.at(said[place], targets[others[others != row]], 1)
    return said


def short(label: str, most: int = 28) -> str:
    """The label, cut to so many characters."""
    return label if len(label) <= most else label[: most - 1] + "…"
