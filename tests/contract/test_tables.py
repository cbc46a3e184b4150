"""Every strategy, student and teacher in the tables keeps its contract; a new line is covered at once."""

from __future__ import annotations

import numpy as np
import pytest

from ale.errors import NotEnoughLabels
from ale.io.encoder import resolve_encoder
from ale.protocols import Encoder, Student, Teacher
from ale.strategies import STRATEGIES
from ale.students import STUDENTS
from ale.teachers import TEACHERS, resolve_teacher
from ale.text import to_example
from ale.types import Beliefs, Example, LabelSpace


def beliefs(
    rows: int,
    labels: int = 3,
    student: bool = True,
    teacher: str = "half",
    members: int = 3,
    labelled: int = 2,
) -> Beliefs:
    """Random beliefs; a teacher answers every other row, or abstains on all of them ("silent")."""
    rng = np.random.default_rng(rows)
    points = rng.normal(size=(rows, 8)).astype(np.float32)
    probs = rng.dirichlet(np.ones(labels), rows).astype(np.float32).reshape(rows, labels)
    said = probs[::-1].copy()
    said[:: 2 if teacher == "half" else 1] = np.nan
    return Beliefs(
        points,
        probs if student else None,
        None if teacher == "none" else said,
        points[:labelled],
        np.stack([np.roll(probs, turn, axis=0) for turn in range(members)]) if student and members else None,
    )


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rows", [0, 1, 2, 40])
@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("student", [True, False])
@pytest.mark.parametrize("teacher", ["half", "silent", "none"])
@pytest.mark.parametrize("batch", [0, 1, 7, 100])
def test_strategy(name: str, rows: int, labels: int, student: bool, teacher: str, batch: int) -> None:
    """As many distinct rows as were asked for or are there, the same for the same generator."""
    given = beliefs(rows, labels, student, teacher)
    chosen = STRATEGIES[name](given, batch, np.random.default_rng(1))
    assert len(chosen) == len(set(chosen.tolist())) == min(batch, rows)
    assert chosen.dtype == np.int64
    assert all(0 <= row < rows for row in chosen)
    assert np.array_equal(chosen, STRATEGIES[name](given, batch, np.random.default_rng(1)))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(("members", "labelled"), [(0, 2), (1, 0), (3, 0), (3, 60)])
def test_strategy_with_few_members_or_no_labels(name: str, members: int, labelled: int) -> None:
    """No committee, one of a single member, nothing labelled and everything labelled are no errors."""
    chosen = STRATEGIES[name](beliefs(40, members=members, labelled=labelled), 5, np.random.default_rng(1))
    assert len(set(chosen.tolist())) == 5


