"""What is it worth to weigh labels by how they came about?

A third of each set only measures; from the rest the strategy chooses, and simulated annotators answer. `right`: with
the gold label. `confused`: one answer in ten is the one label that is always mistaken for the right one. `eased`: a
wrong suggestion passes three times in ten, besides that three answers in a hundred are slips. At the numbers of labels
that are asked for, the same labels are learnt from with different weights; figures are points against all weights one.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ale.benchmark.noise.injecting import class_dependent
from ale.engine import LearnInput, learn
from ale.metrics import accuracy, ece
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import DEFAULT_STUDENT, resolve_student
from ale.trust import words
from ale.types import Indices
from ale.weights import label_weights
from benchmarks.figures import show
from benchmarks.sets import Set, add_options, read_sets
from benchmarks.stack import say

KINDS = ("right", "confused", "eased")
WRONG, PASSES, SLIPS = 0.1, 0.3, 0.03
AGO = 20  # labels since the review whose doubts are used: in the loop it is that of the run before
LEAST = 0.3  # that a doubted label counts
LOOKED = 0.1  # of the labels, a reviewer looks at
REPEATED, MOST_REPEATS, FEW = 0.3, 4, 3
ALIKE = "all alike"

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one fit, on the rows that only measure."""

    accuracy: float
    ece: float


class Annotators:
    """Who answers, and what was suggested to them."""

    def __init__(self, data: Set, kind: str, rng: np.random.Generator) -> None:
        self._gold, self._many, self._kind, self._rng = data.gold, len(data.labels), kind, rng
        self._mistaken = class_dependent(np.arange(self._many), self._many, np.zeros(0, np.float32), rng)

    def answer(self, rows: Indices, suggested: NDArray[np.int64]) -> NDArray[np.int64]:
        """A label per row; -1 where nothing was suggested."""
        gold = self._gold[rows]
        given = gold.copy()
        chance = self._rng.random(len(rows))
        if self._kind == "confused":
            wrong = chance < WRONG
            given[wrong] = self._mistaken[gold[wrong]]
        elif self._kind == "eased":
            passed = (suggested >= 0) & (suggested != gold) & (chance < PASSES)
            given[passed] = suggested[passed]
            slip = ~passed & (chance > 1.0 - SLIPS)
            given[slip] = (gold[slip] + self._rng.integers(1, self._many, int(slip.sum()))) % self._many
        return given


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """So many labels, what was suggested, and how surely each was wrong by the review some labels ago."""

    given: LearnInput
    suggested: NDArray[np.int64]
    doubts: NDArray[np.float64]


def projects(data: Set, closed: Indices, kind: str, at: Sequence[int], seed: int) -> Iterator[Project]:
    """One project in fast motion, as it is at each number of labels."""
    rng = np.random.default_rng(seed)
    people = Annotators(data, kind, rng)
    waiting = np.ones(len(data.gold), bool)
    waiting[closed] = False
    reviews = [stop - AGO for stop in at]
    stops = sorted({0, 20, 50, *reviews, *at})
    rows: Indices = np.zeros(0, np.int64)
    targets, suggested, doubts = rows.copy(), rows.copy(), np.zeros(0)
    for stop, following in zip(stops, [*stops[1:], stops[-1]], strict=True):
        given = LearnInput(
            raw=data.raw,
            labelled=rows,
            targets=targets,
            labels=data.labels,
            strategy=resolve_strategy(DEFAULT_STRATEGY),
            student=resolve_student(DEFAULT_STUDENT),
            groups=data.groups[rows],
            teacher=data.teacher,
            candidates=waiting.copy(),
            batch=max(1, following - stop),
            seed=int(rng.integers(2**31)),
            review=stop in reviews,
        )
        if stop in at:
            yield Project(given, suggested, np.concatenate([doubts, np.zeros(stop - len(doubts))]))
        if following == stop:
            return
        learned = learn(given)
        if stop in reviews:
            doubts = np.zeros(stop)
            for issue in learned.issues:
                doubts[issue.position] = issue.score
        asked = learned.ranking.order[: following - stop]
        shown = words(learned.probs[asked])
        waiting[asked] = False
        rows = np.concatenate([rows, asked])
        targets = np.concatenate([targets, people.answer(asked, shown)])
        suggested = np.concatenate([suggested, shown])


