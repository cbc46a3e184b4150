"""A whole run without files: in order, cut off, repeated, and its report."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from ale.benchmark.curves import DEFAULT, Method
from ale.benchmark.data import BenchmarkData, Rows, make_data
from ale.benchmark.points import Point
from ale.benchmark.report import Report
from ale.benchmark.run import Plan, run_benchmark
from ale.benchmark.screen import show
from ale.benchmark.summary import times_as_many
from ale.errors import ConfigurationError
from ale.students import DEFAULT_STUDENT
from ale.teachers.recorded import RecordedTeacher, answers_by_text
from ale.types import Embeddings
from tests.unit.ale.tiny_texts import Texts, needles

PLAN = Plan(("margin", "random"), (DEFAULT_STUDENT,), (5, 20), seeds=2, batch=10)


class BagOfWords:
    """An encoder: the words of a text, hashed."""

    name = "bag-of-words"

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """See `ale.benchmark.run.BenchmarkEncoder`."""
        rows = np.zeros((len(texts), 32), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % 32] += 1
        return rows


def data(rows: int = 60) -> BenchmarkData:
    """Films and food, told apart by some of their words."""
    rng = np.random.default_rng(0)
    words = {"film": ["actor", "plot", "scene", "screen"], "food": ["soup", "salt", "oven", "table"]}
    both = [word for some in words.values() for word in some]

    def split(name: str) -> Rows:
        labels = [("film", "food")[i % 2] for i in range(rows)]
        texts = [
            f"{i} {' '.join(rng.choice(words[label], 2))} {' '.join(rng.choice(both, 2))} {name}"
            for i, label in enumerate(labels)
        ]
        return Rows(name, texts, labels)

    return make_data("reviews", split("pool.csv"), split("test.csv"))


def quiet(step: str, more: int, total: int) -> None:
    """Nobody watches."""


def points(report: Report) -> list[tuple[str, int, int]]:
    """Which there are."""
    return [(point.method, point.seed, point.labels) for point in report.points]


def without_seconds(report: Report) -> str:
    """All else that it says."""
    said = report.as_json()
    for place in [*said["curves"], *said["summary"].values()]:
        del place["fit_seconds"], place["learn_seconds"]
    return repr(said)


def test_every_method_has_every_seed_and_a_run_can_be_repeated() -> None:
    """In the order of the methods; `ale` and the strategy that it is are one run under two names."""
    report = run_benchmark(data(), BagOfWords(), PLAN, None, quiet)
    names = [DEFAULT, "margin", "random"]
    assert points(report) == [(name, seed, n) for name in names for seed in (0, 1) for n in (5, 20)]
    assert report.finished
    twin = [(p.accuracy, p.fit_seconds) for p in report.points if p.method == "margin"]
    assert twin == [(p.accuracy, p.fit_seconds) for p in report.points if p.method == DEFAULT]
    again = run_benchmark(data(), BagOfWords(), PLAN, None, quiet)
    assert without_seconds(report) == without_seconds(again)


def test_progress_is_told_of_every_label_once() -> None:
    """The bar ends where it should; what runs at the moment is named."""
    heard: list[tuple[str, int, int]] = []
    run_benchmark(data(), BagOfWords(), PLAN, None, lambda *told: heard.append(told))
    labels = [told for told in heard if told[0].startswith("label:")]
    assert {total for _, _, total in labels} == {sum(more for _, more, _ in labels)} == {2 * 2 * 20}
    assert labels[0][0] == "label:Seed 1 of 2: ale"


@pytest.mark.parametrize("at", ["Seed 2 of 2: ale", "Seed 2 of 2: random"])
def test_a_run_that_is_cut_off_keeps_its_whole_curves(at: str) -> None:
    """What was kept after each curve is what comes back; the report says so, and is told like any other."""
    kept: list[Report] = []

    def stop(step: str, more: int, total: int) -> None:
        if step == f"label:{at}":
            raise KeyboardInterrupt

    report = run_benchmark(data(), BagOfWords(), PLAN, None, stop, keep=kept.append)
    assert not report.finished
    assert points(report) == points(kept[-1])
    whole = [(DEFAULT, 0), ("margin", 0), ("random", 0)]
    whole += [] if at.endswith("ale") else [(DEFAULT, 1), ("margin", 1)]
    assert sorted(points(report)) == sorted((*one, n) for one in whole for n in (5, 20))
    assert [len(one.points) for one in kept] == [2 * (i + 1) for i in range(len(kept))]
    told = "ale 1, margin 1, random 1" if at.endswith("ale") else "ale 2, margin 2, random 1"
    assert report.all_notes[-1] == f"the run was cut off: seeds so far: {told}"
    out = io.StringIO()
    show(report, Console(file=out, width=200))
    assert "the run was cut off" in out.getvalue()


def test_cut_off_before_the_first_curve_there_is_nothing_to_tell() -> None:
    """Then Ctrl+C is what it always is."""

    def stop(step: str, more: int, total: int) -> None:
        if step.startswith("label:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(data(), BagOfWords(), PLAN, None, stop)


def test_an_audit_takes_its_rows_from_the_pool() -> None:
    """Budgets are cut at what is left, with a note; the report shows calibration with and without it."""
    report = run_benchmark(data(), BagOfWords(), Plan((), budgets=(5, 60), seeds=2, audit=20), None, quiet)
    assert "the pool has 60 texts, 40 beside the audit: budgets 60 are cut to that" in report.notes
    assert {point.labels for point in report.points} == {5, 40}
    said = report.as_json()
    assert set(said["curves"][0]["audit"]) == {"accuracy", "low", "high", "ece", "ece_by_luck"}
    assert set(said["summary"]["ale"]) >= {"audited_ece_at", "audited_ece_by_luck_at", "audit_coverage"}
    assert {one["audited"] for one in said["reliability"]} == {False, True}
    both = [report.reliability(40, audited=audited) for audited in (False, True)]
    assert all(bins is not None and len(bins.accuracy) == 10 for bins in both)
    held, of = report.covered
    assert of == 4
    assert held == round(4 * said["summary"]["ale"]["audit_coverage"])
    out = io.StringIO()
    show(report, Console(file=out, width=200))
    assert f"held the accuracy on the test split in {held} of 4 points of ale." in out.getvalue()
    assert report.reliability(39, audited=False) is None
    with pytest.raises(ConfigurationError, match="60 audit labels leave nothing to label: the pool has 60"):
        run_benchmark(data(), BagOfWords(), Plan(audit=60), None, quiet)
    with pytest.raises(ConfigurationError, match="audit labels must be 0 or more, not -1"):
        Plan(audit=-1)


def made_up(**curves: list[tuple[int, float]]) -> Report:
    """A report of curves of one seed; all but `ale` are peers."""
    rows = [Point(name, 0, n, a, a, 0.1, 1.0) for name, line in curves.items() for n, a in line]
    told: dict[str, Any] = {"pool": 900, "test": 100, "labels": ["a", "b"], "seeds": 1, "audit": 0}
    told["budgets"] = sorted({point.labels for point in rows})
    told["methods"] = [vars_of(Method(name, "", "", teacher=False, peer=name != DEFAULT)) for name in curves]
    return Report("set", 0.9, rows, told)


def vars_of(method: Method) -> dict[str, Any]:
    """As the settings hold it."""
    return {"name": method.name, "peer": method.peer}


def test_a_peer_is_compared_in_labels() -> None:
    """Twice the labels is 2; one that never gets there needs more than; where we never do, nothing is said."""
    flat = made_up(ale=[(10, 0.0), (110, 0.9)], slow=[(10, 0.0), (210, 0.9)], never=[(10, 0.0), (210, 0.1)])
    assert flat.ratios["slow"] == {"n95": 1.9, "n90": 1.9}
    assert flat.ratios["never"] == {"n95": "> 2.00", "n90": "> 2.10"}
    assert times_as_many("> 200", "> 100") is times_as_many(80.0, 0.0) is None
    assert times_as_many(100.0, 50.0) == 2


def test_the_size_of_the_test_split_is_told() -> None:
    """Of 100 rows at .9: three points."""
    assert made_up(ale=[(10, 0.5)]).standard_error == pytest.approx(0.03, abs=2e-4)


def test_a_small_test_split_that_is_all_right_leaves_something_open() -> None:
    """Twenty right answers of twenty are no proof of all."""
    report = made_up(ale=[(10, 0.5)])
    told = replace(report, full_data_accuracy=1.0, settings={**report.settings, "test": 20})
    assert told.standard_error == pytest.approx(0.5 / 21)
    out = io.StringIO()
    show(told, Console(file=out, width=200))
    assert "2 labels, 1 seed. The hybrid student of all labels gets 1.000 (standard error" in out.getvalue()
    assert "after 10 labels (the nearest budget to 200 and 500)" in out.getvalue()


@pytest.mark.parametrize("students", [("linear", "hybrid"), ("hybrid", "linear")])
def test_the_yardstick_is_the_student_of_ale(students: tuple[str, ...]) -> None:
    """Whatever else is compared, and in whatever order."""
    few = Plan(("margin",), students, (5,), seeds=1)
    report = run_benchmark(hard_data(), BagOfWords(), few, None, quiet)
    alone = run_benchmark(hard_data(), BagOfWords(), Plan((), ("linear",), (5,), seeds=1), None, quiet)
    assert report.full_data_accuracy == alone.full_data_accuracy
    assert report.as_json()["yardstick"] == "hybrid"


def hard_data() -> BenchmarkData:
    """On which the students differ."""
    rng = np.random.default_rng(1)

    def split(name: str) -> Rows:
        gold = rng.integers(0, 4, 80)
        texts = [
            " ".join(f"w{word}" for word in [rng.integers(0, 4) * 9 + label, *rng.integers(0, 40, 6)])
            for label in gold
        ]
        return Rows(name, [f"{i} {text}" for i, text in enumerate(texts)], [f"l{label}" for label in gold])

    return make_data("hard", split("pool.csv"), split("test.csv"))


def test_what_nobody_reads_and_what_no_label_is_are_notes() -> None:
    """Descriptions without a teacher that reads them; a recorded column of other labels; where it came from."""
    given = data()
    told = replace(given, labels=replace(given.labels, hints=("a film", "a meal")))
    plan = Plan((), budgets=(5,), seeds=1)
    report = run_benchmark(told, BagOfWords(), plan, None, quiet, source={"text_column": "body"})
    assert report.notes == ["nobody reads the descriptions: there is no teacher"]
    assert report.settings["text_column"] == "body"
    texts = given.pool.texts
    for wrong, notes in ((0, 0), (12, 0), (13, 1)):
        words = ["7" if i < wrong else given.labels.labels[label] for i, label in enumerate(given.pool.gold)]
        teacher = RecordedTeacher("gpt", answers_by_text(texts, words))
        found = run_benchmark(told, BagOfWords(), plan, teacher, quiet).notes
        assert "nobody reads the descriptions: a recorded teacher has answered already" in found
        assert (
            len([note for note in found if f"{wrong} of 60 answers of the teacher recorded-gpt" in note])
            == notes
        )


@pytest.mark.parametrize("width", [100, 160])
def test_the_tables_fit_a_terminal(width: int) -> None:
    """No figure is broken over two lines, with all budgets and the longest names."""
    budgets = [0, 10, 25, 50, 100, 200, 300, 500, 800, 1200]
    line = [(n, 0.5 + n / 4000) for n in budgets]
    report = made_up(ale=line, **{"least-confidence-without-teacher": line, "small-text:BreakingTies": line})
    out = io.StringIO()
    show(report, Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    row = next(text for text in lines if "least-confidence-without-teacher" in text)
    assert [float(cell) for cell in row.split()[1:]] == pytest.approx([a for _, a in line], abs=6e-4)


def test_a_figure_that_does_not_exist_is_null() -> None:
    """A point made without seconds of learning or bins says so."""
    said = made_up(ale=[(10, 0.5)]).as_json()
    assert said["curves"][0]["learn_seconds"] is None
    assert said["summary"]["ale"]["learn_seconds"] is None
    assert not math.isnan(said["summary"]["ale"]["fit_seconds"])
    assert said["reliability"] == []


def needle_data() -> BenchmarkData:
    """Texts of numbers that a tuned encoder tells apart."""
    pool, test = needles(200), needles(100, seed=1)

    def rows(name: str, given: tuple[Texts, NDArray[np.int64]]) -> Rows:
        texts = [" ".join(map(str, text)) for text in given[0]]
        return Rows(name, texts, [("left", "right")[label] for label in given[1]])

    return make_data("needles", rows("pool.csv", pool), rows("test.csv", test))


def test_the_transformer_student_follows_the_quick_one() -> None:
    """It answers after the same questions, only at the budgets, and with too few labels the quick one counts."""
    pytest.importorskip("torch")
    from tests.unit.ale.tiny_bert import TinyTuner

    plan = Plan(("margin",), ("hybrid", "transformer"), (10, 100), seeds=1, batch=50)
    with pytest.raises(ConfigurationError, match="needs texts, and an encoder that can be tuned"):
        run_benchmark(needle_data(), BagOfWords(), plan, None, quiet)
    report = run_benchmark(needle_data(), BagOfWords(), plan, None, quiet, tuner=TinyTuner())
    at = {(point.method, point.labels): point for point in report.points}
    assert at["margin+transformer", 10].accuracy == at["margin+hybrid", 10].accuracy
    assert at["margin+transformer", 100].accuracy > at["margin+hybrid", 100].accuracy
    assert at["margin+transformer", 100].fit_seconds > at["margin+hybrid", 100].fit_seconds
    assert at["margin+transformer", 10].tuned_share == 0
    assert (at["margin+transformer", 100].tuned_share or 0) > 0
    assert at["margin+hybrid", 100].tuned_share is None
    (note,) = report.all_notes
    assert note == (
        "margin+transformer is the hybrid student without a tuned encoder after 10 labels in 1 of 1 runs "
        "(too few labels to tune on)"
    )
    told = {(point["method"], point["labels"]): point for point in report.as_json()["curves"]}
    assert told["margin+transformer", 10]["untuned"] == "too_few_to_tune"
    assert told["margin+transformer", 100]["tuned_share"] > 0
    assert "tuned_share" not in told["margin+hybrid", 100]


def test_a_tuning_without_time_ends_its_method_only() -> None:
    """All else is shown; the row is the quick student's, and a note says why."""
    pytest.importorskip("torch")
    from tests.unit.ale.tiny_bert import TinyTuner

    plan = Plan(("margin",), ("hybrid", "transformer"), (40,), seeds=2, batch=40)
    report = run_benchmark(needle_data(), BagOfWords(), plan, None, quiet, tuner=TinyTuner(seconds=1e-6))
    assert report.finished
    accuracy = {name: curve.accuracy.tolist() for name, curve in report.curves.items()}
    assert accuracy["margin+transformer"] == accuracy["margin+hybrid"] == accuracy["ale"]
    assert report.all_notes[0] == (
        "margin+transformer is the hybrid student without a tuned encoder after 40 labels in 2 of 2 runs "
        "(--tune-seconds are too few to read the pool)"
    )


def test_a_tuning_that_lost_is_told_from_one_that_could_not_be() -> None:
    """In how many runs and why, by number of labels; nobody is told that nothing can be tuned on no label."""

    def point(seed: int, labels: int, share: float | None, why: str = "") -> Point:
        return Point("tuned", seed, labels, 0.5, 0.5, 0.1, 1.0, tuned_share=share, untuned=why)

    few = [point(seed, n, 0.0, "too_few_to_tune") for seed in (0, 1) for n in (0, 10)]
    report = Report("set", 0.9, [*few, point(0, 50, 0.0, "lost"), point(1, 50, 0.7), point(0, 90, None)], {})
    (note,) = report.all_notes
    assert note == (
        "tuned is the hybrid student without a tuned encoder after 10 labels in 2 of 2 runs (too few labels to "
        "tune on), after 50 labels in 1 of 2 runs (tuning told held-out labels no better)"
    )