@pytest.mark.parametrize("name", STRATEGIES)
def test_equal_texts_do_not_disturb_a_strategy(name: str) -> None:
    """A pool of one text thousandfold is ranked like any other."""
    halves = np.full((30, 2), 0.5, np.float32)
    same = Beliefs(np.ones((30, 4), np.float32), halves, halves, committee=np.stack([halves] * 3))
    assert len(STRATEGIES[name](same, 10, np.random.default_rng(0))) == 10


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "random"])
@pytest.mark.parametrize("student", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_no_near_duplicates_in_a_batch(name: str, student: bool, seed: int) -> None:
    """Of 12 texts with three near-copies each, a batch of 12 asks every text once."""
    rng = np.random.default_rng(seed)
    texts = np.eye(12, dtype=np.float32)[np.repeat(np.arange(12), 4)]
    points = texts + rng.normal(scale=0.01, size=texts.shape).astype(np.float32)
    probs = rng.dirichlet(np.ones(3), len(points)).astype(np.float32)
    members = np.stack([np.roll(probs, turn, axis=1) for turn in range(3)])
    given = Beliefs(points, probs if student else None, np.roll(probs, 1, axis=1), committee=members)
    chosen = STRATEGIES[name](given, 12, rng)
    assert sorted((chosen // 4).tolist()) == list(range(12))


@pytest.fixture(params=STUDENTS)
def student(request: pytest.FixtureRequest) -> type[Student]:
    """Every student class."""
    return STUDENTS[request.param]


POOL = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
TARGETS = np.array([0, 1, 2] * 8 + [3], np.int64)
LABELLED = np.arange(25, dtype=np.int64)


@pytest.mark.parametrize("with_teacher", [False, True])
def test_student_round_trip(student: type[Student], with_teacher: bool) -> None:
    """A student made from its state gives equal logits, and out-of-fold logits cover every labelled row."""
    teacher = np.random.default_rng(1).dirichlet(np.ones(5), 60).astype(np.float32) if with_teacher else None
    fitted = student().fit(POOL, LABELLED, TARGETS, labels=5, teacher=teacher)
    assert fitted.out_of_fold_logits().shape == (25, 5)
    assert np.isfinite(fitted.out_of_fold_logits()).all()
    again = student.from_state(*fitted.state())
    assert fitted.logits(POOL).shape == (60, 5)
    assert np.array_equal(again.logits(POOL), fitted.logits(POOL))


@pytest.mark.parametrize("targets", [[0, 0, 0], []])
def test_one_class_is_not_enough(student: type[Student], targets: list[int]) -> None:
    """The reason is a stable word."""
    rows = np.arange(len(targets), dtype=np.int64)
    with pytest.raises(NotEnoughLabels) as caught:
        student().fit(POOL, rows, np.array(targets, np.int64), labels=3)
    assert caught.value.reason == "need_two_classes"


@pytest.mark.parametrize("groups", [[0, 1], [0, 0]])
def test_two_labels_are_enough(student: type[Student], groups: list[int]) -> None:
    """One label of each of two classes, even of one text, gives a student."""
    fitted = student().fit(POOL, np.array([0, 1]), np.array([0, 1]), labels=2, groups=np.array(groups))
    assert np.isfinite(fitted.logits(POOL)).all()
    assert np.isfinite(fitted.out_of_fold_logits()).all()


def test_a_silent_teacher_is_no_teacher(student: type[Student]) -> None:
    """All abstentions give the same student as none."""
    silent = np.full((60, 4), np.nan, np.float32)
    alone = student().fit(POOL, LABELLED, TARGETS, labels=4)
    with_silent = student().fit(POOL, LABELLED, TARGETS, labels=4, teacher=silent)
    assert np.array_equal(alone.logits(POOL), with_silent.logits(POOL))


SPACE = LabelSpace(("Refund", "Login"), ("wants the money back", "cannot sign in to the account"))
TEXTS = ["Please give me my money back.", "I forgot my password and cannot log in.", "Money back now!"]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The real embedded encoder."""
    return resolve_encoder()


@pytest.fixture(params=[name for name, factory in TEACHERS.items() if factory is not None])
def teacher(request: pytest.FixtureRequest, encoder: Encoder) -> Teacher:
    """Every teacher that is not `none`."""
    made = resolve_teacher(request.param, encoder)
    assert made is not None
    return made


def examples() -> list[Example]:
    """Three texts as examples."""
    return [example for i, text in enumerate(TEXTS) if (example := to_example(i, text)) is not None]


def test_teacher_answers_with_distributions(teacher: Teacher) -> None:
    """Rows sum to 1 or are NaN, and do not depend on the order of the examples."""
    probs = teacher.predict_proba(examples(), SPACE)
    answered = ~np.isnan(probs).any(axis=1)
    assert probs.shape == (3, 2)
    assert np.allclose(probs[answered].sum(axis=1), 1, atol=1e-5)
    turned = teacher.predict_proba(examples()[::-1], SPACE)[::-1]
    assert np.allclose(probs, turned, atol=1e-4, equal_nan=True)


def test_zero_shot_reads_the_hints(encoder: Encoder) -> None:
    """Plain complaints go to the label whose hint they resemble."""
    made = resolve_teacher("zero-shot", encoder)
    assert made is not None
    assert made.predict_proba(examples(), SPACE).argmax(axis=1).tolist() == [0, 1, 0]


def test_rows_do_not_depend_on_their_batch(encoder: Encoder) -> None:
    """A text alone and among others has the same row."""
    texts = ["short", "a much longer text about nothing " * 20, "short", ""]
    together = encoder.encode(texts)
    assert np.isfinite(together).all()
    assert np.allclose(together[0], encoder.encode(["short"])[0], atol=1e-5)
    assert np.allclose(together[0], together[2], atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dimensions)
