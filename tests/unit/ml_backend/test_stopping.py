"""The stopping rule's verdict: what it is compared with, what is kept for it, and how it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.audit.reserve import place
from ale.types import LabelSpace
from ml_backend.dataset import NO_AUDIT, Dataset, HumanLabel
from ml_backend.screens import stop_line
from ml_backend.stopping import SAMPLE, kind_of, stop_counts
from ml_backend.store import pasts
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Task

KEY = "k"
SPACE = LabelSpace(("a", "b"))
RECIPE = {"student": "hybrid", "encoder": "e", "teacher": "zero-shot", "audit_share": "0.1"}
KIND = kind_of(SPACE, RECIPE)
SIZE = 400
ORDER = np.argsort(place(KEY, range(SIZE)))
RESERVED = ORDER[:100]
TRUTH = np.arange(SIZE) % 2


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A database with one project."""
    found = Database(database_url)
    with found.session() as session:
        session.add(Project(key=KEY, server="http://ls", project_id=1, created_at=1, status="connected"))
    yield found
    found.dispose()


def dataset(labels: int, size: int = SIZE, audits: int = 60) -> Dataset:
    """So many labels, and audits of the first tasks in the audit's order."""
    rows = RESERVED[:audits].astype(np.int64)
    return Dataset(
        tasks=[Task(task_id=i, text="t", text_hash="h") for i in range(size)],
        labelled=ORDER[100 : 100 + labels].astype(np.int64),
        targets=np.zeros(labels, np.int64),
        humans=[HumanLabel(0, "a", 0, 1)] * labels,
        candidates=np.zeros(0, np.int64),
        without_text=[],
        excluded={},
        audit=replace(
            NO_AUDIT, rows=rows, targets=TRUTH[rows].astype(np.int64), measuring=np.ones(audits, bool)
        ),
    )


def beliefs(wrong: int, size: int = SIZE) -> NDArray[np.float32]:
    """Right about all tasks but so many."""
    said = np.arange(size) % 2
    said[:wrong] = 1 - said[:wrong]
    return np.asarray(np.eye(2)[said], np.float32)


def test_models_that_have_come_to_rest_are_enough(db: Database) -> None:
    """Not before there are four of them; then kappa is 1 and nothing is left to gain."""
    said = [stop_counts(db, KEY, SPACE, RECIPE, dataset(n), beliefs(3)) for n in (25, 50, 75, 100)]
    assert [one["stop"] for one in said] == [False, False, False, True]
    assert "fewer than 4 models" in said[2]["reason"]
    assert (said[3]["kappa"], said[3]["gain"]["labels"]) == (1.0, 100)
    assert stop_counts(db, KEY, SPACE, RECIPE, dataset(110, audits=20), beliefs(3))["reason"].startswith(
        "20 audit labels"
    )


def test_models_that_still_change_go_on(db: Database) -> None:
    """Each is right about thirty tasks more than the one before."""
    for n in (25, 50, 75, 100):
        said = stop_counts(db, KEY, SPACE, RECIPE, dataset(n), beliefs(120 - n))
    assert not said["stop"]
    assert said["reason"].startswith("the models still change")


def test_one_model_is_kept_every_few_labels(db: Database) -> None:
    """A model per answer would fill the database; one of other labels is none of them."""
    for n in (10, 11, 34, 35, 36, 60):
        stop_counts(db, KEY, SPACE, RECIPE, dataset(n), beliefs(n))
    kept = pasts.before(db, KEY, KIND, 1000)
    assert [labels for labels, _ in kept] == [10, 35, 60]
    assert kept[1][1] == dict(zip(ORDER.tolist(), beliefs(35).argmax(axis=1)[ORDER].tolist(), strict=True))
    assert [labels for labels, _ in pasts.before(db, KEY, KIND, 35)] == [10]
    assert pasts.before(db, KEY, "other labels", 1000) == []


