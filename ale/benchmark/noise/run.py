"""One benchmark of error detection, from a checked data set to its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.benchmark.data import BenchmarkData, Split
from ale.benchmark.noise.detectors import Figures, Rows, detect
from ale.benchmark.noise.injecting import Gold, Noise
from ale.benchmark.opinion import AnswerStore, ask, unusable
from ale.benchmark.run import SEEDS, BenchmarkEncoder, Progress
from ale.errors import ConfigurationError
from ale.features import FeatureSpace
from ale.metrics import accuracy
from ale.protocols import Teacher
from ale.review.ridge import held_out_by_ridge
from ale.students import HybridStudent
from ale.types import Embeddings, Probs

STEP = "noise"


@dataclass(frozen=True, slots=True)
class NoisePlan:
    """Which noise, on how many labels of the pool per run, and how many runs."""

    noises: tuple[Noise, ...]
    rows: int = 1_000
    seeds: int = SEEDS

    def __post_init__(self) -> None:
        if not self.noises or self.rows < 2 or self.seeds < 1:
            raise ConfigurationError("at least one kind of noise, two labels and one seed are needed")


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What a simulated reviewer of the flags of `cleaner` brings: shares of right labels among those given, and of
    right answers of the student (without the teacher) on the test split, before and after, and with gold labels.
    """

    cleaner: str
    reviewed: float
    labels_before: float
    labels_after: float
    student_before: float
    student_after: float
    student_gold: float


@dataclass(frozen=True, slots=True)
class Run:
    """One seed of one noise."""

    noise: str
    seed: int
    errors: int
    detectors: Mapping[str, Figures]
    cleaning: Cleaning


@dataclass(frozen=True, slots=True)
class NoiseReport:
    """What was found. `finished` is false where runs are missing."""

    dataset: str
    settings: Mapping[str, Any]
    runs: Sequence[Run] = ()
    notes: Sequence[str] = field(default=())
    finished: bool = True

    @property
    def summary(self) -> dict[str, dict[str, Any]]:
        """Means over the seeds, by noise: of the true number of errors, each detector, and the cleaning."""
        found = {}
        for noise in dict.fromkeys(run.noise for run in self.runs):
            runs = [run for run in self.runs if run.noise == noise]
            found[noise] = {
                "errors": float(np.mean([run.errors for run in runs])),
                "detectors": {
                    name: _means([run.detectors[name] for run in runs]) for name in runs[0].detectors
                },
                "cleaning": {"by": runs[0].cleaning.cleaner}
                | _means([_numbers(run.cleaning) for run in runs]),
            }
        return found

    def as_json(self) -> dict[str, Any]:
        """The layout in which it is published."""
        return {
            "dataset": self.dataset,
            "settings": dict(self.settings),
            "finished": self.finished,
            "notes": list(self.notes),
            "runs": [asdict(run) for run in self.runs],
            "summary": self.summary,
        }


