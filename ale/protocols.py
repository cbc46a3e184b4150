"""The plug-in points on one page: what a teacher, a student, a strategy and an encoder are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ale.types import Beliefs, Embeddings, Example, Indices, LabelSpace, Probs


@runtime_checkable
class Encoder(Protocol):
    """Texts to vectors. `name` identifies the weights: it is part of every cache key."""

    name: str

    @property
    def dimensions(self) -> int:
        """Columns of what `encode` returns."""
        ...

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Shape (texts, dimensions), float32, finite; the same text always gives the same row."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """An expensive labeller that needs no training.

    `name` changes whenever its answers may change (model, prompt): it is part of the cache key.
    """

    name: str
    paid: bool

    def predict_proba(self, examples: Sequence[Example], labels: LabelSpace) -> Probs:
        """A distribution per example; a row of NaN where the teacher abstains. Raises TeacherUnavailable."""
        ...


@runtime_checkable
class Student(Protocol):
    """A small model over embeddings. It never sees text, disk or network."""

    kind: str

    def fit(
        self,
        pool: Embeddings,
        labelled: Indices,
        targets: NDArray[np.int64],
        *,
        labels: int,
        groups: NDArray[np.int64] | None = None,
        teacher: Probs | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from `targets[i]` for pool row `labelled[i]`; raises NotEnoughLabels under two classes.

        `labels` is the size of the label space, `groups[i]` is equal for equal texts (they stay in one fold),
        `teacher` has a row per pool row (NaN = abstained), `weights` has one number per labelled row.
        What was fitted before to the same arrays may save time and changes nothing.
        """
        ...

    @classmethod
    def of_teacher(cls, pool: Embeddings, teacher: Probs) -> Self | None:
        """The student of the teacher alone, before any human label; None without an answer to learn from."""
        ...

    def out_of_fold_logits(self) -> NDArray[np.float64]:
        """Shape (labelled, labels): logits of each labelled row from a fit without its text's group."""
        ...

    def pool_logits(self) -> NDArray[np.float64]:
        """Shape (pool, labels), before calibration: its belief about the very pool it was fitted on.

        May know more than `logits` does of a new text. Only right after `fit`.
        """
        ...

    def committee(self) -> NDArray[np.float32] | None:
        """Probabilities of its candidates over that pool, shape (members, pool, labels); None for a lone one.

        Only right after `fit`.
        """
        ...

    def logits(self, embeddings: Embeddings) -> NDArray[np.float64]:
        """Shape (rows, labels), before calibration."""
        ...

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """Arrays and JSON values from which `from_state` makes an equal student."""
        ...

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The student that `state` described."""
        ...


class Strategy(Protocol):
    """A query strategy: which candidates a human should label next."""

    def __call__(self, beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
        """At most `batch` distinct row numbers of `beliefs`, the one to ask first at the front."""
        ...
