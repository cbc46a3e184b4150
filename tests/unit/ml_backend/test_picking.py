"""Which texts are asked about, and in which order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from ale.audit.reserve import RESERVE, place
from ale.engine import LearnInput, learn
from ale.strategies import resolve_strategy
from ale.students import resolve_student
from ale.types import LabelSpace
from ml_backend.beliefs import PublishedBeliefs
from ml_backend.picking import GOLD_TEXTS, contested, worth_asking
from ml_backend.store.schema import Task


def name(word: str) -> str:
    """A text's hash."""
    return hashlib.blake2b(word.encode(), digest_size=16).hexdigest()


def task(word: str, *, is_labeled: bool = False) -> Task:
    """A task whose text is that word."""
    return Task(task_id=1, text=word, text_hash=name(word), is_labeled=is_labeled)


def published(rows: dict[str, tuple[float, float]]) -> PublishedBeliefs:
    """Beliefs by word: the score, and the probability of the likelier of two labels before the audit had a say."""
    order = sorted(rows, key=name)
    hashes = np.frombuffer(bytes.fromhex("".join(map(name, order))), dtype="S16")
    unaided = np.array([[rows[w][1], 1 - rows[w][1]] for w in order], np.float32)
    scores = np.array([rows[w][0] for w in order], np.float32)
    by_audit = np.full_like(unaided, 0.5)
    return PublishedBeliefs("v", ("a", "b"), hashes, by_audit, scores, unaided)


def words(hashes: list[str], known: str) -> str:
    """The words of hashes."""
    return "".join(next(w for w in known if name(w) == h) for h in hashes)


def test_the_least_believed_come_first_and_a_sure_student_is_not_second_guessed() -> None:
    """Whatever their place in the order in which people are served; at .95 there is nothing to ask."""
    beliefs = published({"a": (0.01, 0.9), "b": (0.5, 0.6), "c": (0.02, 0.96), "d": (0.3, 0.7)})
    tasks = [task(w) for w in "abcde"]
    assert words(worth_asking(tasks, (), (), beliefs, student=True), "abcde") == "bdae"
    # Without a student the published beliefs are the teachers' own: they make nobody sure.
    assert words(worth_asking(tasks, (), (), beliefs, student=False), "abcde") == "bdace"


@pytest.mark.parametrize("budget", [300, 1_000])
def test_a_budget_that_ends_early_has_read_as_much_of_the_audit_as_of_the_rest(budget: int) -> None:
    """The audits that people are shown next stand in front of the order: a teacher may not know them any better."""
    rng, pool = np.random.default_rng(0), 4_000
    raw = rng.normal(size=(pool, 20)).astype(np.float32)
    gold = (raw[:, 0] + 0.8 * rng.normal(size=pool) > 0).astype(np.int64)
    places = place("a project", range(pool))
    reserve = np.flatnonzero(places < RESERVE)
    order = reserve[np.argsort(places[reserve])]
    labelled = np.flatnonzero(places >= RESERVE)[:60]
    waiting = places >= RESERVE
    waiting[labelled] = False
    learned = learn(
        LearnInput(
            raw=raw,
            labelled=labelled,
            targets=gold[labelled],
            labels=LabelSpace(("a", "b")),
            strategy=resolve_strategy("margin"),
            student=resolve_student("hybrid"),
            candidates=waiting,
            batch=100,
            audit_order=order,
            audit_share=0.1,
            review=False,
        )
    )
    assert learned.unaided is not None
    names = [name(str(row)) for row in range(pool)]
    rows = sorted(range(pool), key=names.__getitem__)
    beliefs = PublishedBeliefs(
        "v",
        ("a", "b"),
        np.frombuffer(bytes.fromhex("".join(names[row] for row in rows)), "S16"),
        learned.probs[rows],
        learned.scores[rows].astype(np.float32),
        learned.unaided[rows],
    )
    tasks = [
        Task(task_id=row, text=str(row), text_hash=names[row], is_labeled=row in labelled)
        for row in range(pool)
    ]
    read = set(worth_asking(tasks, (), (), beliefs, student=True)[:budget])
    front = np.mean([names[row] in read for row in order[: budget // 10]])
    rest = np.mean([names[row] in read for row in np.flatnonzero(waiting)])
    assert (
        abs(front - rest) < 0.15
    )  # four standard deviations with thirty audits are more, with a hundred less


def test_answered_and_labelled_texts_are_not_asked() -> None:
    """Also when only another task with the same text has a label."""
    tasks = [task("a"), task("b", is_labeled=True), task("b"), task("c")]
    assert words(worth_asking(tasks, {name("c")}, (), None, student=False), "abc") == "a"


def test_audited_texts_are_asked_about_like_open_ones() -> None:
    """Labelled or not: where the student is unsure, and not where it is sure."""
    beliefs = published({"a": (0.5, 0.6), "b": (0.5, 0.99), "c": (0.5, 0.7)})
    tasks = [task("a", is_labeled=True), task("b", is_labeled=True), task("c", is_labeled=True)]
    blind = {name("a"), name("b")}
    assert words(worth_asking(tasks, (), (), beliefs, student=True, blind=blind), "abc") == "a"


def test_gold_texts_are_mixed_in_and_capped() -> None:
    """After each four open texts one gold text, at most so many as trust needs, counting those asked before."""
    tasks = [task(w, is_labeled=w in "xyz") for w in "abcdefxyz"]
    gold = [name(w) for w in "xyz"]
    found = worth_asking(tasks, {name("x")}, gold, None, student=False)
    assert [h in gold for h in found] == [False] * 4 + [True] + [False] * 2 + [True]
    many = [name(f"gold {i}") for i in range(GOLD_TEXTS + 50)]
    assert len(worth_asking([], many[:30], many, None, student=False)) == GOLD_TEXTS - 30


def test_the_order_without_beliefs_is_spread_over_the_pool() -> None:
    """A budget that ends early has bought answers from all of it, the same ones each time."""
    tasks = [task(f"text {i}") for i in range(100)]
    found = worth_asking(tasks, (), (), None, student=False)
    assert found == worth_asking(tasks[::-1], (), (), None, student=False)
    assert found != [t.text_hash for t in tasks]


def test_the_dear_teacher_is_asked_where_the_cheap_ones_contradict_each_other() -> None:
    """Agreement is left alone; silence of all counts as doubt."""
    nan = [np.nan, np.nan]
    first = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], nan], np.float32)
    second = np.array([[0.8, 0.2], [0.4, 0.6], [0.1, 0.9], nan], np.float32)
    assert sorted(contested(list("abcd"), [first, second])) == ["b", "d"]


@pytest.mark.parametrize(("sure", "asked"), [(0.99, []), (0.7, ["a"])])
def test_a_single_cheap_teacher_is_doubted_where_it_is_unsure(sure: float, asked: list[str]) -> None:
    """With nobody to contradict it."""
    assert contested(["a"], [np.array([[sure, 1 - sure]], np.float32)]) == asked
    assert contested([], []) == []
