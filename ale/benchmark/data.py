"""From tables to a data set for the benchmark: checked once, here, and every row that is left out is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError
from ale.text import to_example
from ale.types import Example, LabelSpace


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts and labels as a file has them; `source` names the file in messages."""

    source: str
    texts: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Readable examples and the position of their gold label. An example's id is its row in the file."""

    examples: tuple[Example, ...]
    gold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def texts(self) -> list[str]:
        """Normalised texts, row by row."""
        return [example.text for example in self.examples]

    @property
    def groups(self) -> NDArray[np.int64]:
        """Equal numbers for equal texts."""
        _, groups = np.unique([example.text_hash for example in self.examples], return_inverse=True)
        return groups.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkData:
    """A pool to label, a test split that nothing learns from, and what had to be said about them."""

    name: str
    labels: LabelSpace
    pool: Split
    test: Split
    notes: tuple[str, ...]


def make_data(
    name: str, pool: Rows, test: Rows, descriptions: Mapping[str, str] | None = None
) -> BenchmarkData:
    """The data set. The label space is what occurs in the pool, in alphabetical order.

    Raises ConfigurationError for an empty file, a single label, a test label that the pool does not have, and
    a description of a label that does not exist. Rows without text or label are left out with a note, and
    labels without a description are named where there are descriptions at all.
    """
    names = sorted({label.strip() for label in pool.labels} - {""})
    if not names:
        raise ConfigurationError(f"{pool.source} has no labels")
    if len(names) == 1:
        raise ConfigurationError(f"{pool.source} has a single label, {names[0]!r}: there is nothing to learn")
    unknown = sorted({label.strip() for label in test.labels} - {"", *names})
    if unknown:
        raise ConfigurationError(
            f"{test.source} has labels that {pool.source} does not have: {', '.join(map(repr, unknown[:10]))}"
        )
    told = dict(descriptions or {})
    foreign = sorted(told.keys() - set(names))
    if foreign:
        raise ConfigurationError(
            f"descriptions of labels that do not exist: {', '.join(map(repr, foreign[:10]))}; "
            f"the labels: {', '.join(map(repr, names[:30]))}"
        )
    space = LabelSpace(tuple(names), tuple(told.get(label, "") for label in names))
    notes: list[str] = []
    bare = [label for label in names if not told.get(label)] if descriptions is not None else []
    if bare:
        more = f" and {len(bare) - 10} more" if len(bare) > 10 else ""
        notes.append(f"no description of {', '.join(map(repr, bare[:10]))}{more}: there the name has to do")
    splits = [_split(rows, space, notes) for rows in (pool, test)]
    if len(np.unique(splits[0].gold)) < 2:
        raise ConfigurationError(f"{pool.source} has a single label in the rows that have a text")
    seen = {example.text_hash for example in splits[0].examples}
    twice = sum(example.text_hash in seen for example in splits[1].examples)
    if twice:
        notes.append(f"{twice} texts of {test.source} also stand in {pool.source}")
    return BenchmarkData(name, space, splits[0], splits[1], tuple(notes))


def _split(rows: Rows, space: LabelSpace, notes: list[str]) -> Split:
    examples, gold, no_label = [], [], 0
    for row, (text, label) in enumerate(zip(rows.texts, rows.labels, strict=True)):
        position = space.index(label.strip())
        example = to_example(row, text)
        no_label += position is None
        if example is not None and position is not None:
            examples.append(example)
            gold.append(position)
    no_text = len(rows.texts) - len(examples) - no_label
    if no_label or no_text:
        notes.append(
            f"{rows.source}: {no_label} rows without a label and {no_text} without text are left out"
        )
    if not examples:
        raise ConfigurationError(f"{rows.source} has no row with a text and a label")
    return Split(tuple(examples), np.array(gold, np.int64))
