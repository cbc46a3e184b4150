"""What one learn run is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ale.protocols import Strategy, Student
from ale.review import PRECISION
from ale.types import Embeddings, Indices, LabelSpace, Probs


def _no_rows() -> Indices:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Decisions about doubted labels, side by side: pool row, the label that was doubted, how surely, and whether it
    was wrong. Most of the labels that were wrong stand no longer.
    """

    rows: Indices
    targets: NDArray[np.int64]
    doubts: NDArray[np.float64]
    wrong: NDArray[np.bool_]

    @classmethod
    def of(cls, decisions: Sequence[tuple[int, int, float, bool]]) -> Past:
        """The same, one by one: row, label, how surely, wrong."""
        return cls(
            np.array([row for row, *_ in decisions], np.int64),
            np.array([target for _, target, _, _ in decisions], np.int64),
            np.array([doubt for *_, doubt, _ in decisions], np.float64),
            np.array([wrong for *_, wrong in decisions], bool),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LearnInput:
    """All that one learn run needs. Row i of `raw`, `teacher` and `candidates` is pool row i.

    `labelled` may name a row twice (two annotators); `targets`, `groups` and `weights` are aligned with it.
    `candidates` are rows that may be ranked (by default all that have no label).

    `reviewed` marks labels that a person has confirmed or fixed, aligned with `targets`; `past` are all decisions.
    Labels are flagged while `review_precision` of the flags are expected to be right.

    `audited` rows have an audit label, which measures and trains nothing; beside them `audit_skipped` were shown
    and got none. `audit_order` are the rows of the audit reserve that wait, in their order; `audit_share` of
    what is served is to be taken from them, given that of `answered` tasks `audit_answered` were.
    """

    raw: Embeddings
    labelled: Indices
    targets: NDArray[np.int64]
    labels: LabelSpace
    strategy: Strategy
    student: Callable[[], Student]
    groups: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None
    teacher: Probs | None = None
    candidates: NDArray[np.bool_] | None = None
    batch: int = 20
    seed: int = 0
    review: bool = True
    reviewed: NDArray[np.bool_] | None = None
    past: Past | None = None
    review_precision: float = PRECISION
    audited: Indices = field(default_factory=_no_rows)
    audit_targets: NDArray[np.int64] = field(default_factory=_no_rows)
    audit_skipped: int = 0
    audit_order: Indices = field(default_factory=_no_rows)
    audit_share: float = 0.0
    answered: int = 0
    audit_answered: int = 0

    def __post_init__(self) -> None:
        n = len(self.raw)
        if len(self.labelled) != len(self.targets):
            raise ValueError(f"{len(self.labelled)} labelled rows, {len(self.targets)} targets")
        if self.teacher is not None and self.teacher.shape != (n, len(self.labels)):
            raise ValueError(f"teacher of shape {self.teacher.shape} for {n} rows, {len(self.labels)} labels")
        if self.candidates is not None and len(self.candidates) != n:
            raise ValueError(f"{len(self.candidates)} candidate marks for {n} rows")
        if len(self.labelled) and (self.labelled.min() < 0 or self.labelled.max() >= n):
            raise ValueError("a labelled row is outside the pool")
        if len(self.targets) and (self.targets.min() < 0 or self.targets.max() >= len(self.labels)):
            raise ValueError("a target is outside the label space")
        if len(self.audited) != len(self.audit_targets):
            raise ValueError(f"{len(self.audited)} audited rows, {len(self.audit_targets)} audit targets")
        if np.isin(self.audited, self.labelled).any():
            raise ValueError("an audited row is learnt from")
        if self.candidates is not None and self.candidates[self.audit_order].any():
            raise ValueError("a row of the audit reserve is a candidate")
