"""One benchmark from a checked data set to its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Protocol

from ale.benchmark.curves import Arrays, Method, curve, full_data, methods, stops
from ale.benchmark.data import BenchmarkData
from ale.benchmark.opinion import AnswerStore, as_json, ask, unusable
from ale.benchmark.points import Point, draw_audit
from ale.benchmark.report import Report
from ale.benchmark.tuned import Tunable
from ale.errors import ConfigurationError
from ale.protocols import Teacher
from ale.students import DEFAULT_STUDENT
from ale.teachers.recorded import RecordedTeacher
from ale.tuning.belief import Tuner
from ale.types import Embeddings

BUDGETS = (10, 25, 50, 100, 200, 300, 500, 800, 1200)
SEEDS = 5

Progress = Callable[[str, int, int], None]
"""Hears of a step, how much more of it is done, and how much it is in all. `label:` is followed by what is
run at the moment; that does not make it another step.
"""

Keep = Callable[[Report], None]
"""Gets the report so far after every curve."""


class BenchmarkEncoder(Protocol):
    """An encoder that tells how far it is."""

    name: str

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """See `ale.protocols.Encoder`; `progress` hears how many more texts are done."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare. `batch` is the most labels between two fits of the student; `audit` labels per run are
    drawn at random from the pool, never trained on, and not counted in the budgets.
    """

    strategies: tuple[str, ...] = ("random",)
    students: tuple[str, ...] = (DEFAULT_STUDENT,)
    budgets: tuple[int, ...] = BUDGETS
    seeds: int = SEEDS
    batch: int = 25
    peers: tuple[str, ...] = ()
    audit: int = 0

    def __post_init__(self) -> None:
        if not self.budgets or min(self.budgets) < 1:
            raise ConfigurationError(f"budgets must be 1 or more labels, not {self.budgets}")
        if self.seeds < 1 or self.batch < 1:
            raise ConfigurationError("at least one seed and one label per batch are needed")
        if self.audit < 0:
            raise ConfigurationError(f"audit labels must be 0 or more, not {self.audit}")


def run_benchmark(
    data: BenchmarkData,
    encoder: BenchmarkEncoder,
    plan: Plan,
    teacher: Teacher | None,
    progress: Progress,
    store: AnswerStore | None = None,
    keep: Keep | None = None,
    tuner: Tuner | None = None,
    source: Mapping[str, Any] | None = None,
) -> Report:
    """Everything but the seconds is the same for the same data, plan and answers; `store`: see `ask`.

    `source` stands in the report's settings beside the plan: what is needed to find the same data again.

    `tuner` is what the transformer student needs; its tunings are cut short where time runs out.

    Ctrl+C among the curves ends the run with the report of those that are whole; before the first it is raised.
    """
    chosen = methods(plan.strategies, plan.students, teacher=teacher is not None, peers=plan.peers)
    notes = list(data.notes)
    room = _room(data, plan)
    budgets = _within(plan.budgets, room, len(data.pool), notes)
    pool, test = data.pool.texts, data.test.texts
    texts = len(pool) + len(test)
    raw, test_raw = (
        encoder.encode(part, lambda done: progress("encode", done, texts)) for part in (pool, test)
    )
    tunable = None if tuner is None else Tunable(pool, test, tuner)
    arrays = Arrays(
        data.labels, raw, data.pool.gold, data.pool.groups, test_raw, data.test.gold, tunable=tunable
    )
    told = None
    if teacher is not None:
        opinion = ask(teacher, data, lambda done: progress("ask", done, len(pool)), store)
        told = as_json(opinion, data)
        arrays = replace(arrays, teacher=opinion.probs)
        notes += [note for note in (opinion.note, unusable(opinion)) if note]
    if any(data.labels.hints) and (teacher is None or isinstance(teacher, RecordedTeacher)):
        whose = "there is no teacher" if teacher is None else "a recorded teacher has answered already"
        notes.append(f"nobody reads the descriptions: {whose}")

    progress("full data", 0, 1)
    # The student of `ale`, whatever else is compared: else n95 would hang on the order of the students.
    full = full_data(arrays, DEFAULT_STUDENT)
    progress("full data", 1, 1)
    settings = (
        dict(source or {})
        | asdict(plan)
        | {
            "budgets": budgets,
            "encoder": encoder.name,
            "teacher": "none" if teacher is None else teacher.name,
            "pool": len(pool),
            "test": len(test),
            "labels": list(data.labels.labels),
            "methods": [asdict(method) for method in chosen],
        }
    )
    report = Report(
        data.name, full.accuracy, [], settings, told, notes, finished=False, yardstick=DEFAULT_STUDENT
    )
    work = plan.seeds * sum(
        stops(budgets, room, plan.batch, method)[-1] for method in set(map(_unnamed, chosen))
    )
    try:
        # Seed by seed, so that a run that is cut off compares the methods on the same seeds.
        for seed in range(plan.seeds):
            known: dict[Method, list[Point]] = {}
            for method in chosen:
                same = _unnamed(method)
                if same not in known:
                    step = f"label:Seed {seed + 1} of {plan.seeds}: {method.name}"
                    more = curve(
                        arrays,
                        method,
                        seed,
                        budgets,
                        plan.batch,
                        partial(_hear, progress, step, work),
                        audit=plan.audit,
                    )
                    known[same] = list(more)
                report = _with(report, [replace(point, method=method.name) for point in known[same]])
                if keep is not None:
                    keep(report)
    except KeyboardInterrupt:
        if not report.points:
            raise
        return report
    return replace(report, finished=True)


def _unnamed(method: Method) -> Method:
    """Equal for methods that do the same: `ale` may be one of the strategies, and is then run once."""
    return method if method.peer else replace(method, name="")


def _hear(progress: Progress, step: str, work: int, done: int) -> None:
    progress(step, done, work)


def _with(report: Report, more: list[Point]) -> Report:
    """The report with one more curve, the points in the order of the methods."""
    order = [chosen["name"] for chosen in report.settings["methods"]]
    points = sorted([*report.points, *more], key=lambda point: order.index(point.method))
    return replace(report, points=points)


def _room(data: BenchmarkData, plan: Plan) -> int:
    """Pool rows that every seed may ask for. Raises ConfigurationError when the audit leaves none."""
    groups = data.pool.groups
    held = [int(draw_audit(plan.audit, groups, seed).reserved.sum()) for seed in range(plan.seeds)]
    if max(held) >= len(groups):
        raise ConfigurationError(
            f"{plan.audit} audit labels leave nothing to label: the pool has {len(groups)} texts"
        )
    return len(groups) - max(held)


def _within(budgets: Sequence[int], room: int, pool: int, notes: list[str]) -> list[int]:
    """Budgets in order, cut at what may be asked for."""
    cut = [budget for budget in budgets if budget > room]
    if cut:
        less = "" if room == pool else f", {room} beside the audit"
        notes.append(f"the pool has {pool} texts{less}: budgets {', '.join(map(str, cut))} are cut to that")
    return sorted({min(budget, room) for budget in budgets})
