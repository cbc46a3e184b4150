"""The candidates: what each leans on and how firmly, their fits, and their held-out logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.calibration import log_softmax
from ale.folds import FOLDS
from ale.students.leaning import INTERCEPT_L2, Leaning, Opinions, fit_leaning
from ale.types import Embeddings, Probs

LEANING_INTERCEPT_L2 = 8.0
"""Dozens of labels do not tell the shares of the classes better than the teacher, least of all labels that were
asked for because they are doubtful: with rows chosen by their outcome a logistic regression gets its slopes
right and its intercept wrong (Prentice and Pyke, 1979).
"""
FIRMNESS = 3.0  # pseudo-labels, so to speak, that hold the scales near what is expected
SPAN = 512  # directions of the labelled rows; more are of use to nobody
FEW_ROWS = 30
REFUTED = 20.0  # times
_MODEST = 1.5  # temperature: one that is right half of the time but claims 90 % is worth much all the same
_STAKE = 1.0  # nats that one label can cost: who claims 99 % would lose by four what twenty cannot win back
_DOUBTED = 0.5  # nats a label: what is asked is what is doubted, and there a teacher may do badly that is right elsewhere
_SILENT_ROWS = 90  # so long labels where the teacher was silent do not count; then people have said enough
MANY_LABELS = 20  # from here on a fit costs so much that fewer are made
_ROUNDS, _FEW_ROUNDS, _TOLERANCE = 40, 20, 1e-4  # stopping early was no worse on held-out rows, only quicker
_NOISE = 1e-6
_SILENCE = 3.0  # so long a column costs less than the intercept


@dataclass(frozen=True, slots=True)
class Candidate:
    """`leans_on` opinions by name with the scale expected of each; `believed`: see `mixture_weights`."""

    l2: float
    leans_on: Mapping[str, float]
    believed: float


PLAIN = (Candidate(0.3, {}, 0.25), Candidate(0.03, {}, 0.25))
ALL_OPINIONS = Candidate(1.0, {"teacher": 0.5, "firm": 0.3, "neighbours": 0.3}, 2.0)
LEANING = (
    ALL_OPINIONS,
    Candidate(0.1, {"firm": 0.5, "neighbours": 0.5}, 1.5),
    Candidate(0.1, {}, 0.1),
    Candidate(0.05, {"firm": 1.0}, 0.5),
)
"""Firm in all opinions is the safest with few labels: it loses 1 or 2 points to the others where a teacher is
weak and wins 15 where it is strong. The last one is the nearest to another.
"""

FEW = (
    Candidate(1.0, {"teacher": 0.7, "firm": 0.4, "neighbours": 0.4}, 2.0),
    Candidate(3.0, {"firm": 0.7, "neighbours": 0.7}, 0.4),
)
"""With a dozen labels, which may all be of one odd kind, only what holds on to the teacher. The first that are
asked are those it is silent about: they cannot tell how good its answers are, and may not overrule them.
"""


def refuted(
    teacher: Probs,
    opinions: Mapping[str, NDArray[np.float32]],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> bool:
    """Whether the first labels speak so loudly against a teacher that nothing should lean on it; all are aligned.

    They do when its words were right no more often than by chance, and the labels `REFUTED` times as likely if nothing
    were known of any text, even with the opinions at two thirds of their expected scales and allowing for labels that
    were asked for because they are doubted. One that is always wrong gets there in seven labels. One that answers by
    lot hardly does: asked where it is doubted, a teacher that is half right looks the same, and to drop it for a run
    cost 30 to 45 points. Not for more labels than `FEW` is for: the mixture of `LEANING` costs nothing then.
    """
    scales = ALL_OPINIONS.leans_on
    told = np.sum([scale * opinions[name] for name, scale in scales.items()], axis=0)
    gained = log_softmax(told, _MODEST)[np.arange(len(targets)), targets] + np.log(teacher.shape[1])
    heard = ~np.isnan(teacher).any(axis=1)
    stake = np.maximum(gained, -_STAKE)
    hits = np.nan_to_num(teacher).argmax(axis=1) == targets
    by_chance = (weights * hits)[heard].sum() <= weights[heard].sum() / teacher.shape[1]
    return bool(by_chance and (weights * (stake + _DOUBTED))[heard].sum() < -np.log(REFUTED))


def candidates_for(rows: int, labels: int, *, heard: int | None) -> tuple[Candidate, ...]:
    """What competes for so many labelled rows, of which the teacher answered `heard` (None: there is none).

    Of many labels each fit costs much, so the last stays out.
    """
    if heard is None:
        return PLAIN
    if rows < FEW_ROWS or (heard < FEW_ROWS and rows < _SILENT_ROWS):
        return FEW
    return LEANING if labels < MANY_LABELS else LEANING[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Human labels as arrays: rows of the pool in short form, what was said, and how much it counts."""

    short: Embeddings
    targets: NDArray[np.int64]
    soft: NDArray[np.float32]
    weights: NDArray[np.float64]
    opinions: Mapping[str, NDArray[np.float32]]

    def stacked(self, candidate: Candidate) -> Opinions:
        """The candidate's opinions about these rows."""
        return stack(candidate, self.opinions, len(self.short), self.soft.shape[1])


