"""What an index run asks for and gets, told apart from the model that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ale.scanner.texts import BAD_ROWS, Texts


class Answers(Protocol):
    """Per text the label's position (-1 = none), the confidence, the number of the reason; and what was deferred."""

    @property
    def best(self) -> NDArray[np.int32]:
        """Shape (texts,)."""
        ...

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Shape (texts,), in [0, 1]."""
        ...

    @property
    def bad(self) -> NDArray[np.uint8]:
        """Shape (texts,); 0 = a good row."""
        ...

    @property
    def deferred(self) -> NDArray[np.int64]:
        """Positions that were left to the encoder student."""
        ...

    @property
    def sets(self) -> NDArray[np.bool_] | None:
        """Shape (texts, labels): the labels of each prediction set; None where none were asked for."""
        ...


class Classify(Protocol):
    """Answers for a batch of texts; called from several threads at once."""

    def __call__(self, texts: Texts) -> Answers:
        """One answer per text, in order."""
        ...


@dataclass(slots=True)
class Counts:
    """What a part, or a whole run, came to."""

    rows: int = 0
    deferred: int = 0
    abstained: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def count(self, found: Answers, labels: Sequence[str]) -> None:
        """Adds a batch."""
        self.rows += len(found.best)
        self.deferred += len(found.deferred)
        self.abstained += 0 if found.sets is None else int(np.count_nonzero(found.sets.sum(axis=1) > 1))
        for number in np.flatnonzero(reasons := np.bincount(found.bad, minlength=len(BAD_ROWS) + 1)[1:]):
            _add(self.bad, str(BAD_ROWS[number]), int(reasons[number]))
        for best in np.flatnonzero(said := np.bincount(found.best + 1, minlength=len(labels) + 1)[1:]):
            _add(self.labels, labels[best], int(said[best]))

    def add(self, other: dict[str, Any]) -> None:
        """Adds the counts of a part as they were written down."""
        self.rows += other["rows"]
        self.deferred += other["deferred"]
        self.abstained += other["abstained"]
        for mine, theirs in ((self.bad, other["bad"]), (self.labels, other["labels"])):
            for name, n in theirs.items():
                _add(mine, name, n)

    def as_json(self) -> dict[str, Any]:
        """What `add` reads."""
        return {
            "rows": self.rows,
            "deferred": self.deferred,
            "abstained": self.abstained,
            "bad": self.bad,
            "labels": self.labels,
        }


def _add(counts: dict[str, int], name: str, n: int) -> None:
    counts[name] = counts.get(name, 0) + n
