"""Tuning: learns what frozen rows do not show, judges itself on what it has not seen, and keeps to its time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

from ale.errors import NotEnoughLabels, OutOfTime
from ale.students.linear import LinearStudent
from ale.tuning.belief import TunedBelief
from ale.tuning.bert import padded
from ale.tuning.cross import Reader, held_out_on, tune_on
from ale.tuning.plan import Countdown, Plan
from ale.tuning.tune import MARKS, Lesson, _Draws, tune
from tests.unit.ale.tiny_bert import PLAN, reader
from tests.unit.ale.tiny_texts import Texts, needles

LABELLED = np.arange(240, dtype=np.int64)
SHORT = Plan(seconds=1e6, folds=2, epochs=2, least_steps=10)


def tune_first(
    texts: Texts,
    targets: NDArray[np.int64],
    seed: int = 0,
    plan: Plan = PLAN,
    read: Reader | None = None,
) -> tuple[Reader, TunedBelief]:
    """On the first rows, with all the time there is."""
    rows = LABELLED[: len(targets)]
    return tune_on(read or reader(), texts, rows, targets, plan=plan, seed=seed, time=Countdown(1e6))


@cache
def learnt() -> tuple[Reader, TunedBelief]:
    """The tuning that several tests look at."""
    texts, truth = needles(600)
    return tune_first(texts, truth[LABELLED])


def right(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """Accuracy."""
    return float(np.mean(logits.argmax(axis=1) == truth))


def test_it_learns_what_frozen_rows_do_not_show() -> None:
    """New texts too; a linear student of the same encoder's rows stays far behind."""
    texts, truth = needles(600)
    tuned, belief = learnt()
    read = reader()
    with torch.no_grad():
        ids, mask = padded(texts, "cpu")
        rows = read.upper.eval()(read.lower(ids, mask), mask)[0].numpy()
    frozen = LinearStudent().fit(rows, LABELLED, truth[LABELLED], labels=2)
    assert right(frozen.logits(rows[240:]), truth[240:]) < 0.75
    assert right(belief.pool[240:], truth[240:]) > 0.9
    fresh, their_truth = needles(300, seed=1)
    assert right(tuned.logits(fresh), their_truth) > 0.9


def test_held_out_alone_is_what_a_whole_tuning_says_of_them() -> None:
    """Only that nothing is tuned on all labels, and no other text is read."""
    texts, truth = needles(90)
    _, belief = tune_on(reader(), texts, np.arange(60), truth[:60], plan=SHORT, time=Countdown(1e6))
    alone = held_out_on(reader(), texts[:60], truth[:60], plan=SHORT)
    assert np.array_equal(alone, belief.held_out)
    with pytest.raises(NotEnoughLabels, match="24 labels, there are 20"):
        held_out_on(reader(), texts[:20], truth[:20], plan=SHORT)


def test_the_held_out_belief_is_honest() -> None:
    """Coins are learnt by heart, and held-out texts are still guessed; where there is a rule both are right."""
    texts, _ = needles(240)
    coins = np.random.default_rng(5).integers(0, 2, 120)
    _, by_heart = tune_first(texts, coins, plan=Plan(folds=2, epochs=25, rate=1e-2, head_rate=1e-2))
    assert right(by_heart.pool[:120], coins) > 0.7
    assert right(by_heart.held_out, coins) < 0.65
    _, texts_truth = needles(600)
    assert right(learnt()[1].held_out, texts_truth[LABELLED]) > 0.85


def test_equal_texts_are_never_split() -> None:
    """A text that was labelled twice does not help to predict itself."""
    texts, _ = needles(40)
    twice, coins = [*texts, *texts], np.random.default_rng(5).integers(0, 2, 40)
    targets, groups = np.tile(coins, 2), np.tile(np.arange(40), 2)
    _, belief = tune_on(
        reader(), twice, np.arange(80), targets, plan=PLAN, groups=groups, time=Countdown(1e6)
    )
    assert np.allclose(belief.held_out[:40], belief.held_out[40:], atol=1e-4)
    assert right(belief.held_out, targets) < 0.75


