"""One benchmark from a checked data set to its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from ale.benchmark.curves import Arrays, Point, curve, full_data, methods, stops
from ale.benchmark.data import BenchmarkData
from ale.benchmark.opinion import AnswerStore, as_json, ask
from ale.benchmark.report import Report
from ale.errors import ConfigurationError
from ale.protocols import Teacher
from ale.students import DEFAULT_STUDENT
from ale.types import Embeddings

BUDGETS = (10, 25, 50, 100, 200, 300, 500, 800, 1200)

Progress = Callable[[str, int, int], None]
"""Hears of a step, how much more of it is done, and how much it is in all."""


class BenchmarkEncoder(Protocol):
    """An encoder that tells how far it is."""

    name: str

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """See `ale.protocols.Encoder`; `progress` hears how many more texts are done."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare. `batch` is the most labels between two fits of the student."""

    strategies: tuple[str, ...] = ("random",)
    students: tuple[str, ...] = (DEFAULT_STUDENT,)
    budgets: tuple[int, ...] = BUDGETS
    seeds: int = 3
    batch: int = 25

    def __post_init__(self) -> None:
        if not self.budgets or min(self.budgets) < 1:
            raise ConfigurationError(f"budgets must be 1 or more labels, not {self.budgets}")
        if self.seeds < 1 or self.batch < 1:
            raise ConfigurationError("at least one seed and one label per batch are needed")


def run_benchmark(
    data: BenchmarkData,
    encoder: BenchmarkEncoder,
    plan: Plan,
    teacher: Teacher | None,
    progress: Progress,
    store: AnswerStore | None = None,
) -> Report:
    """Everything but the seconds is the same for the same data, plan and answers; `store`: see `ask`."""
    chosen = methods(plan.strategies, plan.students, teacher=teacher is not None)
    notes = list(data.notes)
    budgets = _within(plan.budgets, len(data.pool), notes)
    pool, test = data.pool.texts, data.test.texts
    texts = len(pool) + len(test)
    raw, test_raw = (
        encoder.encode(part, lambda done: progress("encode", done, texts)) for part in (pool, test)
    )
    arrays = Arrays(data.labels, raw, data.pool.gold, data.pool.groups, test_raw, data.test.gold)
    told = None
    if teacher is not None:
        opinion = ask(teacher, data, lambda done: progress("ask", done, len(pool)), store)
        told = as_json(opinion, data)
        arrays = replace(arrays, teacher=opinion.probs)
        notes += [opinion.note] if opinion.note else []

    work = sum(stops(budgets, len(pool), plan.batch, m.strategy)[-1] for m in chosen) * plan.seeds
    points: list[Point] = []
    for method in chosen:
        for seed in range(plan.seeds):
            points += curve(
                arrays, method, seed, budgets, plan.batch, lambda done: progress("label", done, work)
            )
    progress("full data", 0, 1)
    full = full_data(arrays, plan.students[0])
    progress("full data", 1, 1)
    settings = asdict(plan) | {
        "budgets": budgets,
        "encoder": encoder.name,
        "teacher": "none" if teacher is None else teacher.name,
        "pool": len(pool),
        "test": len(test),
        "labels": list(data.labels.labels),
        "methods": [asdict(method) for method in chosen],
    }
    return Report(data.name, full.accuracy, points, settings, told, notes)


def _within(budgets: Sequence[int], pool: int, notes: list[str]) -> list[int]:
    """Budgets in order, cut at the pool's size."""
    cut = [budget for budget in budgets if budget > pool]
    if cut:
        notes.append(f"the pool has {pool} texts: budgets {', '.join(map(str, cut))} are cut to that")
    return sorted({min(budget, pool) for budget in budgets})
