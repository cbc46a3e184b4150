"""Learning curves: for each method and seed, how good the student is on the test split after n labels.

A run is the live loop: the strategy asks for a batch, the oracle answers, the engine learns, and so on. The
test split is only ever predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.engine import Learned, LearnInput, learn
from ale.errors import NotEnoughLabels
from ale.metrics import accuracy, ece, macro_f1
from ale.predictor import Predictor
from ale.simulate import Round, rounds
from ale.strategies import DEFAULT_STRATEGY, STRATEGIES, resolve_strategy
from ale.students import DEFAULT_STUDENT, resolve_student
from ale.types import Embeddings, LabelSpace, Probs

DEFAULT = "ale"
"""The method with the committed defaults."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is compared: a strategy, a student, and whether the teacher is heard."""

    name: str
    strategy: str
    student: str
    teacher: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One place on one curve. `accuracy`, `macro_f1`: higher is better; `ece`: lower; `fit_seconds` of wall time."""

    method: str
    seed: int
    labels: int
    accuracy: float
    macro_f1: float
    ece: float
    fit_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """The data set as the engine sees it: raw embeddings, gold labels, the teacher's answers on the pool."""

    labels: LabelSpace
    pool: Embeddings
    gold: NDArray[np.int64]
    groups: NDArray[np.int64]
    test: Embeddings
    test_gold: NDArray[np.int64]
    teacher: Probs | None = None


def methods(strategies: Sequence[str], students: Sequence[str], *, teacher: bool) -> list[Method]:
    """`ale`, then each strategy with each student; with a teacher each of them also without it.

    Raises UnknownName. Only with several students does a method's name tell which (`margin+linear`).
    """
    kinds = list(dict.fromkeys(students)) or [DEFAULT_STUDENT]
    plain = [Method(DEFAULT, DEFAULT_STRATEGY, DEFAULT_STUDENT, teacher)]
    for strategy in dict.fromkeys(strategies):
        resolve_strategy(strategy)
        for kind in kinds:
            resolve_student(kind)
            name = strategy if len(kinds) == 1 else f"{strategy}+{kind}"
            plain.append(Method(name, strategy, kind, teacher))
    if not teacher:
        return plain
    without = [Method(f"{m.name}-without-teacher", m.strategy, m.student, teacher=False) for m in plain]
    return [one for pair in zip(plain, without, strict=True) for one in pair]


def curve(
    data: Arrays,
    method: Method,
    seed: int,
    budgets: Sequence[int],
    batch: int,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Point]:
    """A point per budget; with a teacher also one at 0 labels, for the student of the teacher alone.

    While the oracle has named one label only, there is no student: then the student of the teacher counts,
    and without a teacher the shares of the labels given so far.
    """
    teacher = data.teacher if method.teacher else None
    wanted = set(budgets) | ({0} if teacher is not None else set())
    done = 0
    for turn in rounds(
        data.pool,
        data.gold,
        data.labels,
        stops=stops(budgets, len(data.pool), batch, method.strategy),
        strategy=resolve_strategy(method.strategy),
        student=resolve_student(method.student),
        teacher=teacher,
        groups=data.groups,
        seed=seed,
    ):
        n = len(turn.labelled)
        if progress is not None and n > done:
            progress(n - done)
        done = n
        if n in wanted:
            yield _point(
                method.name, seed, n, turn.learned, data, _beliefs(turn, data, teacher, method.student)
            )


def stops(budgets: Sequence[int], pool: int, batch: int, strategy: str) -> list[int]:
    """Numbers of labels at which the engine learns: every budget up to the pool, and at most `batch` apart.

    A random order does not depend on what was learnt, so there the budgets suffice.
    """
    found = [0]
    for budget in sorted({min(budget, pool) for budget in budgets}):
        if STRATEGIES[strategy] is not STRATEGIES["random"]:
            found.extend(range(found[-1] + batch, budget, batch))
        if budget > found[-1]:
            found.append(budget)
    return found


def full_data(data: Arrays, student: str) -> Point:
    """The student of all gold labels of the pool, without a teacher: the yardstick of n95."""
    everything = np.arange(len(data.gold), dtype=np.int64)
    learned = learn(
        LearnInput(
            raw=data.pool,
            labelled=everything,
            targets=data.gold,
            labels=data.labels,
            strategy=resolve_strategy("random"),
            student=resolve_student(student),
            groups=data.groups,
            review=False,
        )
    )
    if learned.predictor is None:
        raise NotEnoughLabels(learned.reasons["student"], "the pool's gold labels make no student")
    return _point("full data", 0, len(everything), learned, data, learned.predictor.predict_proba(data.test))


def _beliefs(turn: Round, data: Arrays, teacher: Probs | None, kind: str) -> Probs:
    """What would be predicted on the test split after this round."""
    if turn.learned.predictor is not None:
        return turn.learned.predictor.predict_proba(data.test)
    space = turn.learned.space
    student = None
    if teacher is not None:
        student = resolve_student(kind).of_teacher(space.transform(data.pool), teacher)
    if student is not None:
        return Predictor(student, space, temperature=1.0).predict_proba(data.test)
    counts = np.bincount(turn.given, minlength=len(data.labels)) + 1.0
    return np.tile(counts / counts.sum(), (len(data.test), 1)).astype(np.float32)


def _point(method: str, seed: int, labels: int, learned: Learned, data: Arrays, probs: Probs) -> Point:
    said = probs.argmax(axis=1)
    return Point(
        method=method,
        seed=seed,
        labels=labels,
        accuracy=accuracy(said, data.test_gold),
        macro_f1=macro_f1(said, data.test_gold),
        ece=ece(probs, data.test_gold),
        fit_seconds=learned.metrics["seconds_fit"],
    )
