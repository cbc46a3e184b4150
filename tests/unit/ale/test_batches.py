"""What batches ask on pools whose answer is known, and that shortcuts give what the long way would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ale.strategies import STRATEGIES
from ale.strategies.badge import gradient_distances, gradient_squares, guess_residuals
from ale.strategies.batch import NEAR, distinct, head_size
from ale.strategies.density import density_scores
from ale.strategies.disagreement import consensus_scores, vote_entropy_scores
from ale.types import Beliefs

seeds = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    """A fresh generator, so that tests do not lean on each other."""
    return np.random.default_rng(seed)


def crowds(seed: int, rows: int, texts: int) -> NDArray[np.float32]:
    """Rows around a few directions: some of them near-duplicates, some not."""
    made = rng(seed)
    middle = made.normal(size=(texts, 5))
    noise = made.choice([0.001, 0.1, 0.5], rows)[:, None] * made.normal(size=(rows, 5))
    return (middle[made.integers(texts, size=rows)] + noise).astype(np.float32)


@given(seeds, st.integers(1, 700), st.integers(1, 30), st.integers(1, 80))
@settings(max_examples=60)
def test_distinct_is_the_greedy_choice(seed: int, rows: int, texts: int, batch: int) -> None:
    """Row by row as one would by hand: taken unless near one that was taken; the near ones fill up."""
    points = crowds(seed, rows, texts)
    order = rng(seed).permutation(rows)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    taken: list[int] = []
    near: list[int] = []
    for row in order[: head_size(batch)]:
        (near if any(unit[row] @ unit[other] > NEAR for other in taken) else taken).append(int(row))
    expected = (taken + near)[:batch] if len(taken) < batch else taken[:batch]
    assert distinct(points, order, batch).tolist() == expected


@pytest.mark.parametrize("batch", [0, -1])
def test_no_batch_is_empty(batch: int) -> None:
    """Nothing asked, nothing given."""
    assert distinct(np.ones((3, 2), np.float32), np.arange(3), batch).tolist() == []


@given(seeds, st.integers(1, 20), st.integers(1, 6))
@settings(max_examples=40)
def test_gradient_distances_are_those_of_written_out_gradients(seed: int, rows: int, labels: int) -> None:
    """The product of two inner products gives the distances of the outer products."""
    points = rng(seed).normal(size=(rows, 4)).astype(np.float32)
    probs = rng(seed).dirichlet(np.ones(labels), rows).astype(np.float32)
    residuals = guess_residuals(probs)
    written = np.einsum("ij,ik->ijk", residuals, points).reshape(rows, -1).astype(np.float64)
    centres = np.arange(0, rows, 3)
    expected = ((written[:, None] - written[None, centres]) ** 2).sum(axis=2).min(axis=1)
    squares = gradient_squares(residuals, points)
    assert squares == pytest.approx((written**2).sum(axis=1), abs=1e-4)
    assert gradient_distances(residuals, points, squares, centres) == pytest.approx(expected, abs=1e-3)


def test_badge_draws_in_proportion_to_the_squared_distance() -> None:
    """Of two unsure crowds and a sure one, after one unsure crowd the other is drawn twice as often.

    Its gradients are at right angles (squared distance 1/2 + 1/2), those of the sure ones zero (1/2).
    """
    points = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    probs = np.repeat(np.array([[0.501, 0.499], [0.5, 0.5], [1, 0]], np.float32), 20, axis=0)
    crowds_asked = [STRATEGIES["badge"](Beliefs(points, probs), 2, rng(seed)) // 20 for seed in range(300)]
    assert {int(first) for first, _ in crowds_asked} == {1}
    assert {int(second) for _, second in crowds_asked} == {0, 2}
    assert 0.58 < np.mean([second == 0 for _, second in crowds_asked]) < 0.75


def test_badge_begins_with_the_longest_gradient() -> None:
    """Alone, the least sure text counts, and of two equally unsure ones the longer."""
    probs = np.array([[0.6, 0.4], [0.5, 0.5], [0.5, 0.5]], np.float32)
    points = np.array([[1, 0], [0, 1], [0, 2]], np.float32)
    assert STRATEGIES["badge"](Beliefs(points, probs), 1, rng()).tolist() == [2]


def test_badge_measures_from_all_that_were_taken() -> None:
    """Texts of which the student is sure cause no gradient, whatever they say: one of them stands for all."""
    points = np.eye(12, dtype=np.float32)
    probs = np.array([[0.501, 0.499], [0.5, 0.5]] + [[1, 0]] * 10, np.float32)
    for seed in range(20):
        chosen = STRATEGIES["badge"](Beliefs(points, probs), 3, rng(seed))
        assert {0, 1} < set(chosen.tolist())


@given(seeds, st.integers(2, 40), st.integers(1, 5), st.integers(1, 10))
@settings(max_examples=40)
def test_coreset_goes_to_the_farthest(seed: int, rows: int, labelled: int, batch: int) -> None:
    """Every row is the farthest of the rest from what was labelled or taken before."""
    points = rng(seed).normal(size=(rows, 6)).astype(np.float32)
    held = rng(seed + 1).normal(size=(labelled, 6)).astype(np.float32)
    chosen = STRATEGIES["coreset"](Beliefs(points, labelled=held), batch, rng(seed))
    centres = held
    for row in chosen:
        gap = ((points[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        if (unit @ unit.T - np.eye(rows) > NEAR).any():
            return  # near-duplicates change the order; the contract tests them
        assert gap[row] == pytest.approx(gap.max(), rel=1e-3)
        centres = np.concatenate([centres, points[[row]]])


@pytest.mark.parametrize("name", ["badge", "coreset"])
def test_batches_of_many_rows_are_chosen_several_at_a_time(name: str) -> None:
    """A batch above the number of steps is still of distinct rows, and full."""
    points = rng().normal(size=(900, 8)).astype(np.float32)
    probs = rng().dirichlet(np.ones(3), 900).astype(np.float32)
    chosen = STRATEGIES[name](Beliefs(points, probs), 450, rng())
    assert len(set(chosen.tolist())) == 450


def test_margin_clusters_takes_the_middle_of_a_crowd() -> None:
    """Of equally unsure texts the nearest to each centre is asked."""
    points = np.array(
        [[1, 0.1, 0], [1, -0.1, 0], [1, 0, 0], [0, 0.1, 1], [0, -0.1, 1], [0, 0, 1], [0, 1, 0]], np.float32
    )
    probs = np.array([[0.5, 0.5]] * 6 + [[1.0, 0.0]], np.float32)  # were all alike, no text were singled out
    for seed in range(5):
        chosen = STRATEGIES["margin-clusters"](Beliefs(points, probs), 2, rng(seed))
        assert sorted(chosen.tolist()) == [2, 5]


def test_density_prefers_the_crowd_to_the_oddity() -> None:
    """Of equally unsure texts the one with company is asked; a sure one with company is not."""
    points = np.array([[1, 0, 0], [1, 0.3, 0], [1, -0.3, 0], [0, 0, 1]], np.float32)
    probs = np.array([[0.5, 0.5], [0.99, 0.01], [0.99, 0.01], [0.5, 0.5]], np.float32)
    assert STRATEGIES["density-weighted"](Beliefs(points, probs), 2, rng()).tolist() == [0, 3]


def test_density_by_hand() -> None:
    """Relative to the densest; opposites count as strangers; nothing to compare with is even."""
    points = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    assert density_scores(points, np.array([[1, 0], [1, 0], [0, 1]], np.float32)) == pytest.approx(
        [1, 0.5, 0]
    )
    assert density_scores(points, np.zeros((0, 2), np.float32)).tolist() == [1, 1, 1]


A, B, HALF = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]


def test_committee_scores_by_hand() -> None:
    """0 for one opinion, 1 for a split; votes do not hear how sure a member is."""
    members = np.array([[A, A, A, [0.6, 0.4]], [A, B, HALF, [0.4, 0.6]]], np.float32)
    assert consensus_scores(members) == pytest.approx([0, 1, 0.311, 0.029], abs=1e-3)
    assert vote_entropy_scores(members) == pytest.approx([0, 1, 0, 1], abs=1e-6)
    assert consensus_scores(members[:1]).tolist() == vote_entropy_scores(members[:1]).tolist() == [0] * 4


@given(seeds, st.integers(1, 5), st.integers(0, 8), st.integers(1, 5))
@settings(max_examples=60)
def test_committee_scores_lie_between_zero_and_one(seed: int, members: int, rows: int, labels: int) -> None:
    """Whatever the members say, also with certainty."""
    said = rng(seed).dirichlet(np.full(labels, 0.05), (members, rows)).astype(np.float32)
    for scores in (consensus_scores(said), vote_entropy_scores(said)):
        assert scores.shape == (rows,)
        assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("name", ["committee", "vote-entropy"])
def test_the_divided_one_is_asked_first(name: str) -> None:
    """Members that contradict each other come before a student that cannot decide; of equals the torn one."""
    members = np.array([[HALF, A, A], [HALF, B, [0.9, 0.1]]], np.float32)
    given = Beliefs(np.eye(3, dtype=np.float32), members.mean(axis=0), committee=members)
    assert STRATEGIES[name](given, 1, rng()).tolist() == [1]
    agreed = Beliefs(np.eye(2, dtype=np.float32), committee=np.array([[A, HALF], [A, HALF]], np.float32))
    assert STRATEGIES[name](agreed, 1, rng()).tolist() == [1]


def test_contradictions_that_are_none_leave_it_to_the_margin() -> None:
    """With a teacher that abstains everywhere, `disagreement` asks what the student cannot decide."""
    student = np.array([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]], np.float32)
    silent = Beliefs(np.eye(3, dtype=np.float32), student, np.full((3, 2), np.nan, np.float32))
    assert [STRATEGIES["disagreement"](silent, 1, rng(seed))[0] for seed in range(10)] == [1] * 10


def test_typiclust_asks_a_large_crowd_twice_before_a_covered_small_one_thrice() -> None:
    """A cluster's turn comes when no other holds fewer labels; within a turn the larger goes first."""
    points = np.repeat(np.eye(3, dtype=np.float32), [10, 6, 3], axis=0)
    points += rng().normal(scale=0.2, size=points.shape).astype(np.float32)
    held = np.eye(3, dtype=np.float32)[[0, 0, 2]]
    chosen = STRATEGIES["typiclust"](Beliefs(points, labelled=held), 1, rng())
    assert 10 <= chosen[0] < 16


def test_beliefs_of_another_shape_are_refused() -> None:
    """What does not fit the candidates or the label space is an error, not a broadcast."""
    points, probs = np.zeros((3, 2), np.float32), np.full((3, 2), 0.5, np.float32)
    with pytest.raises(ValueError, match="student of shape"):
        Beliefs(points, probs[:2])
    with pytest.raises(ValueError, match="committee of shape"):
        Beliefs(points, probs, committee=probs)
    with pytest.raises(ValueError, match="2 and 3 labels"):
        Beliefs(points, probs, committee=np.full((2, 3, 3), 1 / 3, np.float32))
    with pytest.raises(ValueError, match="labelled rows"):
        Beliefs(points, probs, labelled=np.zeros((1, 5), np.float32))
