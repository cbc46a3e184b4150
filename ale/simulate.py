"""The same learning loop with a gold-label oracle instead of a person: what would this have cost us?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.engine import Learned, LearnInput, learn
from ale.metrics import accuracy, area_under_curve
from ale.protocols import Strategy, Student
from ale.types import Embeddings, Indices, LabelSpace, Probs


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Accuracy on rows without a label (or on the test rows) after `budgets[i]` labels; higher is better.

    `labelled` and `given` are what the oracle was asked and what it answered, in order; `last` is the
    learn run at the end, with its review.
    """

    budgets: NDArray[np.int64]
    accuracies: NDArray[np.float64]
    labelled: Indices
    given: NDArray[np.int64]
    last: Learned

    @property
    def area(self) -> float:
        """Mean accuracy over the budgets."""
        return area_under_curve(self.budgets, self.accuracies)


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One learn run of the loop: the rows labelled so far, in order, what was answered, what was learnt."""

    labelled: Indices
    given: NDArray[np.int64]
    learned: Learned


def simulate(
    raw: Embeddings,
    gold: NDArray[np.int64],
    labels: LabelSpace,
    *,
    strategy: Strategy,
    student: type[Student],
    teacher: Probs | None = None,
    groups: NDArray[np.int64] | None = None,
    budget: int = 200,
    batch: int = 20,
    noise: float = 0.0,
    seed: int = 0,
    test: tuple[Embeddings, NDArray[np.int64]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Curve:
    """Labels `budget` rows in batches; the oracle errs uniformly over the other labels at rate `noise`."""
    stops = [*range(0, min(budget, len(raw)), batch), min(budget, len(raw))]
    seen: list[tuple[int, float]] = []
    for turn in rounds(
        raw,
        gold,
        labels,
        stops=stops,
        strategy=strategy,
        student=student,
        teacher=teacher,
        groups=groups,
        noise=noise,
        seed=seed,
        review=True,
    ):
        if progress is not None and seen:
            progress(len(turn.labelled) - seen[-1][0])
        seen.append((len(turn.labelled), _accuracy(turn.learned, gold, turn.labelled, test)))
    budgets, accuracies = zip(*seen, strict=True)
    return Curve(np.array(budgets), np.array(accuracies), turn.labelled, turn.given, turn.learned)


def rounds(
    raw: Embeddings,
    gold: NDArray[np.int64],
    labels: LabelSpace,
    *,
    stops: Sequence[int],
    strategy: Strategy,
    student: type[Student],
    teacher: Probs | None = None,
    groups: NDArray[np.int64] | None = None,
    noise: float = 0.0,
    seed: int = 0,
    review: bool = False,
    reserved: NDArray[np.bool_] | None = None,
) -> Iterator[Round]:
    """A learn run at each of `stops` (numbers of labels, rising), and the oracle's answers in between.

    `review` adds a review to the last run; the rows that `reserved` marks are never asked for.
    """
    rng = np.random.default_rng(seed)
    labelled: Indices = np.zeros(0, np.int64)
    given: NDArray[np.int64] = np.zeros(0, np.int64)
    asked: Indices = np.zeros(0, np.int64)
    if stops[0] > 0:  # the first batch, chosen before there is any label
        stops = [0, *stops]
    for stop, following in zip(stops, [*stops[1:], stops[-1]], strict=True):
        labelled = np.concatenate([labelled, asked])
        given = np.concatenate([given, _oracle(gold[asked], len(labels), noise, rng)])
        learned = learn(
            LearnInput(
                raw=raw,
                labelled=labelled,
                targets=given,
                labels=labels,
                strategy=strategy,
                student=student,
                groups=None if groups is None else groups[labelled],
                teacher=teacher,
                candidates=None if reserved is None else _free(reserved, labelled),
                batch=following - stop,
                seed=int(rng.integers(2**31)),
                review=review and following == stop,
            )
        )
        yield Round(labelled, given, learned)
        asked = learned.ranking.order[: learned.ranking.queue]


def _free(reserved: NDArray[np.bool_], labelled: Indices) -> NDArray[np.bool_]:
    free = ~reserved
    free[labelled] = False
    return free


def _oracle(
    gold: NDArray[np.int64], labels: int, noise: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The truth, or at rate `noise` one of the other labels."""
    if labels < 2:
        return gold.copy()
    wrong = rng.random(len(gold)) < noise
    return np.where(wrong, (gold + rng.integers(1, labels, len(gold))) % labels, gold)


def _accuracy(
    learned: Learned,
    gold: NDArray[np.int64],
    labelled: Indices,
    test: tuple[Embeddings, NDArray[np.int64]] | None,
) -> float:
    if test is not None and learned.predictor is not None:
        return accuracy(learned.predictor.predict_proba(test[0]).argmax(axis=1), test[1])
    waiting = np.setdiff1d(np.arange(len(gold)), labelled)
    known = waiting[~np.isnan(learned.probs[waiting]).any(axis=1)]
    # No opinion is no right answer: it counts as wrong.
    right = float(np.sum(learned.probs[known].argmax(axis=1) == gold[known]))
    return right / len(waiting) if len(waiting) else float("nan")