def test_unlike_models_are_not_compared(db: Database) -> None:
    """Another student, encoder or teacher begins anew; another share of audits, or a tuning, does not."""
    for n in (25, 50, 75):
        stop_counts(db, KEY, SPACE, RECIPE, dataset(n), beliefs(3))
    same = RECIPE | {"audit_share": "0.2", "tuning": "an-id"}
    for name in ("student", "encoder", "teacher"):
        other = stop_counts(db, KEY, SPACE, RECIPE | {name: "another"}, dataset(100), beliefs(3))
        assert "fewer than 4 models" in other["reason"]
    assert stop_counts(db, KEY, SPACE, same, dataset(100), beliefs(3))["stop"]


def test_labelled_tasks_do_not_count_where_models_are_compared(db: Database) -> None:
    """What changes is the answer on tasks that people have labelled meanwhile, and on nothing else."""
    told = ORDER[100:200]
    for n in (25, 50, 75, 100):
        said = beliefs(0)
        said[told[n:]] = said[told[n:], ::-1]
        found = stop_counts(db, KEY, SPACE, RECIPE, dataset(n), said)
    assert (found["kappa"], found["stop"]) == (1.0, True)


def test_what_is_compared_is_a_sample_in_the_audits_order(db: Database) -> None:
    """Of a large pool the first tasks of that order, and no more."""
    size = SAMPLE + 500
    stop_counts(db, KEY, SPACE, RECIPE, dataset(25, size), beliefs(0, size))
    [(_, said)] = pasts.before(db, KEY, KIND, 1000)
    assert list(said) == np.argsort(place(KEY, range(size)), kind="stable")[:SAMPLE].tolist()


def test_after_a_large_import_the_comparison_begins_anew(db: Database) -> None:
    """Models that knew half of today's tasks, or less, are no measure; after a small import they are."""
    for n in (25, 50, 75):
        stop_counts(db, KEY, SPACE, RECIPE, dataset(n), beliefs(3))
    assert stop_counts(db, KEY, SPACE, RECIPE, dataset(100, SIZE + 20), beliefs(3, SIZE + 20))["stop"]
    for size in (2 * SIZE, 5 * SIZE):
        grown = stop_counts(db, KEY, SPACE, RECIPE, dataset(125, size), beliefs(3, size))
        assert "fewer than 4 models" in grown["reason"]


def test_newer_tasks_take_no_figure_away_but_are_a_reason_to_go_on(db: Database) -> None:
    """Gain and kappa speak of the tasks that were there; only few newer ones do not matter."""
    for n in (25, 50, 75):
        stop_counts(db, KEY, SPACE, RECIPE, dataset(n), beliefs(3))
    for size, stop in ((SIZE + 3, True), (5 * SIZE, False)):
        grown = dataset(100, size)
        grown = replace(grown, audit=replace(grown.audit, newer=np.arange(SIZE, size)))
        found = stop_counts(db, KEY, SPACE, RECIPE, grown, beliefs(3, size))
        assert (found["stop"], found["kappa"], found["gain"]["labels"]) == (stop, 1.0, 100)
    assert found["reason"] == "the audit does not speak of the 1,600 newer texts yet"


def test_how_it_is_said() -> None:
    """Accuracy, gain, verdict; what is not known is left out."""
    audit = {"student": {"hits": 184, "of": 212, "low": 0.83, "high": 0.9}}
    gain = {"labels": 100, "expected": 0.004, "low": 0.001, "high": 0.009}
    stop = {"stop": False, "reason": "the models still change", "kappa": 0.9, "gain": gain}
    assert stop_line(audit, stop) == (
        "Accuracy 87% (83-90%, 212 audits). The next 100 labels: +0.4 points (+0.1 to +0.9). "
        "Stop: not yet, because the models still change."
    )
    assert (
        stop_line(None, stop | {"gain": None, "stop": True}) == "Stop: yes, because the models still change."
    )
    falling = gain | {"expected": -0.004, "low": -0.009}
    assert "The next 100 labels: -0.4 points (-0.9 to +0.9)." in stop_line(audit, stop | {"gain": falling})
    assert stop_line(audit, None) == ""
