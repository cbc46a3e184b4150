"""What do reviewers' decisions bring, while a project is labelled?

A third of each set only measures. From the rest the strategy chooses, and simulated annotators answer with errors
(`confused`, `eased`: see label_weights). After every STEP labels a simulated reviewer decides on the worst suspicions,
by the gold labels, and the labels are fixed. `steered`: the decisions correct the suspicions and the estimate of what is
left, as in the product. `not steered`: they only fix labels. `no review`: nobody looks.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.engine import Learned, LearnInput, learn
from ale.learn_input import Past
from ale.metrics import accuracy
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import DEFAULT_STUDENT, resolve_student
from ale.trust import words
from ale.types import Indices
from benchmarks.figures import show
from benchmarks.label_weights import Annotators
from benchmarks.sets import Set, add_options, read_sets
from benchmarks.stack import say

STEERED, PLAIN, NONE = "steered", "not steered", "no review"
FIRST, STEP, LOOKS = 60, 40, 10
MIN_INTERVAL = 5


@dataclass(slots=True)
class Tally:
    """Of one project: suspicions that were looked at and right, errors made, estimates of what is left."""

    looked: int = 0
    right: int = 0
    errors: int = 0
    left: int = 0
    estimates: int = 0
    inside: int = 0
    expected: float = 0.0
    truly: float = 0.0
    width: float = 0.0
    accuracy: float = 0.0


def play(data: Set, kind: str, seed: int, way: str, labels: int) -> Tally:
    """One project to the end."""
    rng = np.random.default_rng(seed)
    closed = rng.permutation(len(data.gold))[: len(data.gold) // 3]
    people = Annotators(data, kind, rng)
    waiting = np.ones(len(data.gold), bool)
    waiting[closed] = False
    rows: Indices = np.zeros(0, np.int64)
    targets = rows.copy()
    settled = np.zeros(0, bool)
    past: list[tuple[int, int, float, bool]] = []
    found = Tally()
    stops = [0, 20, *range(FIRST, labels + 1, STEP)]
    for stop, following in zip(stops, [*stops[1:], stops[-1]], strict=True):
        learned = learn(
            _given(
                data,
                rows,
                targets,
                candidates=waiting.copy(),
                batch=max(1, following - stop),
                seed=int(rng.integers(2**31)),
                review=stop >= FIRST and way != NONE,
                reviewed=settled,
                past=Past.of(past) if way == STEERED else None,
            )
        )
        wrong = targets != data.gold[rows]
        if learned.remaining is not None and len(past) >= MIN_INTERVAL:
            _note(found, learned, int(wrong[~settled].sum()))
        for issue in learned.issues[:LOOKS]:
            at = issue.position
            past.append((int(rows[at]), issue.given, issue.doubt, bool(wrong[at])))
            found.looked += 1
            found.right += int(wrong[at])
            targets[at] = data.gold[rows[at]]
            settled[at] = True
        if following == stop:
            break
        asked = learned.ranking.order[: following - stop]
        shown = words(learned.probs[asked])
        waiting[asked] = False
        answers = people.answer(asked, shown)
        found.errors += int((answers != data.gold[asked]).sum())
        rows = np.concatenate([rows, asked])
        targets = np.concatenate([targets, answers])
        settled = np.concatenate([settled, np.zeros(len(asked), bool)])
    found.left = int((targets != data.gold[rows]).sum())
    found.accuracy = _measured(data, rows, targets, closed.astype(np.int64))
    return found


def _note(found: Tally, learned: Learned, truly: int) -> None:
    left = learned.remaining
    if left is None:
        return
    found.estimates += 1
    found.expected += left.expected
    found.truly += truly
    if left.low is not None and left.high is not None:
        found.inside += int(round(left.low) <= truly <= round(left.high))
        found.width += left.high - left.low


def _given(data: Set, rows: Indices, targets: NDArray[np.int64], **more: Any) -> LearnInput:
    """The default student and strategy on these labels."""
    return LearnInput(
        raw=data.raw,
        labelled=rows,
        targets=targets,
        labels=data.labels,
        strategy=resolve_strategy(DEFAULT_STRATEGY),
        student=resolve_student(DEFAULT_STUDENT),
        groups=data.groups[rows],
        teacher=data.teacher,
        **more,
    )


def _measured(data: Set, rows: Indices, targets: NDArray[np.int64], measuring: Indices) -> float:
    learned = learn(_given(data, rows, targets, review=False))
    if learned.predictor is None:
        raise ValueError(f"{len(rows)} labels make no student")
    return accuracy(learned.predictor.predict_proba(data.raw[measuring]).argmax(axis=1), data.gold[measuring])


def main(arguments: Sequence[str]) -> int:
    """Prints a table; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks review_loop", description=__doc__)
    add_options(parser)
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", default="confused,eased,right")
    parser.add_argument("--ways", default=f"{STEERED},{PLAIN},{NONE}")
    options = parser.parse_args(arguments)
    if not options.set:
        print("review_loop: nothing to read, name files with --set")
        return 0
    found: dict[tuple[str, str, str], list[Tally]] = defaultdict(list)
    for data in read_sets(options):
        for kind in options.kinds.split(","):
            for way in options.ways.split(","):
                for seed in range(options.seeds):
                    tally = play(data, kind, seed, way, options.labels)
                    found[data.name, kind, way].append(tally)
                    say(f"{data.name}, {kind}, {way}, seed {seed}: {tally}")
    show(f"reviews, {options.labels} labels, {options.seeds} seeds", _COLUMNS, [*map(_row, found.items())])
    return 0


_COLUMNS = (
    *("set", "answers", "way", "looked at", "of them wrong", "errors made", "left"),
    *("estimated left, mean", "truly", "interval holds it", "its width", "student"),
)


def _row(item: tuple[tuple[str, str, str], list[Tally]]) -> tuple[str, ...]:
    (name, kind, way), tallies = item
    mean = {key: float(np.mean([getattr(one, key) for one in tallies])) for key in Tally.__slots__}
    times = max(1.0, mean["estimates"])
    none = way != STEERED
    return (
        *(name, kind, way, f"{mean['looked']:.0f}"),
        f"{mean['right'] / mean['looked']:.0%}" if mean["looked"] else "",
        *(f"{mean['errors']:.1f}", f"{mean['left']:.1f}"),
        f"{mean['expected'] / times:.1f}" if mean["estimates"] else "",
        f"{mean['truly'] / times:.1f}" if mean["estimates"] else "",
        "" if none or not mean["estimates"] else f"{mean['inside'] / times:.0%}",
        "" if none or not mean["estimates"] else f"{mean['width'] / times:.1f}",
        f"{mean['accuracy']:.1%}",
    )
