"""What a look is made of, what a refusal says, and the certificate's page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ale.audit.finish import Finish, Look
from ale.audit.selector import FITTED
from ale.engine import LearnInput, learn
from ale.errors import CheckpointError
from ale.io.checkpoints import load_checkpoint, save_checkpoint
from ale.strategies import STRATEGIES
from ale.students import LinearStudent
from ale.text import text_hash
from ale.types import LabelSpace
from ml_backend.building import _checkpoint as checkpoint_of
from ml_backend.certificate import ASSUMES, Made, certificate, joint_confidence
from ml_backend.dataset import NO_AUDIT, AuditRows, Dataset, HumanLabel
from ml_backend.finishing import AUTO, Question, answered_tasks, finished_rows, newer_words, question, refusal
from ml_backend.store.schema import Annotation, Task
from ml_backend.unaided import Unaided, read_unaided, unaided_arrays

SPACE = LabelSpace(("A", "B"))
NOBODY = np.zeros(0, np.int64)


def dataset(n: int, labelled: list[int], audit: AuditRows = NO_AUDIT) -> Dataset:
    """Texts 0 ... n - 1, some with the label A."""
    tasks = [Task(task_id=100 + i, text=f"t{i}", text_hash=text_hash(f"t{i}")) for i in range(n)]
    return Dataset(
        tasks=tasks,
        labelled=np.array(labelled, np.int64),
        targets=np.zeros(len(labelled), np.int64),
        humans=[HumanLabel(100 + i, "A", i, 7) for i in labelled],
        candidates=NOBODY,
        without_text=[],
        excluded={},
        audit=audit,
    )


def audit_of(labels: dict[int, int], front: list[int]) -> AuditRows:
    """Audit labels by row; `front` are the rows that measure, those without a label were skipped."""
    rows = np.array(list(labels), np.int64)
    return replace(
        NO_AUDIT,
        rows=rows,
        targets=np.array(list(labels.values()), np.int64),
        humans=[HumanLabel(100 + i, SPACE.labels[y], i, 8) for i, y in labels.items()],
        measuring=np.isin(rows, front),
        front=np.array(front, np.int64),
    )


def sure_of(n: int, confidence: float = 0.9) -> Unaided:
    """Beliefs in A everywhere."""
    return Unaided(np.tile(np.array([confidence, 1 - confidence], np.float32), (n, 1)), np.zeros(n, bool))


def test_skipped_and_silent_audits_are_wrong() -> None:
    """Of four audits one has the other label, one was skipped, and of one the model knows nothing."""
    given = dataset(6, [5], audit_of({2: 0, 3: 1, 0: 0}, [2, 3, 4, 0]))
    unaided = sure_of(6)
    unaided.probs[0] = np.nan
    asked = question(given, {100, 102, 103, 104, 105}, unaided)
    assert asked.front.tolist() == [2, 3, 4, 0]
    assert asked.wrong.tolist() == [False, True, True, True]
    assert asked.taken.tolist() == [5]
    assert np.isnan(asked.confidence[0])


def test_people_take_out_what_they_answered_otherwise() -> None:
    """Labelled, skipped, or audited past the order; a label that was taken back leaves a row nobody may judge."""
    given = dataset(6, [1], audit_of({0: 0, 3: 0}, [0]))
    unaided = sure_of(6)
    unaided.learnt[[1, 2]] = True
    asked = question(given, {100, 101, 103, 104}, unaided)
    assert asked.taken.tolist() == [1, 3, 4]
    assert np.flatnonzero(np.isnan(asked.confidence)).tolist() == [2]


def test_what_nobody_saw_is_not_answered() -> None:
    """Annotations that were made from predictions in bulk count as no answer, a skip does."""
    made = [
        Annotation(task_id=i, annotation_id=i, from_prediction=bulk, was_cancelled=skip)
        for i, bulk, skip in ((1, False, False), (2, True, False), (3, False, True))
    ]
    assert answered_tasks(made) == {1, 3}


def test_anything_that_is_judged_makes_another_model() -> None:
    """Beliefs and labels of people do, audit labels do not."""
    plain = question(dataset(4, [1]), {101}, sure_of(4)).model
    assert question(dataset(4, [1], audit_of({0: 1}, [0])), {100, 101}, sure_of(4)).model == plain
    assert question(dataset(4, [1]), {101}, sure_of(4, 0.91)).model != plain
    assert question(dataset(4, [1, 2]), {101, 102}, sure_of(4)).model != plain
    assert question(dataset(5, [1]), {101}, sure_of(5)).model != plain


def test_newer_tasks_are_left_out_and_make_no_other_model() -> None:
    """Neither labelled nor counted as taken, whoever answered them, and a teacher's word on them changes nothing."""
    teacher = np.tile(np.array([0.7, 0.3], np.float32), (7, 1))
    before = dataset(5, [1], audit_of({0: 0}, [0]))
    after = dataset(7, [1], replace(audit_of({0: 0}, [0]), newer=np.array([5, 6])))
    for said in (None, teacher):
        old = question(before, {100, 101}, sure_of(5), None if said is None else said[:5])
        unaided = sure_of(7)
        unaided.probs[5] = [0.2, 0.8]
        new = question(after, {100, 101, 106}, unaided, said)
        assert np.flatnonzero(np.isnan(new.confidence)).tolist() == [5, 6]
        assert (new.model, new.taken.tolist()) == (old.model, [1])
    assert newer_words(before) == ""
    assert newer_words(replace(after, audit=replace(after.audit, to_come=17))) == (
        " 2 newer tasks were left out: the audit does not speak of them before about 17 more audits."
    )


