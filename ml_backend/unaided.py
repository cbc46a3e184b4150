"""What a version believes of each task without the help of any audit label, kept in its checkpoint for `ale finish`.

The beliefs that are published owe their temperature to the audit, and know the labels that the student learnt from. These are
at the out-of-fold temperature, and out of fold where a task was labelled: then the audit may prove something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.errors import CheckpointError
from ale.types import Probs
from ml_backend.dataset import Dataset

TASKS, HASHES, PROBS, LEARNT = "unaided_tasks", "unaided_hashes", "unaided_probs", "unaided_learnt"


@dataclass(frozen=True, slots=True, eq=False)
class Unaided:
    """Row i of `probs` (NaN = no opinion) and `learnt` (the student learnt its label) is about row i of a data set."""

    probs: Probs
    learnt: NDArray[np.bool_]


def unaided_arrays(dataset: Dataset, probs: Probs | None) -> dict[str, NDArray[Any]]:
    """The arrays for a checkpoint; none where there are no beliefs."""
    if probs is None:
        return {}
    learnt = np.zeros(len(dataset.tasks), bool)
    learnt[dataset.labelled] = True
    return {
        TASKS: np.array([task.task_id for task in dataset.tasks], np.int64),
        HASHES: _digests(dataset.hashes),
        PROBS: probs.astype(np.float32),
        LEARNT: learnt.astype(np.uint8),
    }


def read_unaided(arrays: Mapping[str, NDArray[Any]], dataset: Dataset, labels: int) -> Unaided:
    """What the version believes of the tasks of today; of a task or a text that it never saw, nothing.

    Raises CheckpointError for a version that was made without these arrays.
    """
    if missing := {TASKS, HASHES, PROBS, LEARNT} - arrays.keys():
        raise CheckpointError(f"the version in force has no {min(missing)}: it was made by an earlier ALE")
    probs = np.full((len(dataset.tasks), labels), np.nan, np.float32)
    learnt = np.zeros(len(dataset.tasks), bool)
    at = {int(task): row for row, task in enumerate(arrays[TASKS])}
    then, now = arrays[HASHES], _digests(dataset.hashes)
    for row, task in enumerate(dataset.tasks):
        before = at.get(task.task_id)
        if before is not None and np.array_equal(then[before], now[row]):
            probs[row] = arrays[PROBS][before]
            learnt[row] = bool(arrays[LEARNT][before])
    return Unaided(probs, learnt)


def unaided_of(
    arrays: Mapping[str, NDArray[Any]], hashes: NDArray[np.bytes_], probs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What the version believes of the texts of those hashes; `probs` where it was made without these arrays."""
    if not {HASHES, PROBS, LEARNT} <= arrays.keys() or not len(arrays[HASHES]):
        return probs
    # Of equal texts one that was not learnt from: such a row is out of fold, and less sure than the others.
    first = np.argsort(arrays[LEARNT], kind="stable")
    names, at = np.unique(
        np.ascontiguousarray(arrays[HASHES][first], np.uint8).view("S16").ravel(), return_index=True
    )
    place = np.minimum(np.searchsorted(names, hashes), len(names) - 1)
    found = (names[place] == hashes)[:, None]
    return np.where(found, np.asarray(arrays[PROBS], np.float32)[first[at[place]]], probs)


def _digests(hashes: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, 16)
