"""The benchmark without files or terminal: what is left out is said, and curves are read as one would by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ale.benchmark.curves import Arrays, Method, curve, full_data, methods, stops
from ale.benchmark.data import BenchmarkData, Rows, make_data
from ale.benchmark.points import Point
from ale.benchmark.report import Report
from ale.benchmark.run import Plan
from ale.benchmark.summary import mean_curve, summarise
from ale.errors import ConfigurationError, UnknownName
from ale.teachers.recorded import hard
from ale.types import LabelSpace

POOL = Rows("pool.csv", ["a good film", "a bad film", "fine", ""], ["good", "bad", "good", "bad"])
TEST = Rows("test.csv", ["fine", "awful"], ["good", "bad"])


def arrays(rows: int = 300, labels: int = 3, spread: float = 1.2) -> Arrays:
    """Blobs, half of them for the test, with a recorded teacher that is right in some 80 % and silent in 10 %."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, labels, 2 * rows)
    raw = (rng.normal(size=(labels, 16))[gold] + spread * rng.normal(size=(2 * rows, 16))).astype(np.float32)
    said = np.where(rng.random(rows) < 0.7, gold[:rows], rng.integers(0, labels, rows))
    said[::10] = -1
    space = LabelSpace(tuple(f"label {i}" for i in range(labels)))
    groups = np.arange(rows, dtype=np.int64)
    return Arrays(space, raw[:rows], gold[:rows], groups, raw[rows:], gold[rows:], hard(said, labels))


def points(method: str, *accuracies: tuple[int, float], seed: int = 0) -> list[Point]:
    """A curve made up."""
    return [Point(method, seed, n, accuracy, accuracy, 0.1, 1.0) for n, accuracy in accuracies]


def data(**changes: object) -> BenchmarkData:
    """The small data set with some of its parts changed."""
    given: dict[str, object] = {"pool": POOL, "test": TEST, "descriptions": {}} | changes
    return make_data("set", **given)  # type: ignore[arg-type]


def test_data_is_checked_once_and_what_is_left_out_is_said() -> None:
    """Labels in alphabetical order; a row without text and a test text that the pool has are named."""
    made = data(descriptions={"bad": "they hated it"})
    assert made.labels == LabelSpace(("bad", "good"), ("they hated it", ""))
    assert made.pool.gold.tolist() == [1, 0, 1]
    assert [example.id for example in made.pool.examples] == [0, 1, 2]
    assert made.notes == (
        "no description of 'good': there the name has to do",
        "pool.csv: 0 rows without a label and 1 without text are left out",
        "1 texts of test.csv also stand in pool.csv",
    )
    assert data(descriptions=None).notes == made.notes[1:]
    assert data().notes[0] == "no description of 'bad', 'good': there the name has to do"
    twice = data(pool=Rows("pool.csv", ["x", "y", "x"], ["good", "bad", "bad"])).pool.groups
    assert twice[0] == twice[2] != twice[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": Rows("pool.csv", ["x", "y"], ["", " "])}, "pool.csv has no labels"),
        ({"pool": Rows("pool.csv", ["x", "y"], ["good", "good"])}, "a single label, 'good'"),
        (
            {"pool": Rows("pool.csv", ["x", ""], ["good", "bad"])},
            "a single label in the rows that have a text",
        ),
        (
            {"test": Rows("test.csv", ["x"], ["mixed"])},
            "test.csv has labels that pool.csv does not have: 'mixed'",
        ),
        ({"test": Rows("test.csv", [""], ["good"])}, "test.csv has no row with a text and a label"),
        ({"descriptions": {"godo": "?"}}, "labels that do not exist: 'godo'; the labels: 'bad', 'good'"),
    ],
)
def test_a_data_set_that_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    """The message names the file and the value."""
    with pytest.raises(ConfigurationError, match=message):
        data(**changes)


def test_labels_needed_lie_on_the_line_between_two_budgets() -> None:
    """From .5 at 10 to .7 at 20 labels, .6 is reached at 15; never is `> last`; at once is the first budget."""
    line = mean_curve(points("m", (10, 0.5), (20, 0.7)), "m")
    assert summarise(line, full=0.6 / 0.95)["n95"] == 15
    assert summarise(line, full=0.8)["n95"] == "> 20"
    assert summarise(line, full=0.8)["n90"] == "> 20"
    assert summarise(line, full=0.5)["n95"] == 10
    assert summarise(line, full=0.5)["accuracy_at"] == {"10": 0.5, "20": 0.7}


