"""The life of a review flag, in SQL: raised, decided by a person, silent, raised again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ale.review.reasons import MAX_CHARS
from ale.types import LabelIssue, LabelSpace
from ml_backend.dataset import build_dataset
from ml_backend.identity import ProjectKey
from ml_backend.review_flags import REASON_CHARS, decide, flags, told, update_flags
from ml_backend.store import decisions, mirror, projects
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import ReviewFlag

LABELS = LabelSpace(("A", "B"))
KEY = ProjectKey("http://ls.test", 1, 1)
ISSUE = LabelIssue(position=0, given=0, suggested=1, score=0.9, reason="Model says B (0.95)", doubt=0.8)


class Mirror:
    """One task with one annotation, as sync would write them."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.saves = 0
        projects.wish(db, KEY)
        self.text("some text")
        self.save("A")

    def text(self, text: str) -> None:
        """The task's text is now this."""
        seen = TaskSeen(7, text, f"hash of {text}"[:32], is_labeled=True, updated_at="t")
        mirror.save_tasks(self.db, str(KEY), [seen])

    def save(self, label: str | None, **values: Any) -> None:
        """A person saves the annotation."""
        self.saves += 1
        row = {
            "annotation_id": 70,
            "task_id": 7,
            "label": label,
            "values": {"c": [{"choices": [label]}]} if label else {},
            "updated_at": f"2026-01-01T00:00:{self.saves:02d}Z",
            "updated_by": self.saves,
            "was_cancelled": False,
            **values,
        }
        mirror.save_annotations(self.db, str(KEY), [7], [row])

    def delete(self) -> None:
        """The annotation is deleted."""
        mirror.save_annotations(self.db, str(KEY), [7], [])

    def learn(self, *issues: LabelIssue) -> ReviewFlag | None:
        """What a learn run that doubts these labels does; the flag afterwards."""
        tasks, annotations = mirror.all_tasks(self.db, str(KEY)), mirror.all_annotations(self.db, str(KEY))
        decide(self.db, str(KEY), tasks, annotations)
        update_flags(self.db, str(KEY), build_dataset(tasks, annotations, LABELS, None), issues, LABELS)
        return self.flag

    @property
    def flag(self) -> ReviewFlag | None:
        """The one flag."""
        found = flags(self.db, str(KEY))
        return found[0] if found else None

    @property
    def status(self) -> str:
        """The flag's status."""
        assert self.flag is not None
        return self.flag.status


@pytest.fixture
def mirrored(database_url: str) -> Iterator[Mirror]:
    """One task with one annotation that says A."""
    db = Database(database_url)
    yield Mirror(db)
    db.dispose()


GONE: dict[str, Callable[[Mirror], None]] = {
    "deleted": lambda mirrored: mirrored.delete(),
    "skipped": lambda mirrored: mirrored.save("A", was_cancelled=True),
    "emptied": lambda mirrored: mirrored.save(None),
    "another text": lambda mirrored: mirrored.text("another text"),
}
"""Ways in which a doubted label stops being one."""


def test_a_doubt_becomes_a_flag_that_is_to_be_shown(mirrored: Mirror) -> None:
    """Given, suggested, score and reason stand there; a long reason is cut."""
    flag = mirrored.learn(replace(ISSUE, reason="x" * 500))
    assert flag is not None
    assert (flag.status, flag.given, flag.suggested, flag.shown) == ("suspect", "A", "B", False)
    assert len(flag.reason) == REASON_CHARS


def test_no_doubt_no_flag_and_evidence_gone_withdraws(mirrored: Mirror) -> None:
    """A flag that the next run does not repeat is taken back, and may be raised again later."""
    assert mirrored.learn() is None
    mirrored.learn(ISSUE)
    mirrored.learn()
    assert mirrored.status == "withdrawn"
    mirrored.learn(ISSUE)
    assert mirrored.status == "suspect"


def test_saved_unchanged_is_confirmed_and_silent(mirrored: Mirror) -> None:
    """The same values with a newer time: right after all, and no run brings it up again."""
    mirrored.learn(ISSUE)
    mirrored.save("A")
    for _ in range(3):
        mirrored.learn(ISSUE)
        assert mirrored.status == "confirmed"
    assert mirrored.flag is not None
    assert mirrored.flag.decided_by == mirrored.saves


def test_saved_with_another_label_is_fixed_and_silent(mirrored: Mirror) -> None:
    """The new label was chosen by a person who saw the doubt: not asked again about it."""
    mirrored.learn(ISSUE)
    mirrored.save("B")
    mirrored.learn(replace(ISSUE, given=1, suggested=0))
    assert mirrored.status == "fixed"


def test_saved_once_more_without_a_change_stays_decided(mirrored: Mirror) -> None:
    """Only another label or another text asks a new question."""
    mirrored.learn(ISSUE)
    mirrored.save("A")
    mirrored.learn(ISSUE)
    mirrored.save("A")
    mirrored.learn(ISSUE)
    assert mirrored.status == "confirmed"


