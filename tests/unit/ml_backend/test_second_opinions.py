"""Who is asked once more: when, among whom, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from ale.audit.measured import NOTHING_AUDITED
from ale.engine import Learned
from ale.features import FeatureSpace
from ale.ranking import Ranking
from ale.types import LabelSpace
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.identity import ProjectKey
from ml_backend.placing import Place
from ml_backend.second_opinions import choose, people_counts, placed_among, said_of, settle_asked
from ml_backend.store import projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Project, SecondOpinion, Task

LABELS = LabelSpace(("A", "B"))
KEY = ProjectKey("http://ls.test", 1, 1)
PROJECT = Project(key=str(KEY))
DOUBTED = 4


def task(task_id: int, *, is_labeled: bool = True, text: str = "") -> Task:
    """A mirrored task."""
    return Task(task_id=task_id, text_hash=text or f"hash {task_id}", is_labeled=is_labeled)


def says(
    annotation_id: int, task_id: int, annotator: int, label: str | None = "A", **more: Any
) -> Annotation:
    """A mirrored annotation."""
    plain: dict[str, Any] = {"was_cancelled": False, "ground_truth": False, "from_prediction": False}
    plain |= {"updated_at": f"2026-01-01T00:00:{annotation_id:02d}Z", "created_at": "2026-01-01T00:00:00Z"}
    return Annotation(
        annotation_id=annotation_id, task_id=task_id, annotator=annotator, label=label, **plain | more
    )


TASKS = [*(task(i) for i in range(10)), *(task(i, is_labeled=False) for i in range(10, 20))]
ANNOTATIONS = [says(i, i, 1 + i % 2, "A" if i % 2 else "B") for i in range(10)]


def learned(dataset: Dataset) -> Learned:
    """A student that is sure of every label but one, and of the new tasks."""
    probs = np.tile(np.array([0.9, 0.1], np.float32), (len(dataset.tasks), 1))
    held_out = 0.9 * np.eye(2)[dataset.targets] + 0.05
    doubted = dataset.labelled == DOUBTED
    held_out[doubted] = held_out[doubted][:, ::-1]
    order = dataset.candidates
    return Learned(
        None, FeatureSpace.fit(np.zeros((2, 2), np.float32)), probs, Ranking(order, 8), np.zeros(20), [], {},
        audit=NOTHING_AUDITED, held_out=held_out.astype(np.float32),
    )  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A database with the project."""
    found = Database(f"sqlite:///{tmp_path / 'ale.db'}")
    projects.wish(found, KEY)
    yield found
    found.dispose()


def ask(db: Database, annotations: list[Annotation], share: float = 0.25) -> list[int]:
    """What a learn run picks."""
    dataset = build_dataset(TASKS, annotations, LABELS, None)
    return choose(db, PROJECT, dataset, learned(dataset), said_of(dataset, annotations, LABELS), share)


def status(db: Database) -> dict[int, str]:
    """What is remembered."""
    with db.session() as session:
        return {row.task_id: row.status for row in session.scalars(select(SecondOpinion))}


def test_a_doubted_answer_goes_before_clear_new_tasks(db: Database) -> None:
    """Within the share; what waits is asked on, and counts."""
    assert ask(db, ANNOTATIONS)[0] == DOUBTED
    assert len(ask(db, ANNOTATIONS)) <= 2
    assert status(db)[DOUBTED] == "asked"
    assert ask(db, ANNOTATIONS, share=0.1)[0] == DOUBTED


def test_who_waits_the_longest_comes_first(db: Database) -> None:
    """By their numbers, a question for one annotator could stay behind the newer ones for another for ever."""
    with db.session() as session:
        for task_id, day in ((1, 3), (5, 1), (3, 2)):
            session.add(
                SecondOpinion(
                    project=str(KEY),
                    task_id=task_id,
                    annotation_id=task_id,
                    text_hash=f"hash {task_id}",
                    status="asked",
                    asked_at=datetime(2026, 1, day, tzinfo=UTC),
                )
            )
    assert ask(db, ANNOTATIONS) == [5, 3, 1]


