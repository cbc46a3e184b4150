"""Verdicts on their way: what was only reported can be taken back by deleting the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.identity import ProjectKey
from ml_backend.review_project.tasks import Answer, ReviewTask, question_of, task_data
from ml_backend.review_project.verdicts import REPORTED, note_answers, take_back
from ml_backend.store import projects
from ml_backend.store import review_project as stored
from ml_backend.store.database import Database
from ml_backend.store.schema import ReviewFlag, ReviewVerdict
from tests.unit.ml_backend.test_dataset import LABELS
from tests.unit.ml_backend.test_review_project import flag

KEY = ProjectKey("http://ls.test", 1, 1)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A database with the project and a doubted label."""
    found = Database(f"sqlite:///{tmp_path / 'ale.db'}")
    projects.wish(found, KEY)
    with found.session() as session:
        session.add(flag(project=str(KEY)))
    yield found
    found.dispose()


def asked(answer: Answer | None) -> ReviewTask:
    """The review task of the flag."""
    data = task_data(flag(), "a text", "why", "where", LABELS)
    return ReviewTask(1, data, data["ale_review"], answer, None)


def report(db: Database) -> None:
    """The reviewer has said B, which was not written back."""
    assert note_answers(db, str(KEY), [asked(Answer("B", 3, "2026-01-03T00:00:00Z"))]) == 1
    with db.session() as session:
        session.get_one(ReviewVerdict, (str(KEY), question_of(flag()))).outcome = REPORTED
        mine = session.get_one(ReviewFlag, (str(KEY), 7))
        mine.status, mine.settled_label, mine.decided_by = REPORTED, "A", 3


def status(db: Database) -> str:
    """Of the flag."""
    with db.session() as session:
        return session.get_one(ReviewFlag, (str(KEY), 7)).status


def test_a_deleted_answer_is_asked_for_again(db: Database) -> None:
    """A later write-back does not write what the reviewer has withdrawn."""
    report(db)
    assert take_back(db, str(KEY), [asked(None)]) == 1
    assert not stored.verdicts(db, str(KEY))
    assert status(db) == "suspect"


def test_an_answer_that_stands_and_a_task_that_is_gone_keep_the_verdict(db: Database) -> None:
    """Of a deleted review project nothing is known: its verdicts outlive it."""
    report(db)
    for tasks in ([], [asked(Answer("B", 3, "2026-01-03T00:00:00Z"))]):
        assert take_back(db, str(KEY), tasks) == 0
        assert status(db) == REPORTED
