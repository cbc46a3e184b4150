"""Injected label errors: exactly as many as asked for, found by the detectors, and reported whole."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from ale.benchmark.noise.injecting import KINDS, Noise
from ale.benchmark.noise.run import NoisePlan, NoiseReport, run_label_noise
from ale.benchmark.noise.screen import show_noise
from ale.errors import ConfigurationError, UnknownName
from ale.teachers.recorded import RecordedTeacher, answers_by_text
from tests.unit.ale.test_benchmark_run import BagOfWords, data, quiet

NOISES = (Noise("class", 0.1), Noise("uniform", 0))
PLAN = NoisePlan(NOISES, rows=80, seeds=2)


def run(plan: NoisePlan = PLAN, *, teacher: bool = False) -> NoiseReport:
    """On films and food; the teacher knows the truth."""
    given = data(120)
    told = None
    if teacher:
        names = [given.labels.labels[gold] for gold in given.pool.gold]
        told = RecordedTeacher("truth", answers_by_text(given.pool.texts, names))
    return run_label_noise(given, BagOfWords(), plan, told, quiet)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0, 0.07, 0.3])
def test_exactly_that_share_is_wrong(kind: str, rate: float) -> None:
    """And every wrong label is another one of the labels."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 4, 200)
    student = rng.dirichlet(np.ones(4), 200).astype(np.float32)
    given = Noise(kind, rate).inject(gold, 4, student, np.random.default_rng(1))
    assert (given != gold).sum() == round(rate * 200)
    assert set(given) <= set(range(4))


def test_class_noise_mistakes_a_label_for_one_other() -> None:
    """The same one in all rows of a run."""
    gold = np.repeat(np.arange(4), 100)
    given = Noise("class", 0.5).inject(gold, 4, np.full((400, 4), 0.25, np.float32), np.random.default_rng(0))
    for label in range(4):
        assert len(set(given[(gold == label) & (given != label)])) == 1


def test_instance_noise_falls_on_what_the_student_confuses() -> None:
    """Rows it is sure of stay right, and the wrong label is its second choice."""
    gold = np.zeros(200, np.int64)
    student = np.tile(np.array([1.0, 0, 0], np.float32), (200, 1))
    student[:100] = [0.02, 0.03, 0.95]
    given = Noise("instance", 0.2).inject(gold, 3, student, np.random.default_rng(0))
    wrong = np.flatnonzero(given)
    assert set(given[wrong][wrong < 100]) == {2}
    assert (wrong < 100).mean() > 0.8


@pytest.mark.parametrize(
    ("said", "why"), [("class", "from 0 to 1"), ("class:x", "'class:x'"), ("uniform:1", "'uniform:1'")]
)
def test_a_share_that_is_none_is_named(said: str, why: str) -> None:
    """With what would be right."""
    with pytest.raises(ConfigurationError, match=why):
        Noise.parse(said)


def test_an_unknown_kind_is_answered_with_those_there_are() -> None:
    """As for every other name."""
    with pytest.raises(UnknownName, match="class, instance, uniform"):
        Noise.parse("systematic:0.1")


def test_the_report_has_every_run_and_can_be_repeated() -> None:
    """Number of errors, a row per detector, means over the seeds; without errors nothing is ranked."""
    report = run()
    assert [(one.noise, one.seed, one.errors) for one in report.runs] == [
        *(("class:0.1", 0, 8), ("uniform:0", 0, 0), ("class:0.1", 1, 8), ("uniform:0", 1, 0))
    ]
    spoilt = report.summary["class:0.1"]
    assert spoilt["detectors"]["ale-without-teacher"]["auroc"] > 0.8
    assert set(spoilt["detectors"]) == {
        *("ale-without-teacher", "cleanlab", "self-confidence", "cleanlab of ridge"),
        "self-confidence of ridge",
    }
    assert "auroc" not in report.summary["uniform:0"]["detectors"]["cleanlab"]
    assert report.finished
    assert report.as_json() == run().as_json()


def test_cleaning_is_measured_on_labels_and_on_the_test_split() -> None:
    """A reviewer of the flags sets wrong labels right and makes none wrong."""
    told = run(teacher=True).summary["class:0.1"]["cleaning"]
    assert told["by"] == "ale"
    assert told["labels_before"] == 0.9
    assert told["labels_before"] < told["labels_after"] <= 1
    assert told["student_before"] <= told["student_after"] + 0.05
    assert run(NoisePlan((Noise("uniform", 0),), 80, 1)).summary["uniform:0"]["cleaning"]["labels_after"] == 1


def test_a_good_teacher_finds_more() -> None:
    """It is one more witness, under the name of the committed default."""
    found = run(teacher=True).summary["class:0.1"]["detectors"]
    assert found["ale"]["p@k"] > found["ale-without-teacher"]["p@k"]


def test_a_small_pool_cuts_the_run_and_says_so() -> None:
    """Not a crash."""
    report = run(replace(PLAN, rows=9_999, seeds=1))
    assert report.settings["rows"] == 120
    assert "the pool has 120 texts: 9999 labels per run are cut to that" in report.notes


def test_a_run_that_is_cut_off_keeps_what_is_whole() -> None:
    """The report says so, and is shown like any other."""

    def stop(step: str, more: int, total: int) -> None:
        assert total == 4 or not step.startswith("noise")
        if step == "noise:Seed 2 of 2: class:0.1":
            raise KeyboardInterrupt

    report = run_label_noise(data(120), BagOfWords(), PLAN, None, stop)
    assert not report.finished
    assert len(report.runs) == 2
    out = io.StringIO()
    show_noise(report, Console(file=out, width=160))
    assert "the run was cut off after 2 of 4 runs" in out.getvalue()


def test_the_screen_tells_all() -> None:
    """Detectors, best first, and what the simulated reviewer brought."""
    out = io.StringIO()
    show_noise(run(teacher=True), Console(file=out, width=160))
    said = out.getvalue()
    assert "class:0.1: 8 wrong labels" in said
    assert said.index("ale ") < said.index("self-confidence of ridge")
    assert "A simulated reviewer who gives the gold label to the" in said
    assert "labels right 90.0% → " in said
