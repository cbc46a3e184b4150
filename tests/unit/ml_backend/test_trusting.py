"""The trust that a run writes down equals what one counts by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ale.types import LabelSpace, Probs
from ml_backend.dataset import NO_AUDIT, AuditRows, Dataset, HumanLabel
from ml_backend.opinions import Opinion, Voice
from ml_backend.store.schema import Task
from ml_backend.teachers import NamedTeacher
from ml_backend.trusting import AUDIT_FROM, LABELS, student_by_label, trust_in

SPACE = LabelSpace(("good", "bad"))
HUMAN = np.array([0, 0, 0, 1, 1, 0])
SAID = [0, 0, 1, 1, None, 1]
"""The last text is the same as the one before the first: it counts once."""


def dataset(hashes: list[str]) -> Dataset:
    """Six labelled texts."""
    tasks = [Task(project="p", task_id=i, text_hash=name) for i, name in enumerate(hashes)]
    humans = [HumanLabel(i, SPACE.labels[label], i, None) for i, label in enumerate(HUMAN)]
    everywhere = np.arange(len(tasks))
    return Dataset(tasks, everywhere, HUMAN, humans, np.zeros(0, np.int64), [], {}, NO_AUDIT)


def probs(words: list[int | None], confidence: float) -> Probs:
    """Answers with that confidence; None abstains."""
    rows = np.full((len(words), 2), 1 - confidence, np.float32)
    for i, word in enumerate(words):
        rows[i] = np.nan if word is None else np.where(np.arange(2) == word, confidence, 1 - confidence)
    return rows


def opinion(said: Probs, asked: list[bool]) -> Opinion:
    """One teacher's."""
    voice = Voice(NamedTeacher("gpt"), said, np.array(asked), said)
    return Opinion(said, (voice,))


def test_trust_is_what_one_counts_by_hand() -> None:
    """Of five different texts the teacher answered four and has three of them right."""
    found = trust_in(
        opinion(probs(SAID, 0.8), [True] * 6),
        probs([0, 0, 0, 1, 1, 0], 0.9),
        SPACE,
        dataset(["a", "b", "c", "d", "e", "a"]),
    )["gpt"]
    assert (found["agreed"]["hits"], found["agreed"]["of"], found["abstained"]) == (3, 4, 1)
    good, bad = found["per_label"]
    assert (good["n"], good["agreed"]["hits"], good["agreed"]["of"]) == (3, 2, 3)
    assert (bad["n"], bad["abstained"], bad["when_said"]["hits"], bad["when_said"]["of"]) == (2, 1, 1, 2)
    assert found["confusions"] == [{"people": "good", "teacher": "bad", "n": 1}]
    assert found["ece"] == pytest.approx((3 * 0.2 + 0.8) / 4)  # with four answers each is a bin of its own
    beside = found["against_student"]
    assert (beside["student"]["hits"], beside["teacher"]["hits"], beside["teacher"]["of"]) == (4, 3, 4)
    assert (beside["only_student"], beside["only_teacher"], beside["p_value"]) == (1, 0, 1.0)
    assert beside["verdict"] == "not told apart"
    assert (found["agreed"]["low"], found["agreed"]["high"]) == (0.3006, 0.9544)


def test_texts_that_were_not_asked_about_say_nothing() -> None:
    """They are no abstentions; a teacher that was asked about none of them is left out."""
    data = dataset(["a", "b", "c", "d", "e", "f"])
    only_two = [True, True, False, False, False, False]
    said = probs([0, 0, None, None, None, None], 0.8)
    found = trust_in(opinion(said, only_two), None, SPACE, data)["gpt"]
    assert (found["agreed"]["hits"], found["agreed"]["of"], found["abstained"]) == (2, 2, 0)
    assert "against_student" not in found
    assert trust_in(opinion(said, [False] * 6), None, SPACE, data) == {}


def test_a_run_can_keep_it() -> None:
    """It is JSON without NaN, also when the teacher abstained on all."""
    silent = opinion(probs([None] * 6, 0.8), [True] * 6)
    json.dumps(trust_in(silent, None, SPACE, dataset(list("abcdef"))), allow_nan=False)


