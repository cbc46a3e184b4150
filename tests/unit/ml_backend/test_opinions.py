"""What teachers say together, and when the student is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from ale.io.chat import ChatSpec
from ale.types import Answer, Confidence, LabelSpace, Probs
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.opinions import beaten, opinion
from ml_backend.store import replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Task
from ml_backend.teachers import NamedTeacher

SPACE = LabelSpace(("a", "b"))
CHEAP, DEAR = (NamedTeacher(name, spec=ChatSpec("m")) for name in ("cheap", "dear"))


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty database."""
    found = Database(database_url)
    yield found
    found.dispose()


def dataset(truth: Mapping[int, str], size: int) -> Dataset:
    """Texts t0, t1, ..., some labelled."""
    tasks = [Task(task_id=i, text=f"t{i}", text_hash=f"t{i}", is_labeled=i in truth) for i in range(size)]
    annotations = [
        Annotation(
            annotation_id=i, task_id=i, label=label, was_cancelled=False, from_prediction=False,
            ground_truth=False, updated_at="", annotator=1,
        )
        for i, label in truth.items()
    ]  # fmt: skip
    return build_dataset(tasks, annotations, SPACE, None)


def say(db: Database, teacher: NamedTeacher, words: Mapping[int, str], sure: float = 0.9) -> None:
    """Store what a teacher has said, each word with that confidence."""
    question = replies.question_of(SPACE)
    rows = {"a": [sure, 1 - sure], "b": [1 - sure, sure]}
    answers = {
        f"t{i}": Answer(np.array(rows[word], np.float32), confidence=Confidence.LOGPROBS)
        for i, word in words.items()
    }
    replies.keep(db, teacher.name, question, answers)


def best(probs: Probs | None) -> str:
    """The likeliest labels, a dot for silence."""
    assert probs is not None
    return "".join("." if np.isnan(row).any() else "ab"[int(row.argmax())] for row in probs)


def test_nobody_has_said_anything(db: Database) -> None:
    """No opinion is no array of guesses."""
    found = opinion(db, [CHEAP], SPACE, dataset({}, 3))
    assert found.probs is None
    assert found.counts["teacher_pending"] == 3


def test_confidence_is_what_people_bear_out(db: Database) -> None:
    """A teacher that says .99 and is right in two of three cases is believed far less; its words stay."""
    truth = {i: "a" if i % 3 else "b" for i in range(30)}
    say(db, CHEAP, dict.fromkeys(range(40), "a"), sure=0.99)
    found = opinion(db, [CHEAP], SPACE, dataset(truth, 41))
    assert best(found.probs) == "a" * 40 + "."
    assert found.probs is not None
    assert 0.5 < found.probs[35].max() < 0.85
    assert (found.counts["teacher_answers"], found.counts["teacher_pending"]) == (40, 1)


def test_a_free_teacher_is_heard_as_it_spoke(db: Database) -> None:
    """People's labels are of the hardest texts: they do not make a witness meek whose sharpness was measured."""
    free = NamedTeacher("embedded")
    say(db, free, dict.fromkeys(range(40), "a"), sure=0.99)
    found = opinion(db, [free], SPACE, dataset({i: "a" if i % 3 else "b" for i in range(30)}, 40))
    assert found.probs is not None
    assert found.probs[:, 0] == pytest.approx(0.99)


def test_of_two_teachers_the_one_that_people_agree_with_is_followed(db: Database) -> None:
    """Where they differ; where one is silent, the other one speaks."""
    truth = {i: "ab"[i % 2] for i in range(30)}
    say(db, DEAR, {i: "ab"[i % 2] for i in range(40)})
    say(db, CHEAP, {i: "ab"[i % 2 if i % 3 else 1 - i % 2] for i in range(44)})
    found = opinion(db, [CHEAP, DEAR], SPACE, dataset(truth, 44))
    assert best(found.probs)[:40] == "ab" * 20


def test_a_persons_label_is_not_handed_back_as_the_teachers_word(db: Database) -> None:
    """Both teachers contradict a person: the review must see that, so their belief stays theirs."""
    truth = {i: "ab"[i % 2] for i in range(30)} | {7: "a"}
    words = {i: "ab"[i % 2] for i in range(30)}
    say(db, DEAR, words)
    say(db, CHEAP, words)
    assert best(opinion(db, [CHEAP, DEAR], SPACE, dataset(truth, 30)).probs)[7] == "b"


def test_the_student_beats_a_teacher_only_by_a_clear_margin_on_enough_texts(db: Database) -> None:
    """60 texts: 60 against 40 right is clear, 60 against 58 may be luck, and 20 texts are too few."""
    truth = {i: "ab"[i % 2] for i in range(60)}
    data = dataset(truth, 60)
    right = np.array([[0.9, 0.1] if i % 2 == 0 else [0.1, 0.9] for i in range(60)], np.float32)
    # Its errors follow no label, so that no calibration can mend them.
    say(db, CHEAP, {i: "ab"[i % 2 if i % 6 not in {0, 1} else 1 - i % 2] for i in range(60)})
    say(db, DEAR, {i: "ab"[i % 2 if i > 1 else 1 - i % 2] for i in range(60)})
    assert "100%" in beaten(opinion(db, [CHEAP], SPACE, data), right, data)
    assert beaten(opinion(db, [DEAR], SPACE, data), right, data) == ""
    assert beaten(opinion(db, [CHEAP, DEAR], SPACE, data), right, data) == ""
    assert beaten(opinion(db, [CHEAP], SPACE, data), None, data) == ""
    few = dataset({i: truth[i] for i in range(20)}, 60)
    assert beaten(opinion(db, [CHEAP], SPACE, few), right[:20], few) == ""
