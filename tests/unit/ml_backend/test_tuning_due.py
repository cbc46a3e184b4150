"""When a tuning is due, and what the status says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ale.students import HybridStudent, TransformerStudent
from ale.text import text_hash
from ml_backend.dataset import NO_AUDIT, Dataset, HumanLabel
from ml_backend.store.schema import Task
from ml_backend.tuning.counted import student_counts
from ml_backend.tuning.due import Need, enough, need
from ml_backend.tuning.kept import Kept, digests
from ml_backend.tuning.notes import Failed
from ml_backend.tuning.seen import student_line

FACTS = {"steps": 40, "kept": 1.0, "tuned_at": "2026-11-22T05:00:00+00:00", "labels": 200, "cut": False}


def dataset(texts: int, labels: Sequence[int]) -> Dataset:
    """So many texts, of which the first have these labels."""
    tasks = [
        Task(project="p", task_id=i, text=f"text {i}", text_hash=text_hash(f"text {i}")) for i in range(texts)
    ]
    return Dataset(
        tasks=tasks,
        labelled=np.arange(len(labels), dtype=np.int64),
        targets=np.array(labels, np.int64),
        humans=[HumanLabel(i, "x", i, None) for i in range(len(labels))],
        candidates=np.arange(len(labels), texts, dtype=np.int64),
        without_text=[],
        excluded={},
        audit=NO_AUDIT,
    )  # fmt: skip


def kept_from(given: Dataset, labels: int = 2) -> Kept:
    """A tuning on that data set."""
    order = sorted(given.hashes)
    rows = np.zeros((len(order), labels), np.float32)
    learnt = digests([given.hashes[row] for row in given.labelled])
    return Kept(
        "0001-x", ("a", "b"), digests(order), rows, learnt, given.targets, rows[: len(learnt)], "w", FACTS
    )


@pytest.mark.parametrize("labels", [[], [0, 1] * 11, [1] * 200])
def test_too_few_to_judge_a_tuning(labels: list[int]) -> None:
    """Under 24 labels, or of one class only."""
    assert need(dataset(300, labels), None) is None


def test_after_every_tenth_label_more() -> None:
    """New labels, changed ones and such as were taken back count alike; ten at least."""
    before = dataset(1000, [0, 1] * 100)
    kept = kept_from(before)
    assert need(before, None) == Need("tune", 200)
    assert need(before, kept) is None
    assert need(dataset(1000, [0, 1] * 109), kept) is None
    assert need(dataset(1000, [0, 1] * 110), kept) == Need("tune", 220)
    assert need(dataset(1000, [0, 1] * 90), kept) == Need("tune", 180)
    assert need(dataset(1000, [1] * 38 + [0, 1] * 81), kept) is None
    assert need(dataset(1000, [1] * 40 + [0, 1] * 80), kept) == Need("tune", 200)
    few = kept_from(dataset(1000, [0, 1] * 15))
    assert need(dataset(1000, [0, 1] * 19), few) is None
    assert need(dataset(1000, [0, 1] * 20), few) == Need("tune", 40)


def test_texts_are_read_after_every_tenth_text_more() -> None:
    """With the weights of then: the labels are the same."""
    kept = kept_from(dataset(1000, [0, 1] * 100))
    assert need(dataset(1099, [0, 1] * 100), kept) is None
    assert need(dataset(1100, [0, 1] * 100), kept) == Need("read", 200)
    assert need(dataset(1100, [0, 1] * 110), kept) == Need("tune", 220)


def test_a_failure_blocks_the_same_try_only() -> None:
    """More labels, or more time, are another one; reading is not blocked."""
    failed = Failed(100, 60.0, "OutOfTime: ...", "")
    assert enough(100) == 10
    assert failed.blocks(Need("tune", 109), 60.0)
    assert failed.blocks(Need("tune", 109), 30.0)
    assert not failed.blocks(Need("tune", 110), 60.0)
    assert not failed.blocks(Need("tune", 100), 61.0)
    assert not failed.blocks(Need("read", 100), 60.0)


def test_a_label_that_was_taken_back_is_believed_by_the_cross_tuning() -> None:
    """Its text may measure now; the others keep what the last tuning says."""
    before = dataset(30, [0, 1] * 12)
    kept = kept_from(before)
    kept = replace(kept, logits=kept.logits + 1, held_out=kept.held_out - 1)
    after = dataset(31, [0, 1] * 11)
    belief = kept.belief(after)
    assert belief.held_out.shape == (22, 2)
    assert (belief.held_out == -1).all()
    assert (belief.pool[:22] == 1).all()
    assert (belief.pool[22:24] == -1).all()
    assert (belief.pool[24:30] == 1).all()
    assert np.isnan(belief.pool[30]).all()


QUIET = {"running": False, "problem": "", "failed_at": None}
TUNED = {
    "kind": "transformer",
    "tuning": "0001-x",
    "alone": 0.794,
    "mixed": 0.861,
    "share": 0.61,
    "tried_on": 214,
    **FACTS,
}


@pytest.mark.parametrize("kind", [HybridStudent, TransformerStudent])
def test_a_learn_run_writes_down_that_the_teacher_was_refuted(
    kind: type[HybridStudent | TransformerStudent],
) -> None:
    """Only then: two dozen labels, a teacher that is never right, and one that always is."""
    truth = np.arange(60) % 2
    points = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    right = np.eye(2, dtype=np.float32)[truth] * 0.8 + 0.1
    for told, refuted in ((right[:, ::-1], True), (right, False)):
        student = kind().fit(points, np.arange(24), truth[:24], labels=2, teacher=told)
        assert student_counts(student, None).get("teacher_refuted", False) is refuted


@pytest.mark.parametrize(
    ("student", "tuning", "said"),
    [
        (None, None, ""),
        ({"kind": "hybrid"}, None, "hybrid"),
        ({"kind": "hybrid", "teacher_refuted": True}, None, "hybrid; the teacher is ignored so far: people's first labels contradict it more than chance would"),
        ({"kind": "transformer"}, QUIET, "transformer: the hybrid student alone, not tuned yet"),
        ({"kind": "transformer"}, QUIET | {"running": True}, "transformer: the hybrid student alone, not tuned yet; an encoder is being tuned"),
        (TUNED, QUIET, "transformer: hybrid with an encoder tuned on 200 labels at 2026-11-22T05:00:00+00:00 (share 61%); 79% of held-out labels right alone, 86% with it"),
        (TUNED | {"share": 0.0, "mixed": 0.79, "cut": True}, QUIET, "transformer: the hybrid student alone, the encoder tuned on 200 labels at 2026-11-22T05:00:00+00:00, cut short by ALE_TUNE_S adds nothing; 79% of held-out labels right alone, 79% with it"),
        (None, QUIET | {"problem": "OutOfTime: x"}, "the last tuning failed: OutOfTime: x"),
    ],
)  # fmt: skip
def test_what_the_status_says(
    student: dict[str, object] | None, tuning: dict[str, object] | None, said: str
) -> None:
    """Which student, since when, and what it gained."""
    assert student_line(student, tuning) == said