def test_the_selector_learns_from_the_first_audits_only() -> None:
    """A suggestion of A is wrong in every audit and one of B right: B's are surer then, by the first labels alone."""
    n = 1200
    front = list(range(450))
    labels = dict.fromkeys(front, 1)
    unaided = sure_of(n, 0.7)
    unaided.probs[::2] = [0.3, 0.7]
    given = dataset(n, [], audit_of(labels, front))
    done = {100 + i for i in front}
    asked = question(given, done, unaided, unaided.probs)
    assert asked.fitted == FITTED
    assert asked.confidence[n - 2] > 0.9
    assert asked.confidence[n - 1] < 0.1
    later = dataset(n, [], audit_of(labels | dict.fromkeys(range(FITTED, 450), 0), front))
    assert np.array_equal(question(later, done, unaided, unaided.probs).confidence, asked.confidence)


def test_a_version_knows_the_tasks_that_it_saw() -> None:
    """A new task, and one whose text has changed, is unknown to it; an earlier ALE's version says why not."""
    arrays = unaided_arrays(dataset(3, [1]), sure_of(3).probs)
    today = dataset(4, [1])
    today.tasks[0].text_hash = text_hash("changed")
    found = read_unaided(arrays, today, 2)
    assert np.isnan(found.probs).any(axis=1).tolist() == [True, False, False, True]
    assert found.learnt.tolist() == [False, True, False, False]
    with pytest.raises(CheckpointError, match="earlier ALE"):
        read_unaided({}, today, 2)


def test_a_learn_run_leaves_what_a_finish_needs(tmp_path: Path) -> None:
    """Through the checkpoint's file: beliefs that no audit label has touched, and which rows were learnt."""
    rng = np.random.default_rng(0)
    truth = np.arange(80) % 2
    raw = (rng.normal(size=(80, 8)) + 2 * truth[:, None]).astype(np.float32)
    given = dataset(80, list(range(40)))
    learned = learn(LearnInput(raw, given.labelled, truth[:40], SPACE, STRATEGIES["margin"], LinearStudent))
    arrays, manifest = checkpoint_of(given, learned)
    save_checkpoint(str(tmp_path), "p", "ale-1", arrays, manifest | {"labels": list(SPACE.labels)})
    found = read_unaided(load_checkpoint(str(tmp_path), "p", "ale-1")[0], given, 2)
    assert learned.unaided is not None
    assert np.array_equal(found.probs, learned.unaided)
    assert np.flatnonzero(found.learnt).tolist() == list(range(40))


def test_every_row_says_where_its_label_is_from() -> None:
    """People's labels, audits', the machine's with its confidence and version, and tasks without any."""
    given = dataset(4, [1], audit_of({0: 1}, [0]))
    asked = question(given, {100, 101}, sure_of(4))
    tasks = [*given.tasks, Task(task_id=200, text=None, text_hash=None)]
    rows = finished_rows(
        tasks, given, asked, replace(accepted(), rows=np.array([3])), SPACE, "ale-1", {text_hash("t3"): "t3"}
    )
    said = [
        (row["label"], row["provenance"], row["confidence"], row["version"], row["annotator"]) for row in rows
    ]
    assert said == [
        ("B", "audit", None, None, "8"),
        ("A", "human", None, None, "7"),
        (None, "none", None, None, None),
        ("A", AUTO, 0.9, "ale-1", None),
        (None, "none", None, None, None),
    ]
    assert [row["text"] for row in rows] == ["", "", "", "t3", ""]


def accepted() -> Finish:
    """A success over 1,050 rows."""
    return Finish(np.arange(1050), 0.875, 310, 2, 0.02, 0.95, Look(600, "m"), 800)


def refused(needed: int | None, at_best: int | None, by_luck: int | None = None) -> Finish:
    """A refusal at 300 labels."""
    return Finish(NOBODY, float("nan"), 120, 4, 0.02, 0.95, Look(300, "m"), 450, needed, by_luck, at_best)