def ways(project: Project, data: Set, kind: str, seed: int) -> Iterator[tuple[str, LearnInput, str]]:
    """Names of what is compared, the labels with their weights, and the name of what each is compared with."""
    given, doubts = project.given, project.doubts
    n = len(given.targets)
    plain = replace(given, review=False)
    yield ALIKE, plain, ALIKE
    yield "doubted lighter", replace(plain, weights=np.maximum(1.0 - doubts, LEAST)), ALIKE
    if kind == "eased":
        there = project.suggested >= 0
        agreed, changed = (there & (project.suggested == given.targets)), project.suggested != given.targets
        yield "as suggested: 0.7", replace(plain, weights=np.where(agreed, 0.7, 1.0)), ALIKE
        yield "changed: 1.5", replace(plain, weights=np.where(there & changed, 1.5, 1.0)), ALIKE
        return
    looked = np.argsort(-doubts, kind="stable")[: min(int((doubts > 0).sum()), round(LOOKED * n))]
    reviewed = given.targets.copy()
    reviewed[looked] = data.gold[given.labelled[looked]]
    after = replace(plain, targets=reviewed)
    yield "reviewed", after, ALIKE
    for weight in (1.5, 2.0):
        heavier = np.ones(n)
        heavier[looked] = weight
        yield f"reviewed: {weight}", replace(after, weights=heavier), "reviewed"
    yield from _repeated(plain, data, kind, seed)


def _repeated(plain: LearnInput, data: Set, kind: str, seed: int) -> Iterator[tuple[str, LearnInput, str]]:
    """Some of the texts, or a few of them very often, have been labelled several times, by people who err apart."""
    rng = np.random.default_rng(seed)
    n = len(plain.targets)
    some = np.where(rng.random(n) < REPEATED, rng.integers(1, MOST_REPEATS + 1, n), 0)
    yield from _shared("some repeated", some, plain, data, kind, rng)
    few = np.zeros(n, np.int64)
    few[rng.choice(n, FEW, replace=False)] = n // 4
    yield from _shared("few repeated", few, plain, data, kind, rng)


def _shared(
    name: str,
    extra: NDArray[np.int64],
    plain: LearnInput,
    data: Set,
    kind: str,
    rng: np.random.Generator,
) -> Iterator[tuple[str, LearnInput, str]]:
    again = np.repeat(plain.labelled, extra)
    said = Annotators(data, kind, rng).answer(again, np.full(len(again), -1))
    rows = np.concatenate([plain.labelled, again])
    groups = np.unique(rows, return_inverse=True)[1].astype(np.int64)
    several = replace(
        plain, labelled=rows, targets=np.concatenate([plain.targets, said]), groups=data.groups[rows]
    )
    yield name, several, ALIKE
    yield f"{name}, shared", replace(several, weights=label_weights(groups)), name


def measure(given: LearnInput, data: Set, measuring: Indices) -> Figures:
    """The student's word about rows that were never candidates, as about any new text."""
    learned = learn(given)
    if learned.predictor is None:
        raise ValueError(f"{len(given.targets)} labels make no student")
    probs = learned.predictor.predict_proba(data.raw[measuring])
    gold = data.gold[measuring]
    return Figures(accuracy(probs.argmax(axis=1), gold), ece(probs, gold))


def main(arguments: Sequence[str]) -> int:
    """Prints a table; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks label_weights", description=__doc__)
    add_options(parser)
    parser.add_argument("--labels", default="100,300", help="numbers of labels, 50 and more")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args(arguments)
    if not options.set:
        print("label_weights: nothing to read, name files with --set")
        return 0
    at = [int(number) for number in options.labels.split(",")]
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]] = defaultdict(list)
    sets = read_sets(options)
    for seed in range(options.seeds):
        for data in sets:
            closed = np.random.default_rng(seed).permutation(len(data.gold))[: len(data.gold) // 3]
            for kind in options.kinds.split(","):
                for project in projects(data, closed.astype(np.int64), kind, at, seed):
                    seen: dict[str, Figures] = {}
                    for name, given, beside in ways(project, data, kind, seed):
                        seen[name] = measure(given, data, closed)
                        gain = 100 * (seen[name].accuracy - seen[beside].accuracy)
                        more = 100 * (seen[name].ece - seen[beside].ece)
                        found[kind, name, beside].append((gain, more, 100 * seen[name].accuracy))
                        n = len(project.given.targets)
                        say(f"{data.name}, {kind}, seed {seed}, {n} labels, {name}: {gain:+.2f} {more:+.2f}")
    _show(found, len(sets), options.seeds, at)
    return 0


def _show(
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]],
    sets: int,
    seeds: int,
    at: Sequence[int],
) -> None:
    rows = []
    for (kind, name, beside), figures in found.items():
        table = np.array(figures).reshape(seeds, sets, len(at), 3)
        gains = table[..., 0]
        error = gains.std(ddof=1) / np.sqrt(gains.size) if gains.size > 1 else float("nan")
        per = [f"{gain:+.2f}" for gain in gains.mean(axis=(0, 1))]
        rows.append(
            (
                kind,
                name,
                beside if name != beside else "",
                f"{table[..., 2].mean():.1f}",
                f"{gains.mean():+.2f} ± {error:.2f}",
                *per,
                f"{gains.mean(axis=(0, 2)).min():+.2f}",
                f"{table[..., 1].mean():+.2f}",
            )
        )
    columns = ["answers", "weights", "against", "accuracy", "gain", *(f"at {n}" for n in at)]
    show(f"label weights, {seeds} seeds", [*columns, "worst set", "ECE"], rows)