def test_a_lone_annotator_is_not_asked_about(db: Database) -> None:
    """Nobody else is there."""
    assert ask(db, [says(i, i, 1, "A" if i % 2 else "B") for i in range(10)]) == []


@pytest.mark.parametrize(
    ("more", "text", "came"),
    [
        ([], "", "asked"),
        ([says(50, DOUBTED, 2, "A")], "", "answered"),
        ([says(50, DOUBTED, 2, None, was_cancelled=True)], "", "withdrawn"),
        ([], "another text", "withdrawn"),
    ],
)
def test_what_came_of_it(db: Database, more: list[Annotation], text: str, came: str) -> None:
    """Answered by somebody else; withdrawn after a skip or another text; never asked again for the same text."""
    ask(db, ANNOTATIONS, share=0.125)
    tasks = [
        task(t.task_id, is_labeled=t.is_labeled, text=text) if t.task_id == DOUBTED else t for t in TASKS
    ]
    waits = settle_asked(db, str(KEY), tasks, [*ANNOTATIONS, *more], on=True)
    assert (status(db)[DOUBTED], DOUBTED in waits) == (came, came == "asked")
    if came != "asked":
        assert DOUBTED not in ask(db, [*ANNOTATIONS, *more], share=0.125)


def test_switched_off_it_is_withdrawn(db: Database) -> None:
    """Whatever waits."""
    ask(db, ANNOTATIONS)
    assert settle_asked(db, str(KEY), TASKS, ANNOTATIONS, on=False) == set()
    assert set(status(db).values()) == {"withdrawn"}


def test_who_waits_is_no_candidate() -> None:
    """Label Studio says that it is not finished; it would be suggested something."""
    tasks = [task(1, is_labeled=False), task(2, is_labeled=False)]
    found = build_dataset(tasks, [says(1, 1, 1)], LABELS, None, {1})
    assert [tasks[row].task_id for row in found.candidates] == [2]
    assert found.labelled.tolist() == [0]


def test_asked_tasks_are_spread_over_the_head_without_a_suggestion() -> None:
    """All of them stand among its first tasks, and the scores still rise."""
    order = [Place(i, 0, 0.5, i / 100) for i in range(20)]
    for asked in ([], [90], [90, 91, 92], list(range(90, 98))):
        found = placed_among(order, asked, 8)
        assert [p.task_id for p in found if p.task_id < 90] == list(range(20))
        assert set(asked) <= {p.task_id for p in found[: 8 + len(asked)]}
        assert all(p.suggestion is None for p in found if p.task_id >= 90)
        assert [p.score for p in found] == sorted(p.score for p in found)
    assert [p.task_id for p in placed_among([], [90], 8)] == [90]


def test_annotators_are_told_apart_by_shared_answers() -> None:
    """Who contradicts two others and the student is worse, ties included; nothing is told without shared answers."""
    dataset = build_dataset(TASKS, ANNOTATIONS, LABELS, None)
    assert people_counts(said_of(dataset, ANNOTATIONS, LABELS), learned(dataset), dataset) is None
    right = {i: "A" if i % 2 else "B" for i in range(10)}
    wrong = {i: "B" if i % 2 else "A" for i in range(10)}
    both = [says(i, i, 1, right[i]) for i in range(10)] + [says(20 + i, i, 2, right[i]) for i in range(10)]
    both += [says(40 + i, i, 3, wrong[i]) for i in range(6)]
    dataset = build_dataset(TASKS, both, LABELS, None)
    found = people_counts(said_of(dataset, both, LABELS), learned(dataset), dataset)
    assert found is not None
    assert (found["several"], found["contradicted"]) == (10, 6)
    quality = {name: one["quality"] for name, one in found["annotators"].items()}
    assert quality["3"] < min(quality["1"], quality["2"])
    tie = [says(1, 0, 1, "A"), says(2, 0, 2, "B"), *(says(10 + i, i, 1, right[i]) for i in range(1, 10))]
    dataset = build_dataset(TASKS, tie, LABELS, None)
    assert len(said_of(dataset, tie, LABELS).rows) == 11
