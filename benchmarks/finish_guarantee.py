"""Is the promise of `ale finish` kept, and how much of a pool does it cover?

For each set a few histories are simulated: a quarter of the pool is the audit's reserve, the strategy chooses from the
rest, gold labels answer, and the beliefs after some numbers of labels are kept. Then many audits are drawn: the
reserve in random order, read by the hardest user there is, who tries again after every 25 audit labels and takes
the first success. A promise is broken when more of the rows that this user labels automatically are wrong than
was promised. Coverage is what a try at that many audit labels would label automatically, as a share of the
whole pool, a refusal as 0. The model rests while the audit goes on, or (`moving`) changes at every look, which costs
coverage; confidences are the selector's, or (`own`) the student's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.audit.echo import echoes
from ale.audit.finish import Finish, Look, select
from ale.audit.selector import FITTED, signs, sureness
from ale.audit.spending import declared
from ale.features import FeatureSpace
from ale.protocols import Strategy, Student
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import STUDENTS, resolve_student
from ale.types import Indices, Probs
from benchmarks.active import learn_runs
from benchmarks.figures import show
from benchmarks.sets import Set, add_options, read_sets
from benchmarks.stack import say

RESERVE = 0.25
EVERY = 25
SHOWN = (300, 600, 1000)
ALLOWED = 0.065
"""Broken promises at 5 %, and the noise of 1,000 draws."""


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is known after some labels: confidence, signs and error per pool row, and who was labelled."""

    confidence: NDArray[np.float64]
    signs: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    labelled: Indices


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One simulated project: its reserve, and the beliefs in order of labels."""

    reserve: Indices
    beliefs: list[Belief]


def history(
    data: Set, labels: Sequence[int], strategy: Strategy, student: type[Student], seed: int, batch: int
) -> History:
    """Active labels outside a random reserve; a belief after each number of `labels`."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.gold)).astype(np.int64)
    reserve = order[: int(RESERVE * len(order))]
    beliefs: list[Belief] = []
    heard: list[Probs] | None = None
    stops = sorted({*labels, *range(0, max(labels), batch)})
    for labelled, learned in learn_runs(data, stops, reserve, strategy, student, rng):
        if len(labelled) in labels:
            probs = learned.probs.copy()
            if learned.held_out is not None:
                probs[labelled] = learned.held_out
            known = ~np.isnan(probs).any(axis=1)
            confidence = np.where(known, np.nan_to_num(probs).max(axis=1), np.nan)
            wrong = ~known | (np.nan_to_num(probs).argmax(axis=1) != data.gold)
            if heard is None:
                heard = _heard(data, learned.space)
            evenly = np.float32(1 / len(data.labels))
            table = signs(np.where(np.isnan(probs), evenly, probs), data.teacher, heard)
            beliefs.append(Belief(confidence.astype(np.float64), table, wrong, labelled))
    return History(reserve, beliefs)


def _heard(data: Set, space: FeatureSpace) -> list[Probs]:
    return [] if data.teacher is None else echoes(data.texts, space.transform(data.raw), data.teacher)