def test_a_curve_is_the_mean_over_seeds() -> None:
    """Mean, band and area of two seeds, by hand; the point without human labels is outside the area."""
    both = [
        *points("m", (0, 0.1), (10, 0.5), (30, 0.7)),
        *points("m", (0, 0.1), (10, 0.7), (30, 0.7), seed=1),
        *points("other", (10, 0.0)),
    ]
    line = mean_curve(both, "m")
    assert line.accuracy == pytest.approx([0.1, 0.6, 0.7])
    assert line.spread == pytest.approx([0, 0.1, 0])
    assert line.seeds == 2
    assert summarise(line, 1.0)["auc"] == pytest.approx(0.65)


def test_the_report_says_when_a_curve_falls_below_again() -> None:
    """n95 is where it first gets there; that it does not stay is a note, not a secret. NaN becomes null."""
    up_and_down = [Point("m", 0, n, a, math.nan, 0.1, 1.0) for n, a in ((0, 0.8), (10, 0.6), (20, 0.8))]
    report = Report("set", 0.8, up_and_down, {}, notes=["a note"])
    found = report.as_json()
    assert found["summary"]["m"]["n95"] == 0
    assert found["notes"] == [
        "a note",
        "m: its n95 is where it first gets there; with 10 labels it is below again (0.600)",
    ]
    assert found["curves"][0]["macro_f1"] is None
    assert Report("set", 0.8, points("m", (10, 0.7), (20, 0.8)), {}).all_notes == []


def test_methods_have_the_published_names() -> None:
    """`ale` first; each again without the teacher if there is one; unknown names list the known ones."""
    assert [m.name for m in methods(["random", "margin"], ["linear"], teacher=False)] == [
        "ale",
        "random",
        "margin",
    ]
    with_teacher = methods(["random"], ["linear"], teacher=True)
    assert [(m.name, m.teacher) for m in with_teacher] == [
        ("ale", True),
        ("ale-without-teacher", False),
        ("random", True),
        ("random-without-teacher", False),
    ]
    with pytest.raises(UnknownName, match="unknown strategy 'rnadom'"):
        methods(["rnadom"], ["linear"], teacher=False)
    with pytest.raises(UnknownName, match="unknown student 'forest'"):
        methods(["random"], ["forest"], teacher=False)


def test_stops_hold_every_budget_and_no_larger_step() -> None:
    """A random order needs no fit in between; a budget beyond the pool is the pool."""
    margin, chance = (Method(name, name, "linear", teacher=False) for name in ("margin", "random"))
    peer = Method("small-text:BreakingTies", "its own", "its own", teacher=False, peer=True)
    assert stops([10, 50, 1000], 100, 25, margin) == [0, 10, 35, 50, 75, 100]
    assert stops([10, 50, 1000], 100, 25, chance) == [0, 10, 50, 100]
    assert stops([10, 50, 1000], 100, 25, peer) == stops([10, 50, 1000], 100, 25, margin)


@pytest.mark.parametrize("budgets", [(), (0,), (10, -1)])
def test_a_plan_without_labels_is_refused(budgets: tuple[int, ...]) -> None:
    """Budgets are one label or more."""
    with pytest.raises(ConfigurationError, match="budgets"):
        Plan(budgets=budgets)


def test_a_curve_starts_with_the_student_of_the_teacher() -> None:
    """With a teacher there is a point at 0 labels, far above chance; without, the first budget is the first."""
    given = arrays()
    method, without = methods([], ["linear"], teacher=True)
    heard = list(curve(given, method, 0, [3, 30], 10))
    alone = list(curve(given, without, 0, [3, 30], 10))
    assert [point.labels for point in heard] == [0, 3, 30]
    assert [point.labels for point in alone] == [3, 30]
    assert heard[0].accuracy > 0.6
    assert heard[0].accuracy > alone[0].accuracy
    assert all(0 <= point.ece <= 1 and point.fit_seconds >= 0 for point in [*heard, *alone])


def test_a_curve_is_the_same_for_the_same_seed() -> None:
    """All but the seconds; another seed asks for other texts."""

    def run(seed: int) -> list[tuple[int, float, float]]:
        method = methods(["random"], ["linear"], teacher=False)[1]
        return [(p.labels, p.accuracy, p.ece) for p in curve(arrays(), method, seed, [10, 40], 10)]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_one_label_so_far_is_no_crash() -> None:
    """A single answer makes no student: its label is predicted, without certainty."""
    given = arrays()
    method = methods([], ["linear"], teacher=False)[0]
    (first,) = curve(given, method, 0, [1], 10)
    shares = np.bincount(given.test_gold) / len(given.test_gold)
    assert min(abs(first.accuracy - share) for share in shares) < 1e-9
    assert first.ece < 0.35


def test_full_data_is_better_than_a_few_labels() -> None:
    """The yardstick is the same student on every gold label, without the teacher."""
    given = arrays()
    full = full_data(given, "linear")
    (few,) = curve(given, methods(["random"], ["linear"], teacher=False)[1], 0, [6], 10)
    assert full.labels == 300
    assert full.accuracy > few.accuracy