def run_label_noise(
    data: BenchmarkData,
    encoder: BenchmarkEncoder,
    plan: NoisePlan,
    teacher: Teacher | None,
    progress: Progress,
    store: AnswerStore | None = None,
    source: Mapping[str, Any] | None = None,
) -> NoiseReport:
    """The same for the same data, plan and answers. Only rows that a run draws are encoded, and asked about.

    Ctrl+C ends the run with the report of the runs that are whole; before the first it is raised.
    """
    notes = list(data.notes)
    size = min(plan.rows, len(data.pool))
    if size < plan.rows:
        notes.append(f"the pool has {len(data.pool)} texts: {plan.rows} labels per run are cut to that")
    parts = [np.random.default_rng(seed).permutation(len(data.pool))[:size] for seed in range(plan.seeds)]
    used = np.unique(np.concatenate(parts))
    pool = Split(tuple(data.pool.examples[row] for row in used), data.pool.gold[used])
    data = replace(data, pool=pool)
    texts = len(pool) + len(data.test)
    raw, test_raw = (
        encoder.encode(part, lambda done: progress("encode", done, texts))
        for part in (pool.texts, data.test.texts)
    )
    told: Probs | None = None
    if teacher is not None:
        opinion = ask(teacher, data, lambda done: progress("ask", done, len(pool)), store)
        told = opinion.probs
        notes += [note for note in (opinion.note, unusable(opinion)) if note]
    settings = dict(source or {}) | {
        "label_noise": [str(noise) for noise in plan.noises],
        "rows": size,
        "seeds": plan.seeds,
        "encoder": encoder.name,
        "teacher": "none" if teacher is None else teacher.name,
        "pool": len(pool),
        "test": len(data.test),
        "labels": list(data.labels.labels),
    }
    report = NoiseReport(data.name, settings, notes=notes, finished=False)
    work = plan.seeds * len(plan.noises)
    try:
        # One thread: the matrices are small, and the result is then the same on every machine of one kind.
        with threadpool_limits(1, user_api="blas"):
            for seed, part in enumerate(parts):
                mine = np.searchsorted(used, part)
                for run in _runs(data, plan.noises, seed, mine, raw, test_raw, told):
                    progress(f"{STEP}:Seed {seed + 1} of {plan.seeds}: {run.noise}", 1, work)
                    report = replace(report, runs=[*report.runs, run])
    except KeyboardInterrupt:
        if not report.runs:
            raise
        return replace(report, notes=[*notes, f"the run was cut off after {len(report.runs)} of {work} runs"])
    return replace(report, finished=True)


def _runs(
    data: BenchmarkData,
    noises: Sequence[Noise],
    seed: int,
    part: NDArray[np.int64],
    raw: Embeddings,
    test_raw: Embeddings,
    teacher: Probs | None,
) -> Iterator[Run]:
    """One seed: the same rows under every noise."""
    space = FeatureSpace.fit(raw[part])
    test = space.transform(test_raw)
    texts = data.pool.texts
    rows = Rows(
        [texts[row] for row in part],
        space.transform(raw[part]),
        data.pool.gold[part],
        data.pool.groups[part],
        None if teacher is None else teacher[part],
    )
    labels = len(data.labels)
    sight = np.exp(held_out_by_ridge(rows.features, rows.gold, labels)).astype(np.float32)
    best = _right(_fitted(rows, rows.gold, labels), test, data.test.gold)
    for noise in noises:
        yield _run(rows, noise, seed, labels, sight, test, data.test.gold, best)


def _run(
    rows: Rows,
    noise: Noise,
    seed: int,
    labels: int,
    sight: Probs,
    test: Embeddings,
    truth: Gold,
    best: float,
) -> Run:
    given = noise.inject(rows.gold, labels, sight, np.random.default_rng((seed, len(rows.gold))))
    found = detect(rows, given, labels)
    cleaning = Cleaning(
        found.cleaner,
        reviewed=found.figures[found.cleaner]["flagged"],
        labels_before=float((given == rows.gold).mean()),
        labels_after=float((found.cleaned == rows.gold).mean()),
        student_before=_right(found.student, test, truth),
        student_after=_right(_fitted(rows, found.cleaned, labels), test, truth),
        student_gold=best,
    )
    return Run(str(noise), seed, int((given != rows.gold).sum()), found.figures, cleaning)


def _fitted(rows: Rows, given: Gold, labels: int) -> HybridStudent:
    return HybridStudent().fit(rows.features, np.arange(len(given)), given, labels=labels, groups=rows.groups)


def _right(student: HybridStudent, test: Embeddings, truth: Gold) -> float:
    return accuracy(student.logits(test).argmax(axis=1), truth)


def _numbers(cleaning: Cleaning) -> Figures:
    return {name: value for name, value in asdict(cleaning).items() if name != "cleaner"}


def _means(figures: Sequence[Figures]) -> Figures:
    """Of each figure over the runs that have it."""
    names = dict.fromkeys(name for one in figures for name in one)
    return {name: float(np.mean([one[name] for one in figures if name in one])) for name in names}