def test_it_can_be_repeated() -> None:
    """The same seed gives the same numbers and leaves the global generator alone; another seed gives others."""
    texts, truth = needles(80)
    plan = Plan(folds=2, least_steps=6, most_steps=6)
    readers = [reader() for _ in range(3)]
    before = torch.random.get_rng_state()
    one, again, other = (
        tune_first(texts, truth[:60], seed, plan, read)[1]
        for seed, read in zip((0, 0, 1), readers, strict=True)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(one.pool, again.pool)
    assert np.array_equal(one.held_out, again.held_out)
    assert not np.array_equal(one.pool, other.pool)


def ticking(step: float) -> Iterator[float]:
    """A clock that moves on a little whenever it is looked at."""
    return count(0.0, step)


def test_time_shortens_a_tuning() -> None:
    """A clock that runs out after some fifteen steps: it is shorter, and was still judged at every mark."""
    texts, truth = needles(80)
    read = reader()
    lesson = Lesson(read.hidden(texts[:60]), truth[:60], np.ones(60))
    steps = []
    for seconds in (1e6, 16.0):
        clock = ticking(1.0)
        time = Countdown(seconds, lambda clock=clock: next(clock))  # type: ignore[misc]
        tuning = tune(read.upper, lesson, PLAN, time, seed=0, watched=read.hidden(texts[60:]))
        assert [one.shape for one in tuning.watched] == [(20, 2)] * MARKS
        steps.append(tuning.steps)
    assert steps[0] == PLAN.steps(60) == 40
    assert 10 < steps[1] < 17


def test_no_tuning_takes_the_time_of_the_others() -> None:
    """With little time all of them are short, and there is a belief about everything when it is over."""
    texts, truth = needles(80)
    clock = ticking(1.0)
    time = Countdown(60.0, lambda: next(clock))
    _, belief = tune_on(reader(), texts, np.arange(60), truth[:60], plan=PLAN, time=time)
    assert belief.seconds <= 60.0
    assert np.isfinite(belief.pool).all()
    assert belief.pool.shape == (80, 2)
    assert np.abs(belief.held_out).sum(axis=1).min() > 0


def test_a_pool_that_takes_too_long_is_refused() -> None:
    """Before any tuning, with the seconds it would take."""
    texts, truth = needles(6_000)
    clock = ticking(1.0)
    with pytest.raises(OutOfTime, match=r"reading 6000 texts .* would take about \d+ of the \d+ seconds"):
        tune_on(
            reader(),
            texts,
            np.arange(60),
            truth[:60],
            plan=PLAN,
            time=Countdown(100.0, lambda: next(clock)),
        )


def test_no_message_has_negative_seconds() -> None:
    """Where reading the labelled texts alone took longer than there was, none are left."""
    texts, truth = needles(100)
    clock = ticking(1.0)
    with pytest.raises(OutOfTime, match="of the 0 seconds that are left"):
        tune_on(
            reader(),
            texts,
            np.arange(60),
            truth[:60],
            plan=PLAN,
            time=Countdown(0.5, lambda: next(clock)),
        )


@pytest.mark.parametrize(
    ("targets", "groups", "reason"),
    [
        ([1] * 30, None, "need_two_classes"),
        ([0, 1] * 5, None, "too_few_to_tune"),
        ([0, 1] * 15, [7] * 30, "one_text"),
    ],
)
def test_too_little_to_learn_from_is_said(targets: list[int], groups: list[int] | None, reason: str) -> None:
    """In stable words."""
    texts, _ = needles(30)
    with pytest.raises(NotEnoughLabels) as caught:
        tune_on(
            reader(),
            texts,
            np.arange(len(targets)),
            np.array(targets),
            plan=PLAN,
            groups=None if groups is None else np.array(groups),
        )
    assert caught.value.reason == reason


def test_rare_labels_are_drawn_more_often_than_they_were_given() -> None:
    """One label in twenty is a twentieth of the texts, and nearly a fifth of what is learnt from."""
    targets = np.array([0] * 190 + [1] * 10)
    lesson = Lesson([torch.zeros(1, 1)] * 200, targets, np.ones(200))
    draws = _Draws(lesson, Plan(batch=16, balance=0.5), np.random.default_rng(0))
    drawn = np.concatenate([next(draws) for _ in range(200)])
    assert 0.13 < np.mean(targets[drawn] == 1) < 0.25
    batch = next(draws)
    assert len(set(batch.tolist())) == len(batch) == 16
