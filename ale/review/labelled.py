"""A finished data set as arrays: texts, given labels, who gave them, what others say. Checked once, here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError
from ale.features import FeatureSpace
from ale.review.counted import counted
from ale.review.evidence import Evidence
from ale.review.steering import NO_VERDICTS, Verdicts
from ale.teachers.llm.names import Names
from ale.teachers.recorded import hard
from ale.text import to_example
from ale.types import Embeddings, LabelSpace, Probs

_LIKE_MISSING = {"nan", "none", "null", "n/a", "na", "<na>"}
Encode = Callable[[Sequence[str]], Embeddings]


@dataclass(frozen=True, slots=True)
class Columns:
    """A file's columns, row by row. An empty label or text is none; `verdicts` are labels that a person settled."""

    texts: Sequence[str]
    labels: Sequence[str]
    annotators: Sequence[str] | None = None
    teachers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    verdicts: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What can be judged. `rows[i]` is the file's row of array row i; `people` names the annotators by number.

    `settled` are positions of the verdicts' rows, and whether the given label was wrong there; `decided` are the
    labels of the verdicts, -1 where nobody looked. The evidence is about the labels as they stand in the file: had
    it learnt a verdict, the doubt about that row would no longer be a sample of the doubts.
    """

    space: LabelSpace
    rows: NDArray[np.int64]
    texts: tuple[str, ...]
    given: NDArray[np.int64]
    evidence: Evidence
    settled: Verdicts
    decided: NDArray[np.int64]
    teachers: tuple[str, ...]
    people: tuple[str, ...]
    notes: tuple[str, ...]


def read_columns(columns: Columns, encode: Encode, more: Mapping[str, Probs] | None = None) -> Labelled:
    """The arrays. The label space is what occurs as a label or verdict, in alphabetical order.

    `more` are teachers' distributions by name, a row per row of the file. Raises ConfigurationError for a file
    without one label.
    """
    labels = [label.strip() for label in columns.labels]
    verdicts = _verdicts(columns)
    space = space_of(columns)
    examples = [to_example(row, text) for row, text in enumerate(columns.texts)]
    rows = np.array([r for r, e in enumerate(examples) if e is not None and labels[r]], np.int64)
    notes = []
    if len(rows) < len(labels):
        notes.append(f"not judged, without a text or a label: {counted(len(labels) - len(rows), 'row')}")
    missing = sorted({label for label in labels if label.casefold() in _LIKE_MISSING})
    if missing:
        notes.append(
            f"{', '.join(map(repr, missing))}: taken as a label; leave the cell empty where there is none"
        )
    known = [one for one in (examples[row] for row in rows) if one is not None]
    texts = tuple(one.text for one in known)
    given = np.array([space.labels.index(labels[row]) for row in rows], np.int64)
    decided = np.array([space.index(verdicts[row]) if verdicts[row] else -1 for row in rows], np.int64)
    looked = np.flatnonzero(decided >= 0)
    _, groups = np.unique([one.text_hash for one in known], return_inverse=True)
    teachers = _teachers(columns.teachers, rows, space, notes)
    teachers |= {name: probs[rows] for name, probs in (more or {}).items()}
    people, who = _people(columns.annotators, rows)
    raw = encode(texts) if len(rows) else np.zeros((0, 2), np.float32)
    evidence = Evidence(
        held_out=None,
        targets=given,
        features=FeatureSpace.fit(raw).transform(raw),
        groups=groups.astype(np.int64),
        more_teachers=tuple(teachers.values()),
        texts=texts,
        annotators=who,
    )
    settled = Verdicts(looked, decided[looked] != given[looked]) if len(looked) else NO_VERDICTS
    return Labelled(
        space,
        rows,
        texts,
        given,
        evidence,
        settled,
        decided,
        tuple(teachers),
        people,
        tuple(notes),
    )


def space_of(columns: Columns, descriptions: Mapping[str, str] | None = None) -> LabelSpace:
    """The label space, with what is said about its labels. Raises ConfigurationError without a label."""
    seen = {label.strip() for label in [*columns.labels, *_verdicts(columns)]} - {""}
    if not seen:
        raise ConfigurationError("the label column is empty: there is nothing to review")
    told = descriptions or {}
    foreign = sorted(told.keys() - seen)
    if foreign:
        raise ConfigurationError(
            f"descriptions of labels that do not exist: {', '.join(map(repr, foreign[:10]))}; "
            f"the labels: {', '.join(map(repr, sorted(seen)[:30]))}"
        )
    names = tuple(sorted(seen))
    return LabelSpace(names, tuple(told.get(name, "") for name in names))


def _verdicts(columns: Columns) -> list[str]:
    """In the spelling of the label column, where it has that label; another one is a label of its own."""
    if columns.verdicts is None:
        return [""] * len(columns.labels)
    given = sorted({label.strip() for label in columns.labels} - {""})
    names = Names(LabelSpace(tuple(given)))
    spelled: dict[str, str] = {}
    for verdict in {word.strip() for word in columns.verdicts} - {""}:
        known = names.find(verdict)
        spelled[verdict] = verdict if known is None else given[known]
    return [spelled.get(word.strip(), "") for word in columns.verdicts]


def _teachers(
    columns: Mapping[str, Sequence[str]], rows: NDArray[np.int64], space: LabelSpace, notes: list[str]
) -> dict[str, Probs]:
    """Answers by column, NaN where a cell is no label; a column without any is left out with a note."""
    names = Names(space)
    found = {}
    for column, words in columns.items():
        said = np.array([names.find(words[row].strip()) if words[row].strip() else None for row in rows])
        answered = np.array([-1 if one is None else one for one in said], np.int64)
        if not (answered >= 0).any():
            notes.append(f"teacher column {column!r} holds none of the labels and is left out")
            continue
        silent = int((answered < 0).sum())
        if silent:
            notes.append(f"teacher column {column!r}: {counted(silent, 'cell')} empty or no label")
        found[column] = hard(answered, len(space))
    return found


def _people(
    annotators: Sequence[str] | None, rows: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    if annotators is None:
        return (), None
    names, who = np.unique([annotators[row].strip() for row in rows], return_inverse=True)
    return tuple(str(name) for name in names), who.astype(np.int64)
