"""A second opinion on an old answer, or a first on a new text? Both on one scale (ActiveLab).

Goh and Mueller (2023): an answer that few people back and the student doubts may be worth more than a new
text. cleanlab weighs student and annotators by how often they agree and scores both kinds; here its input
is made, and who cannot be asked again is left out.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices, Probs, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What annotators said: `annotators[i]` called pool row `rows[i]` `targets[i]`; a later answer replaces.

    `held_out[i]` are the student's probabilities of that row from a fit without it.
    """

    rows: Indices
    annotators: NDArray[np.int64]
    targets: NDArray[np.int64]
    held_out: Probs

    def __post_init__(self) -> None:
        lengths = {len(self.rows), len(self.annotators), len(self.targets), len(self.held_out)}
        if len(lengths) > 1:
            raise ValueError(f"rows, annotators, targets and probabilities of lengths {sorted(lengths)}")
        if len(self.targets) and not 0 <= self.targets.min() <= self.targets.max() < self.held_out.shape[1]:
            raise ValueError(f"a target is outside the {self.held_out.shape[1]} labels")


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Pool rows, the one to ask first at the front. `again` marks those that have an answer already.

    `scores` are in [0, 1], higher = ask first.
    """

    rows: Indices
    scores: Scores
    again: NDArray[np.bool_]


def next_questions(
    answers: Answers,
    waiting: Indices,
    probs: Probs,
    rng: np.random.Generator,
    *,
    people: int | None = None,
    most: int = 3,
) -> Questions:
    """Rows to label again and new ones (`waiting`, with their `probs`) in one order; ties by lot.

    A row is asked again while fewer than `most` of `people` answered it: nobody answers twice. `people` is
    how many there are to ask, by default those who answered; with one there is nobody for a second opinion.
    """
    if len(waiting) != len(probs):
        raise ValueError(f"{len(waiting)} waiting rows, {len(probs)} rows of probabilities")
    if not (np.isfinite(probs).all() and np.isfinite(answers.held_out).all()):
        raise ValueError("a row of probabilities is not finite; leave out rows without a belief")
    asked, first, table = table_of(answers)
    old, new = _scores(table, answers.held_out[first], probs)
    people = table.shape[1] if people is None else people
    open_ = (~np.isnan(table)).sum(axis=1) < min(most, people)
    rows = np.concatenate([asked[open_], waiting]).astype(np.int64)
    scores = np.concatenate([old[open_], new])
    order = np.lexsort((rng.random(len(rows)), -scores))
    return Questions(rows[order], scores[order], order < int(open_.sum()))


def table_of(answers: Answers) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """The answered rows, a position in `answers` of each, and (rows, annotators) with NaN for no answer."""
    asked, first, row = np.unique(answers.rows, return_index=True, return_inverse=True)
    names, column = np.unique(answers.annotators, return_inverse=True)
    table = np.full((len(asked), len(names)), np.nan)
    for i, target in enumerate(answers.targets):
        table[row[i], column[i]] = target
    return np.asarray(asked, np.int64), np.asarray(first, np.int64), table


def _scores(table: NDArray[np.float64], held_out: Probs, probs: Probs) -> tuple[Scores, Scores]:
    """One minus cleanlab's quality, for answered and for new rows; 0 where there is but one label."""
    if probs.shape[1] < 2 or not len(table) + len(probs):
        return np.zeros(len(table)), np.zeros(len(probs))
    from cleanlab.multiannotator import get_active_learning_scores

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # It warns and prints where annotators never agree or a label loses every vote: both are fine here.
        warnings.simplefilter("ignore", UserWarning)
        old, new = get_active_learning_scores(
            table if len(table) else None,
            decided(held_out) if len(table) else None,
            decided(probs) if len(probs) else None,
        )
    return 1.0 - np.asarray(old, np.float64), 1.0 - np.asarray(new, np.float64)


def decided(probs: Probs) -> NDArray[np.float64]:
    """Positive rows without ties: cleanlab breaks a tied vote by the global generator where these are equal."""
    tilted = np.maximum(probs.astype(np.float64), 1e-9) * (1.0 + 1e-7 * np.arange(probs.shape[1]))
    return np.asarray(tilted / tilted.sum(axis=1, keepdims=True))
