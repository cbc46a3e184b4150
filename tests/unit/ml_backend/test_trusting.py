"""The trust that a run writes down equals what one counts by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ale.types import LabelSpace, Probs
from ml_backend.dataset import NO_AUDIT, AuditRows, Dataset, HumanLabel
from ml_backend.opinions import Opinion, Voice
from ml_backend.store.schema import Task
from ml_backend.teachers import NamedTeacher
from ml_backend.trusting import AUDIT_FROM, trust_in

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


@pytest.mark.parametrize(
    ("asked", "on"), [(AUDIT_FROM - 1, {"labels": 2}), (AUDIT_FROM, {"audit": AUDIT_FROM})]
)
def test_audit_labels_are_preferred_once_there_are_enough(asked: int, on: dict[str, int]) -> None:
    """Then they are all that counts; the student beside it is the one that has not seen them."""
    rows = np.arange(2, 2 + AUDIT_FROM)
    data = dataset(["x", "y", *map(str, rows)][:6])
    tasks = [Task(project="p", task_id=i, text_hash=str(i)) for i in range(2 + AUDIT_FROM)]
    audit = AuditRows(
        rows, np.zeros(AUDIT_FROM, np.int64), [], np.ones(AUDIT_FROM, bool), rows[:0], 0, 90, 0, 0
    )
    data = replace(
        data, tasks=tasks, labelled=np.arange(2), targets=HUMAN[:2], humans=data.humans[:2], audit=audit
    )
    said = probs([0, 0, *([1] * 10), *([0] * (AUDIT_FROM - 10))], 0.8)
    heard = [i < 2 + asked for i in range(2 + AUDIT_FROM)]
    blind = probs([0] * AUDIT_FROM, 0.9)
    found = trust_in(opinion(said, heard), probs([0, 0], 0.9), SPACE, data, blind)["gpt"]
    assert found["on"] == on
    wrong = 0 if "labels" in on else 10
    assert found["agreed"]["of"] - found["agreed"]["hits"] == wrong
    assert found["against_student"]["only_student"] == wrong