def audit(
    past: History, beliefs: Sequence[int], max_error: float, seed: int, *, selected: bool = True
) -> Iterator[tuple[int, Finish]]:
    """The tries of one user on one audit: the number of audit labels and the outcome, at declared looks.

    `beliefs[i]` is the belief in force at look i; the last stays. Tries between looks have the last outcome.
    """
    order = np.random.default_rng(seed).permutation(past.reserve)
    made: list[Look] = []
    learnt = (-1, -1)
    sure: NDArray[np.float64] = np.zeros(0)
    for count in range(EVERY, min(len(order), max(SHOWN)) + 1, EVERY):
        if declared(count) != count:
            continue
        place = beliefs[min(len(made), len(beliefs) - 1)]
        belief, audited = past.beliefs[place], order[:count]
        confidence, fitted = belief.confidence, 0
        if selected:
            fitted = min(FITTED, count)
            if (place, fitted) != learnt:
                learnt = place, fitted
                sure = sureness(belief.signs, audited[:fitted], ~belief.wrong[audited[:fitted]])
                sure[np.isnan(belief.confidence)] = np.nan
            confidence = sure
        found = select(
            confidence,
            audited,
            belief.wrong[audited],
            belief.labelled,
            max_error=max_error,
            version=f"{place}, fitted on {fitted}",
            made=made,
            fitted=fitted,
        )
        if found.look is not None:
            made.append(found.look)
        yield place, found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What many users came to. `covered` and `refused` per number of audit labels in `SHOWN`."""

    broken: float
    success: float
    covered: tuple[float, ...]
    refused: tuple[float, ...]


def resample(
    histories: Sequence[History],
    beliefs: Sequence[int],
    max_error: float,
    draws: int,
    seed: int,
    *,
    selected: bool = True,
) -> Outcome:
    """Users on `draws` audits, spread evenly over the histories."""
    broken, success = 0, 0
    covered: dict[int, list[float]] = {count: [] for count in SHOWN}
    for draw in range(draws):
        past = histories[draw % len(histories)]
        done = False
        for place, found in audit(past, beliefs, max_error, seed * draws + draw, selected=selected):
            belief = past.beliefs[place]
            if not found.refused and not done:
                done = True
                success += 1
                broken += bool(belief.wrong[found.rows].mean() > max_error)
            if found.look is not None and found.look.audited in covered:
                covered[found.look.audited].append(len(found.rows) / len(belief.wrong))
    tried = [np.array(shares) for shares in covered.values()]
    return Outcome(
        broken / draws,
        success / draws,
        tuple(float(np.median(shares)) if len(shares) else float("nan") for shares in tried),
        tuple(float((shares == 0).mean()) if len(shares) else float("nan") for shares in tried),
    )


def main(arguments: Sequence[str]) -> int:
    """Prints a table per set; 1 when a promise is broken more often than it may be."""
    parser = argparse.ArgumentParser(prog="finish_guarantee", description=__doc__)
    add_options(parser)
    parser.add_argument("--labels", default="50,100,200,400", help="numbers of human labels, by comma")
    parser.add_argument(
        "--student", default="", help=f"one of {', '.join(STUDENTS)}; the default of the engine"
    )
    parser.add_argument("--strategy", default=DEFAULT_STRATEGY)
    parser.add_argument("--batch", type=int, default=50, help="human labels between two fits")
    parser.add_argument("--histories", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--by", choices=("selector", "own"), action="append", help="default: both")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.set:
        print("finish_guarantee: nothing to read, name files with --set")
        return 0
    labels = sorted(int(part) for part in options.labels.split(","))
    student = resolve_student(options.student or next(iter(STUDENTS)))
    strategy = resolve_strategy(options.strategy)
    kept = True
    for data in read_sets(options):
        past = [
            history(data, labels, strategy, student, options.seed + number, options.batch)
            for number in range(options.histories)
        ]
        rows, within = _rows(past, labels, options)
        kept &= within
        show(f"{data.name}: {len(data.gold)} texts, student {student.kind}", _COLUMNS, rows)
    return 0 if kept else 1


_COLUMNS = (
    *("human labels", "errors", "at most", "broken", "success"),
    *(f"{what} at {count}" for count in SHOWN for what in ("covered", "refused")),
)


def _rows(
    past: Sequence[History], labels: Sequence[int], options: argparse.Namespace
) -> tuple[list[tuple[object, ...]], bool]:
    rows: list[tuple[object, ...]] = []
    kept = True
    by = options.by or ("selector", "own")
    last, everywhere = len(labels) - 1, list(range(len(labels)))
    ways = [(str(count), [place], True) for place, count in enumerate(labels) if "selector" in by]
    ways += [(f"{labels[-1]}, own", [last], False)] if "own" in by else []
    ways += [("moving", everywhere, True)] if "selector" in by and len(labels) > 1 else []
    for name, beliefs, selected in ways:
        rate = np.mean([one.beliefs[beliefs[-1]].wrong[one.reserve].mean() for one in past])
        for max_error in (0.05, 0.02):
            found = resample(past, beliefs, max_error, options.resamples, options.seed, selected=selected)
            kept &= found.broken <= ALLOWED
            pairs = zip(found.covered, found.refused, strict=True)
            row = (
                name,
                f"{rate:.1%}",
                f"{max_error:.0%}",
                f"{found.broken:.1%}",
                f"{found.success:.0%}",
                *(f"{share:.0%}" for pair in pairs for share in pair),
            )
            say(" | ".join(row))  # the whole table comes after many minutes
            rows.append(row)
    return rows, kept
