"""What each strategy asks first, on pools whose answer is obvious."""

from __future__ import annotations

import numpy as np
import pytest

from ale.clusters import weighted_kmeans
from ale.errors import UnknownName
from ale.strategies import STRATEGIES, resolve_strategy
from ale.strategies.disagreement import jensen_shannon_scores
from ale.strategies.uncertainty import entropy_scores, least_confidence_scores, margin_scores
from ale.types import Beliefs

SURE, TORN, LEANING = [0.98, 0.01, 0.01], [0.5, 0.5, 0.0], [0.6, 0.3, 0.1]
PROBS = np.array([SURE, TORN, LEANING], np.float32)
POINTS = np.eye(3, dtype=np.float32)


def rng() -> np.random.Generator:
    """A fresh generator, so that tests do not lean on each other."""
    return np.random.default_rng(0)


def test_scores_by_hand() -> None:
    """Higher = ask first, within [0, 1]."""
    assert margin_scores(PROBS) == pytest.approx([0.03, 1.0, 0.7], abs=1e-6)
    assert least_confidence_scores(PROBS) == pytest.approx([0.02, 0.5, 0.4], abs=1e-6)
    assert entropy_scores(np.full((1, 4), 0.25, np.float32)) == pytest.approx([1.0])
    assert margin_scores(np.ones((2, 1), np.float32)).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["margin", "least-confidence", "margin-clusters"])
def test_the_torn_one_is_asked_first(name: str) -> None:
    """Uncertainty strategies put the undecided example in front."""
    assert STRATEGIES[name](Beliefs(POINTS, student=PROBS), 1, rng())[0] == 1


def test_near_duplicates_go_behind_within_a_batch() -> None:
    """Two equal texts are not asked in one batch while another is left."""
    points = np.array([[1, 0], [1, 0.001], [0, 1]], np.float32)
    probs = np.array([[0.5, 0.5], [0.51, 0.49], [0.9, 0.1]], np.float32)
    assert STRATEGIES["margin"](Beliefs(points, student=probs), 2, rng()).tolist() == [0, 2]
    assert STRATEGIES["margin"](Beliefs(points, student=probs), 3, rng()).tolist() == [0, 2, 1]


def test_cold_start_takes_one_of_each_crowd() -> None:
    """Without any belief the first batch covers the clusters."""
    crowds = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)
    points = crowds + 0.01 * rng().normal(size=crowds.shape).astype(np.float32)
    chosen = STRATEGIES["margin"](Beliefs(points), 4, rng())
    assert sorted(chosen // 10) == [0, 1, 2, 3]


def test_a_teacher_that_is_equally_sure_of_all_texts_singles_out_none() -> None:
    """Its words tell nothing of its doubts: the first batch covers the clusters, however small, as without it."""
    crowds = np.repeat(np.eye(4, dtype=np.float32), [1_000, 10, 10, 10], axis=0)
    points = crowds + 0.05 * rng().normal(size=crowds.shape).astype(np.float32)
    words = np.where(np.eye(3, dtype=np.float32)[rng().integers(0, 3, len(points))] > 0, 0.8, 0.1)
    for name in ("margin", "margin-clusters"):
        chosen = STRATEGIES[name](Beliefs(points, teacher=words.astype(np.float32)), 4, rng())
        assert chosen.tolist() == STRATEGIES["typiclust"](Beliefs(points), 4, rng()).tolist()


def test_cold_start_leaves_covered_ground_for_last() -> None:
    """A crowd with a labelled member is not asked while another has none."""
    points = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    beliefs = Beliefs(points, labelled=np.eye(3, dtype=np.float32)[:2])
    assert STRATEGIES["typiclust"](beliefs, 1, rng())[0] // 10 == 2


def test_contradiction_is_highest_for_opposites() -> None:
    """0 for agreement and for silence, 1 for opposites."""
    student = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    teacher = np.array([[1, 0], [0, 1], [np.nan, np.nan]], np.float32)
    assert jensen_shannon_scores(student, teacher) == pytest.approx([0, 1, 0], abs=1e-6)
    assert (
        STRATEGIES["disagreement"](Beliefs(np.eye(3, 2, dtype=np.float32), student, teacher), 1, rng())[0]
        == 1
    )


def test_fewer_distinct_points_than_clusters() -> None:
    """Equal points are one cluster."""
    centres, assigned = weighted_kmeans(np.ones((5, 3), np.float32), 4, rng())
    assert len(centres) == 1
    assert assigned.tolist() == [0] * 5


def test_unknown_names_list_the_known() -> None:
    """A misspelt name tells what is valid."""
    with pytest.raises(UnknownName, match="margin"):
        resolve_strategy("marign")