def stack(
    candidate: Candidate, opinions: Mapping[str, NDArray[np.float32]], rows: int, labels: int
) -> Opinions:
    """Shape (opinions of the candidate, rows, labels)."""
    named = [opinions[name] for name in candidate.leans_on]
    return np.stack(named) if named else np.zeros((0, rows, labels), np.float32)


def fit_candidate(candidate: Candidate, given: Labelled, rows: NDArray[np.bool_] | None = None) -> Leaning:
    """The candidate's fit on all labelled rows, or on those that are marked."""
    seen = np.ones(len(given.targets), bool) if rows is None else rows
    return fit_leaning(
        given.short[seen],
        given.soft[seen],
        given.weights[seen],
        l2=candidate.l2,
        opinions=given.stacked(candidate)[:, seen],
        expected=np.array(list(candidate.leans_on.values())),
        intercept_l2=LEANING_INTERCEPT_L2 if candidate.leans_on else INTERCEPT_L2,
        firmness=FIRMNESS,
        rounds=_ROUNDS if given.soft.shape[1] < MANY_LABELS else _FEW_ROUNDS,
        tolerance=_TOLERANCE,
    )


def folds_for(labels: int) -> int:
    """Folds of the cross-validation, fewer where a fit costs much."""
    return FOLDS if labels < MANY_LABELS else 3


def held_out_logits(
    candidates: Sequence[Candidate], given: Labelled, folds: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """Per candidate the logits of every labelled row from the fit on the other folds.

    A lone fold is judged by the opinions as they are expected.
    """
    out = [np.zeros(given.soft.shape, np.float32) for _ in candidates]
    for fold in np.unique(folds):
        seen = folds != fold
        for logits, candidate in zip(out, candidates, strict=True):
            fit = fit_candidate(candidate, given, seen)
            logits[~seen] = fit.logits(given.short[~seen], given.stacked(candidate)[:, ~seen])
    return out


def labelled_directions(rows: Embeddings) -> NDArray[np.float32]:
    """Shape (columns, directions): an orthonormal basis of what the labelled rows span, strongest first.

    Ridge regression never leaves that span, so nothing is lost, and a hundred labels cost a hundred columns.
    """
    wide = len(rows) < rows.shape[1]
    values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    strong = np.flatnonzero(values > values[-1] * _NOISE)[::-1][:SPAN]
    basis = rows.T @ (vectors[:, strong] / np.sqrt(values[strong])) if wide else vectors[:, strong]
    return np.ascontiguousarray(basis, np.float32)


def silence(teacher: Probs | None, rows: int) -> NDArray[np.float32]:
    """Shape (rows, 0 or 1): a column that marks where the teacher abstained, none where it never did.

    Those texts are asked first and are of another kind. Without a column of their own, ten labels that are
    nine times the same would shift the intercept of all texts and overrule every answer.
    """
    silent = np.zeros(rows, bool) if teacher is None else np.asarray(np.isnan(teacher).any(axis=1), bool)
    column = np.where(silent, np.float32(_SILENCE), np.float32(0.0))[:, None]
    return np.asarray(column if silent.any() else column[:, :0], np.float32)
