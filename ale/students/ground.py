"""What is known of a pool before a human says a word: its main directions, its graph, the teacher's opinions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.students.graph import Graph, neighbour_graph, smooth
from ale.students.leaning import Leaning, fit_leaning
from ale.students.mixture import sureness
from ale.types import Embeddings, Probs

GRAPH_DIRECTIONS = 128
FIRM_L2 = 25.0  # per unit of curvature, which is (labels - 1) / labels^2
_FEWEST_DIRECTIONS, _MOST_DIRECTIONS = 256, 768
_COLUMNS = 4_608  # directions * labels of a fit over the pool; more only costs time
_WORK = 200_000  # rows * labels that a linear student learns from; more only costs time
_FLOOR = 1e-3  # no opinion is surer than this
_KEEP, _STEPS = 0.8, 8


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """`short` are the pool's rows in the `basis`; `opinions` (by name) are logits about all of the pool.

    `firm` are the weights (pool columns + 1, labels) behind the opinion of that name.
    """

    basis: NDArray[np.float32]
    short: Embeddings
    opinions: dict[str, NDArray[np.float32]]
    firm: NDArray[np.float32]


def survey(pool: Embeddings, teacher: Probs | None) -> Ground | None:
    """The ground for one pool and one teacher; None without an answer. Deterministic."""
    if teacher is None or np.isnan(teacher).any(axis=1).all():
        return None
    basis = main_directions(pool, _directions(teacher.shape[1]))
    short = pool @ basis
    opinions, firm = _opinions(short, neighbour_graph(short[:, :GRAPH_DIRECTIONS]), teacher)
    return Ground(basis, short, opinions, expand(firm, basis))


def expand(weights: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of the pool's columns, from those of directions in it; the intercept stays."""
    return np.vstack([basis @ weights[:-1], weights[-1:]]).astype(np.float32)


def _directions(labels: int) -> int:
    """256 hold 87 to 93 % of the variance of a pool; the rest was worth a quarter of a point where the teacher is good."""
    return int(np.clip(_COLUMNS // labels, _FEWEST_DIRECTIONS, _MOST_DIRECTIONS))


def main_directions(pool: Embeddings, directions: int) -> NDArray[np.float32]:
    """Shape (columns, at most `directions`): the pool's principal components, the strongest first."""
    _, vectors = np.linalg.eigh(pool.T @ pool)
    basis = vectors[:, ::-1][:, :directions]
    # The sign of an eigenvector is the library's whim; the strongest entry is made positive.
    strongest = np.abs(basis).argmax(axis=0)
    return np.asarray(basis * np.sign(basis[strongest, np.arange(basis.shape[1])]), np.float32)


def student_of_teacher(short: Embeddings, teacher: Probs, l2: float) -> Leaning:
    """The softmax regression of what the teacher answered."""
    answered = np.flatnonzero(~np.isnan(teacher).any(axis=1))
    labels = teacher.shape[1]
    curvature = (labels - 1) / labels**2
    rows = answered[spread_rows(len(answered), labels)]
    return fit_leaning(short[rows], teacher[rows], np.ones(len(rows)), l2=l2 * curvature, rounds=30)


def spread_rows(rows: int, labels: int) -> NDArray[np.int64]:
    """Rows from which a linear student of all of them may be learnt: all, or evenly many in bounded time."""
    most = max(1_000, _WORK // labels)
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))


def _opinions(
    short: Embeddings, graph: Graph, teacher: Probs
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """The teacher, its student, and what the teacher says on average about a text's neighbours.

    Each is brought to the sureness of the teacher: smoothing takes sureness away without a reason.
    """
    heard = np.asarray(~np.isnan(teacher).any(axis=1), bool)
    fit = student_of_teacher(short, teacher, FIRM_L2)
    firm = fit.logits(short, np.zeros((0, len(short), teacher.shape[1]), np.float32))
    doubt = np.float32(sureness(firm[heard], teacher[heard]))
    filled = np.where(heard[:, None], teacher, softmax(firm / doubt)).astype(np.float32)
    around = as_logits(smooth(graph, filled, _KEEP, _STEPS))
    even = np.full_like(filled, 1.0 / filled.shape[1])
    opinions = {
        "teacher": as_logits(np.where(heard[:, None], teacher, even)),
        "firm": centred(firm / doubt),
        "neighbours": around / np.float32(sureness(around[heard], teacher[heard])),
    }
    return opinions, centred(fit.weights / doubt)


def as_logits(probs: NDArray[np.floating]) -> NDArray[np.float32]:
    """Logits of mean zero per row; probabilities need not sum to one."""
    return centred(np.log(np.maximum(probs, _FLOOR)))


def centred(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """The same distributions, with a mean of zero per row."""
    return np.asarray(logits - logits.mean(axis=1, keepdims=True), np.float32)