@pytest.mark.parametrize("asked", [AUDIT_FROM - 1, AUDIT_FROM])
def test_audit_labels_are_preferred_once_there_are_enough(asked: int) -> None:
    """Then they are all that counts; before, they are counted with the others. The student has seen none of them."""
    n, enough = AUDIT_FROM, asked >= AUDIT_FROM
    rows = np.arange(2, 2 + n)
    tasks = [Task(project="p", task_id=i, text_hash=str(i)) for i in range(2 + n)]
    audit = AuditRows(rows, np.zeros(n, np.int64), [], np.ones(n, bool), rows[:0], 0, 90, 0, 0)
    humans = [HumanLabel(i, "good", i, None) for i in range(2)]
    data = Dataset(tasks, np.arange(2), HUMAN[:2], humans, rows[:0], [], {}, audit)
    said = probs([1, 1, *([1] * 10), *([0] * (n - 10))], 0.8)
    heard = [i < 2 + asked for i in range(2 + n)]
    pool = probs([1, 1, *([0] * n)], 0.9)
    found = trust_in(opinion(said, heard), probs([0, 0], 0.9), SPACE, data, pool)["gpt"]
    assert found["on"] == {"labels": 0 if enough else 2, "audit": asked}
    assert found["agreed"]["of"] - found["agreed"]["hits"] == (10 if enough else 12)
    assert found["against_student"]["only_student"] == (10 if enough else 12)


def test_the_student_is_told_label_by_label() -> None:
    """Of five different texts it has two of three `good` ones right, and both `bad` ones; no teacher is needed."""
    data = dataset(["a", "b", "c", "d", "e", "a"])
    found = student_by_label(probs([0, 0, 1, 1, 1, 0], 0.9), SPACE, data, None)
    assert found["on"] == {"labels": 5, "audit": 0}
    good, bad = found["per_label"]
    assert (good["label"], good["n"], good["agreed"]["hits"], good["agreed"]["of"]) == ("good", 3, 2, 3)
    assert (bad["agreed"]["hits"], bad["when_said"]["hits"], bad["when_said"]["of"]) == (2, 2, 3)
    assert student_by_label(None, SPACE, data, None) == {}


@pytest.mark.parametrize("audited", [AUDIT_FROM - 1, AUDIT_FROM])
def test_the_student_is_judged_by_the_audit_once_that_has_enough(audited: int) -> None:
    """By what it believes of the pool; before, audits and held-out labels are counted together."""
    enough = audited >= AUDIT_FROM
    rows = np.arange(2, 2 + audited)
    tasks = [Task(project="p", task_id=i, text_hash=str(i)) for i in range(2 + audited)]
    audit = AuditRows(rows, np.zeros(audited, np.int64), [], np.ones(audited, bool), rows[:0], 0, 90, 0, 0)
    humans = [HumanLabel(i, "good", i, None) for i in range(2)]
    data = Dataset(tasks, np.arange(2), HUMAN[:2], humans, rows[:0], [], {}, audit)
    pool = probs([0, 0, *([1] * 3), *([0] * (audited - 3))], 0.9)
    found = student_by_label(probs([0, 1], 0.9), SPACE, data, pool)
    assert found["on"] == {"labels": 0 if enough else 2, "audit": audited}
    assert (found["agreed"]["of"], found["agreed"]["hits"]) == (
        (audited, audited - 3) if enough else (audited + 2, audited - 2)
    )


def test_a_run_keeps_the_labels_that_people_give_most() -> None:
    """Its row stays small, however many labels there are."""
    n = LABELS + 10
    space = LabelSpace(tuple(f"label {i:03}" for i in range(n)))
    human = np.array([*range(n), n - 1])
    tasks = [Task(project="p", task_id=i, text_hash=str(i)) for i in range(n + 1)]
    humans = [HumanLabel(i, space.labels[label], i, None) for i, label in enumerate(human)]
    data = Dataset(tasks, np.arange(n + 1), human, humans, np.zeros(0, np.int64), [], {}, NO_AUDIT)
    found = student_by_label(np.eye(n, dtype=np.float32)[human], space, data, None)
    assert [row["n"] for row in found["per_label"]] == [2] + [1] * (LABELS - 1)
    assert found["agreed"]["of"] == n + 1