def test_a_refusal_says_how_many_labels_it_takes() -> None:
    """As observed and at best, counted from those that are there; or that no number will do."""
    assert refusal(refused(800, 450), 312, 2000) == (
        "Refused: 312 audit labels (skipped ones count as wrong) do not prove at most 2% wrong labels with 95% "
        "confidence: 488 more are needed if errors go on as observed, 138 more at best; the next look is at 450."
    )
    assert (
        ": with errors as observed (4 wrong of 120) no number of them will do before the model is better; "
        in (refusal(refused(None, 450), 312, 2000))
    )
    assert (
        ": errors as observed (4 wrong of 120) are too many for any number of them, but may be bad luck: then 488 "
        "more are needed, 138 more at best; " in refusal(refused(None, 450, 800), 312, 2000)
    )
    small = refusal(replace(refused(None, None), wrong=0, audited=31), 312, 150)
    assert (
        ": no number of them will do (0 wrong of 31): the pool is too small for this, a larger --max" in small
    )
    assert "reserve" not in small
    assert "none of them lies among the surest" in refusal(
        replace(refused(None, None), audited=0, wrong=0), 312, 2000
    )
    assert "138 more at best, but the audit's reserve has 400 tasks in all" in refusal(
        refused(800, 450), 312, 400
    )
    few = replace(refused(None, None), look=None, next_look=100)
    assert refusal(few, 7, 2000) == (
        "Refused: 7 audit labels (skipped ones count as wrong) are too few for a look; the next look is at 100."
    )
    assert "looked at already" in refusal(replace(few, next_look=450), 312, 2000)


@pytest.mark.parametrize("audits", [30, 100, 150, 180])
def test_a_selector_that_is_still_fitted_is_no_hopeless_case(audits: int) -> None:
    """With a paid teacher the first 150 audits test nothing: a sentence of its own, no look, no risk."""
    front = list(range(audits))
    unaided = sure_of(2400)
    asked = question(
        dataset(2400, [], audit_of(dict.fromkeys(front, 0), front)),
        {100 + i for i in front},
        unaided,
        unaided.probs,
    )
    found = asked.look([], max_error=0.05, confidence=0.95)
    assert found.look is None
    assert refusal(found, audits, 600, asked.fitted) == (
        f"Refused: {audits} audit labels (skipped ones count as wrong) prove nothing yet, as the first 150 only "
        "teach which suggestions are surest; the next look is at 200."
    )
    assert "but the audit's reserve has 160 tasks in all" in refusal(found, audits, 160, asked.fitted)


def test_what_several_promises_are_worth_together() -> None:
    """Their risks add up; one alone has its own confidence; and no confidence is below nothing."""
    assert joint_confidence([]) is None
    assert joint_confidence([(0.02, 0.95, 3)]) == 0.95
    assert joint_confidence([(0.02, 0.95, 2), (0.05, 0.95, 1), (0.05, 0.9, 1)]) == pytest.approx(0.8)
    assert joint_confidence([(share / 100, 0.6, 1) for share in (1, 2, 3)]) == 0.0


def test_the_certificate_fits_one_page_and_names_all_promises() -> None:
    """The promise in one sentence, the evidence, looks, assumptions; a title can not break the table."""
    made = Made(
        project=3,
        title="Films | reviews\n| x",
        version="ale-7",
        recipe={"student": "hybrid"},
        snapshot="0123456789ab",
        at=datetime(2026, 2, 3, tzinfo=UTC),
        audited=612,
        skipped=5,
        newer=30,
        fitted=150,
        looks=[Look(300, "m"), Look(600, "m")],
        promises=[(0.02, 0.95, 2), (0.05, 0.95, 1)],
    )
    page = certificate(accepted(), {"human": 800, "audit": 607, "auto": 1050, "none": 43}, made)
    assert (
        "Of the 1,050 tasks that were labelled automatically, at most 2% (21 tasks) carry a wrong label, "
        "with a confidence of 95%." in page
    )
    for fact in (
        "1,050 of 2,500 tasks (42.0%)",
        "1,407, 607 of them blind",
        "612 tasks in their order, 5 of them skipped; the first 150 only taught",
        "310 audit tasks stand at or above the threshold, 2 with a wrong suggestion",
        "2, at 300, 600 audit labels",
        "30 came after the audit had begun to measure",
        "2% at 95% (2); 5% at 95% (1)",
        "that none of them is broken, also when only the successful one is kept, has a confidence of 90% (union bound)",
        "1 - k * risk (union bound)",
        "Trying costs all the same: each try with a changed model spends part of the risk",
        "0123456789ab",
        "2026-02-03T00:00:00+00:00",
        *ASSUMES,
    ):
        assert fact in page
    assert "Films \\| reviews \\| x" in page
    assert len(page.splitlines()) < 50
    alone = certificate(accepted(), {"auto": 1050, "none": 43}, replace(made, promises=[(0.02, 0.95, 2)]))
    assert "only the successful one" not in alone
    assert "newer" not in certificate(accepted(), {"auto": 1050, "none": 43}, replace(made, newer=0))


def test_a_question_is_looked_at_as_it_stands() -> None:
    """The promise's numbers reach the test: 300 right audits of a pool of 3,000 prove 5 errors in 100."""
    front = np.random.default_rng(0).permutation(3000)[:300].astype(np.int64)
    asked = Question(
        np.zeros(3000, np.int64), np.arange(3000, 0, -1) / 3000.0, front, np.zeros(300, bool), NOBODY, 0, "m"
    )
    found = asked.look([], max_error=0.05, confidence=0.95)
    assert (found.refused, found.look) == (False, Look(300, "m"))
    assert asked.look([Look(300, "another")], max_error=0.05, confidence=0.95).refused
