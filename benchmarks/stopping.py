"""After `stop`, how much would the next 200 labels still have gained?

Each run is a project: a third of the pool only measures, a part is the audit's reserve, the strategy chooses from the
rest. After every 25 labels the rule is asked, with one audit label for every nine others. At its first `stop` the
accuracy on the measuring third is compared with that of 200 labels later.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ale.audit.stopping import APART, Past, judge
from ale.protocols import Strategy, Student
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import STUDENTS, resolve_student
from benchmarks.active import learn_runs
from benchmarks.figures import show
from benchmarks.sets import Set, add_options, read_sets
from benchmarks.stack import say

LATER = 200
RESERVE = 0.15
AUDIT_EVERY = 9
TARGET = 0.9


@dataclass(frozen=True, slots=True)
class Run:
    """One project: the labels at the first `stop` (None: never), the accuracy there, and the gain of what follows."""

    stopped: int | None
    accuracy: float
    gain: float

    @property
    def words(self) -> str:
        """One line: a long benchmark that is cut off has told what it saw."""
        if self.stopped is None:
            return "no stop"
        return f"stop at {self.stopped}, accuracy {self.accuracy:.3f}, then {100 * self.gain:+.2f} points"


def run(data: Set, upto: int, strategy: Strategy, student: type[Student], seed: int) -> Run:
    """The rule asked after every 25 labels up to `upto`, and 200 more labels after it said stop."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.gold)).astype(np.int64)
    third, reserve = len(order) // 3, int(RESERVE * len(order))
    measuring, audits = order[:third], order[third : third + reserve]
    past: list[Past] = []
    stopped: int | None = None
    then = float("nan")
    stops = range(0, upto + LATER + 1, APART)
    for labelled, learned in learn_runs(data, stops, order[: third + reserve], strategy, student, rng):
        said = np.nan_to_num(learned.probs).argmax(axis=1).astype(np.int64)
        now = float((said == data.gold)[measuring].mean())
        past.append(Past(len(labelled), said))
        if stopped is not None and len(labelled) == stopped + LATER:
            return Run(stopped, then, now - then)
        audited = audits[: len(labelled) // AUDIT_EVERY]
        if stopped is not None or len(labelled) > upto:
            continue
        if judge(past, audited, data.gold[audited], labelled=labelled).stop:
            stopped, then = len(labelled), now
    return Run(None, float("nan"), float("nan"))


def main(arguments: Sequence[str]) -> int:
    """Prints a row per set; 1 when too many of the stops came too early."""
    parser = argparse.ArgumentParser(prog="stopping", description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--student", default="", help=f"one of {', '.join(STUDENTS)}; the default of the engine"
    )
    parser.add_argument("--strategy", default=DEFAULT_STRATEGY)
    parser.add_argument("--upto", type=int, default=1500, help="labels after which no stop is waited for")
    parser.add_argument("--runs", type=int, default=8, help="per set")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.set:
        print("stopping: nothing to read, name files with --set")
        return 0
    student = resolve_student(options.student or next(iter(STUDENTS)))
    strategy = resolve_strategy(options.strategy)
    rows = []
    early: list[bool] = []
    for data in read_sets(options):
        runs = []
        for seed in range(options.seed, options.seed + options.runs):
            runs.append(run(data, options.upto, strategy, student, seed))
            say(f"{data.name}, seed {seed}: {runs[-1].words}")
        ended = [one for one in runs if one.stopped is not None]
        early += [one.gain >= 0.01 for one in ended]
        rows.append((data.name, len(runs), len(ended), *_figures(ended)))
    show(
        f"stop, student {student.kind}",
        ["set", "runs", "stopped", "at labels", "accuracy", "gain of 200 more", "largest", "below 1 point"],
        rows,
    )
    return 0 if not early or 1 - np.mean(early) >= TARGET else 1


def _figures(ended: Sequence[Run]) -> tuple[str, ...]:
    if not ended:
        return ("-",) * 5
    gains = np.array([one.gain for one in ended])
    return (
        f"{np.median([one.stopped for one in ended if one.stopped is not None]):.0f}",
        f"{np.mean([one.accuracy for one in ended]):.3f}",
        f"{100 * gains.mean():.2f}",
        f"{100 * gains.max():.2f}",
        f"{np.mean(gains < 0.01):.0%}",
    )