def test_another_label_or_text_after_the_decision_may_be_doubted_again(mirrored: Mirror) -> None:
    """The decision was about that label of that text."""
    mirrored.learn(ISSUE)
    mirrored.save("B")
    mirrored.learn()
    mirrored.save("A")
    mirrored.learn(ISSUE)
    assert mirrored.status == "suspect"
    mirrored.save("A")
    mirrored.learn(ISSUE)
    assert mirrored.status == "confirmed"
    mirrored.text("another text")
    mirrored.learn(ISSUE)
    assert mirrored.status == "suspect"


@pytest.mark.parametrize("how", GONE)
def test_nothing_left_to_review_withdraws(mirrored: Mirror, how: str) -> None:
    """Deleted, skipped, emptied, or about another text."""
    mirrored.learn(ISSUE)
    GONE[how](mirrored)
    mirrored.learn()
    assert mirrored.status == "withdrawn"


def test_a_small_move_of_the_score_is_not_written_again(mirrored: Mirror) -> None:
    """What Label Studio shows is left alone until score or suggestion really change."""
    mirrored.learn(ISSUE)
    with mirrored.db.session() as session:
        session.query(ReviewFlag).update({"shown": True})
    mirrored.learn(replace(ISSUE, score=0.85))
    assert mirrored.flag is not None
    assert mirrored.flag.shown
    mirrored.learn(replace(ISSUE, score=0.6))
    assert mirrored.flag is not None
    assert (mirrored.flag.shown, mirrored.flag.score) == (False, 0.6)


def test_reason_names_both_gestures_and_fits_the_column() -> None:
    """What a reviewer reads holds the whole reason and both ways to answer, within 120 characters."""
    longest = "Model says " + "x" * 28 + " (0.66); teacher agrees"
    text = told(longest[:MAX_CHARS])
    assert text.startswith(longest[:MAX_CHARS])
    assert "right key" in text
    assert "twice" in text
    assert "Ctrl+Enter" in text
    assert len(text) <= 120


@pytest.mark.parametrize(("label", "status"), [("B", "fixed"), ("A", "confirmed")])
def test_an_annotation_made_from_the_doubted_one_decides(mirrored: Mirror, label: str, status: str) -> None:
    """It is the reviewer's word; the first annotation stays as it was, and no run asks again."""
    mirrored.learn(ISSUE)
    first = next(iter(mirror.all_annotations(mirrored.db, str(KEY))))
    rows = [
        {
            "annotation_id": 70,
            "task_id": 7,
            "label": "A",
            "values": first.values,
            "updated_at": first.updated_at,
        },
        {
            "annotation_id": 71,
            "task_id": 7,
            "label": label,
            "values": {},
            "updated_at": "2026-02-01T00:00:00Z",
            "annotator": 5,
            "parent_annotation": 70,
        },
    ]
    mirror.save_annotations(mirrored.db, str(KEY), [7], rows)
    given = 1 if label == "B" else 0
    for _ in range(3):
        mirrored.learn(replace(ISSUE, given=given, suggested=1 - given))
        assert mirrored.status == status
    assert mirrored.flag is not None
    assert mirrored.flag.decided_by == 5


def test_a_reported_verdict_is_silent_until_somebody_acts(mirrored: Mirror) -> None:
    """The wrong label still stands there: no run brings it up, and saving another one fixes it."""
    mirrored.learn(ISSUE)
    with mirrored.db.session() as session:
        session.query(ReviewFlag).update({"status": "reported", "settled_label": "A"})
    for _ in range(2):
        mirrored.learn(ISSUE)
        assert mirrored.status == "reported"
    mirrored.save("B")
    mirrored.learn()
    assert mirrored.status == "fixed"


def decided(db: Database) -> list[tuple[str, str, float]]:
    """The label that was doubted, the one that is right, how surely it was wrong."""
    return [(one.given, one.answer, one.doubt) for one in decisions.every(db, str(KEY))]


def test_every_decision_is_written_down_once(mirrored: Mirror) -> None:
    """It stays when the flag is raised anew; of two about the same label of the same text the later one stands."""
    mirrored.learn(replace(ISSUE, score=0.9, doubt=0.7))
    assert decided(mirrored.db) == []
    mirrored.save("B")
    mirrored.learn()
    assert decided(mirrored.db) == [("A", "B", 0.7)]
    mirrored.save("A")
    mirrored.learn(replace(ISSUE, doubt=0.6))
    assert decided(mirrored.db) == [("A", "B", 0.7)]
    mirrored.save("A")
    mirrored.learn(ISSUE)
    assert decided(mirrored.db) == [("A", "A", 0.6)]
    mirrored.text("another text")
    mirrored.learn(replace(ISSUE, doubt=0.5))
    mirrored.save("B")
    mirrored.learn()
    assert decided(mirrored.db) == [("A", "A", 0.6), ("A", "B", 0.5)]


@pytest.mark.parametrize("how", GONE)
def test_what_nobody_decided_is_no_decision(mirrored: Mirror, how: str) -> None:
    """A label that went away says nothing about whether it was right."""
    mirrored.learn(ISSUE)
    GONE[how](mirrored)
    mirrored.learn()
    assert decided(mirrored.db) == []
