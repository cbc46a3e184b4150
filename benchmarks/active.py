"""A project in fast motion: the strategy chooses, gold labels answer, the engine learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ale.engine import Learned, LearnInput, learn
from ale.protocols import Strategy, Student
from ale.types import Indices
from benchmarks.sets import Set


def learn_runs(
    data: Set,
    stops: Sequence[int],
    closed: Indices,
    strategy: Strategy,
    student: type[Student],
    rng: np.random.Generator,
) -> Iterator[tuple[Indices, Learned]]:
    """A learn run at each of `stops` (rising numbers of labels, from 0), with the rows labelled by then.

    Rows of `closed` are never chosen: the audit's reserve, or a part that only measures.
    """
    waiting = np.ones(len(data.gold), bool)
    waiting[closed] = False
    labelled: Indices = np.zeros(0, np.int64)
    for stop, following in zip(stops, [*stops[1:], stops[-1]], strict=True):
        waiting[labelled] = False
        learned = learn(
            LearnInput(
                raw=data.raw,
                labelled=labelled,
                targets=data.gold[labelled],
                labels=data.labels,
                strategy=strategy,
                student=student,
                groups=data.groups[labelled],
                teacher=data.teacher,
                candidates=waiting,
                batch=following - stop,
                seed=int(rng.integers(2**31)),
                review=False,
            )
        )
        yield labelled, learned
        labelled = np.concatenate([labelled, learned.ranking.order[: following - stop]])
