"""Which texts are asked about, and in which order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

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
    """Beliefs by word: the score, and the probability of the likelier of two labels."""
    order = sorted(rows, key=name)
    hashes = np.frombuffer(bytes.fromhex("".join(map(name, order))), dtype="S16")
    probs = np.array([[rows[w][1], 1 - rows[w][1]] for w in order], np.float32)
    scores = np.array([rows[w][0] for w in order], np.float32)
    return PublishedBeliefs("v", ("a", "b"), hashes, probs, scores)


def words(hashes: list[str], known: str) -> str:
    """The words of hashes."""
    return "".join(next(w for w in known if name(w) == h) for h in hashes)


def test_the_head_of_the_queue_comes_first_and_a_sure_student_is_not_second_guessed() -> None:
    """Lowest score first; at .95 there is nothing to ask, whatever the score."""
    beliefs = published({"a": (0.5, 0.9), "b": (0.01, 0.6), "c": (0.02, 0.96), "d": (0.3, 0.7)})
    tasks = [task(w) for w in "abcde"]
    assert words(worth_asking(tasks, (), (), beliefs, student=True), "abcde") == "bdae"
    # Without a student the published beliefs are the teachers' own: they make nobody sure.
    assert words(worth_asking(tasks, (), (), beliefs, student=False), "abcde") == "bcdae"


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
