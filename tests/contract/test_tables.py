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


def beliefs(rows: int, labels: int = 3, student: bool = True, teacher: bool = True) -> Beliefs:
    """Random beliefs; every other teacher row is an abstention."""
    rng = np.random.default_rng(rows)
    points = rng.normal(size=(rows, 8)).astype(np.float32)
    probs = rng.dirichlet(np.ones(labels), rows).astype(np.float32).reshape(rows, labels)
    said = probs[::-1].copy()
    said[::2] = np.nan
    return Beliefs(points, probs if student else None, said if teacher else None, points[:2])


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rows", [0, 1, 2, 40])
@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize(("student", "teacher"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("batch", [0, 1, 7, 100])
def test_strategy(name: str, rows: int, labels: int, student: bool, teacher: bool, batch: int) -> None:
    """As many distinct rows as were asked for or are there, the same for the same generator."""
    given = beliefs(rows, labels, student, teacher)
    chosen = STRATEGIES[name](given, batch, np.random.default_rng(1))
    assert len(chosen) == len(set(chosen.tolist())) == min(batch, rows)
    assert chosen.dtype == np.int64
    assert all(0 <= row < rows for row in chosen)
    assert np.array_equal(chosen, STRATEGIES[name](given, batch, np.random.default_rng(1)))


@pytest.mark.parametrize("name", STRATEGIES)
def test_equal_texts_do_not_disturb_a_strategy(name: str) -> None:
    """A pool of one text thousandfold is ranked like any other."""
    same = Beliefs(np.ones((30, 4), np.float32), np.full((30, 2), 0.5, np.float32))
    assert len(STRATEGIES[name](same, 10, np.random.default_rng(0))) == 10


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
