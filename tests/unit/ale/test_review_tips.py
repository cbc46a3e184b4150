"""What is told about a data set as a whole, from hand-made judgements: each tip at its threshold and below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.review.channel import Channel, Judgement
from ale.review.evidence import Evidence
from ale.review.labelled import Labelled
from ale.review.steering import NO_VERDICTS
from ale.review.tips import Tip, find_tips
from ale.types import Embeddings, LabelSpace

FIRST_ROW = 100  # of the file; what stands before is not judged


def tips(
    given: Sequence[int],
    *,
    features: Embeddings | None = None,
    groups: Sequence[int] | None = None,
    truth: Sequence[int] | None = None,
    doubted: Sequence[int] = (),
    labels: int = 4,
) -> dict[str, list[Tip]]:
    """By kind. By default every text has a direction of its own, no other text is near, and nothing is doubted."""
    n = len(given)
    targets = np.array(given, np.int64)
    x = np.eye(n, dtype=np.float32) if features is None else features
    score: NDArray[np.float64] = np.zeros(n)
    score[list(doubted)] = 0.61
    none = np.zeros((n, 0))
    evidence = Evidence(
        None, targets, x, groups=np.arange(n) if groups is None else np.array(groups, np.int64)
    )
    data = Labelled(
        space=LabelSpace(tuple("abcdefghijklmnopqrstuvwxyz"[:labels])),
        rows=np.arange(n) + FIRST_ROW,
        texts=("text",) * n,
        given=targets,
        evidence=evidence,
        settled=NO_VERDICTS,
        decided=np.full(n, -1),
        teachers=(),
        people=(),
        notes=(),
    )
    believed = np.eye(labels)[targets if truth is None else list(truth)]
    channel = Channel(np.zeros(0), np.zeros(labels), np.eye(labels), np.ones(1))
    judgement = Judgement(score, believed, score, none.astype(bool), channel)
    out: dict[str, list[Tip]] = {}
    for tip in find_tips(data, judgement):
        out.setdefault(tip.kind, []).append(tip)
    return out


def angles(*cosines: float) -> Embeddings:
    """Pairs of rows in planes of their own, each pair with that cosine."""
    x = np.zeros((2 * len(cosines), 2 * len(cosines)), np.float32)
    for i, cosine in enumerate(cosines):
        x[2 * i, 2 * i] = 1.0
        x[2 * i + 1, 2 * i : 2 * i + 2] = cosine, np.sqrt(1.0 - cosine**2)
    return x


def test_a_sound_data_set_has_no_tip() -> None:
    """Labels given often enough, no doubts, texts that differ."""
    assert tips([0, 1, 2, 3] * 4) == {}


def test_a_pair_is_confused_from_five_doubts_on() -> None:
    """In either direction, with its rows in the file; four are no pattern."""
    given, truth = [0, 0, 0, 1, 1, 2] * 3, [1, 1, 1, 0, 0, 2] * 3
    (tip,) = tips(given, truth=truth, doubted=[0, 1, 2, 3, 4], labels=3)["confused_labels"]
    assert tip.text.startswith("'a' and 'b' overlap: 5 of 5 doubts lie between them")
    assert tip.rows == (100, 101, 102, 103, 104)
    assert "confused_labels" not in tips(given, truth=truth, doubted=[0, 1, 2, 3], labels=3)


def test_a_pair_is_confused_when_it_has_a_fifth_of_the_doubts() -> None:
    """The more frequent pair first; a rare one among many is none."""
    given, truth = [0] * 5 + [2] * 20 + [3] * 3, [1] * 5 + [3] * 20 + [2] * 3
    found = tips(given, truth=truth, doubted=range(25))["confused_labels"]
    assert [tip.text[:11] for tip in found] == ["'c' and 'd'", "'a' and 'b'"]
    found = tips(given, truth=truth, doubted=range(28))["confused_labels"]
    assert [tip.text[:11] for tip in found] == ["'c' and 'd'"]
    assert found[0].rows == tuple(range(105, 125))


def test_two_labels_alone_are_no_confused_pair() -> None:
    """All doubts lie between them, always; and a doubt whose likeliest label is the given one is between none."""
    assert "confused_labels" not in tips([0, 1] * 5, truth=[1, 0] * 5, doubted=range(10), labels=2)
    assert "confused_labels" not in tips([0, 1] * 5, doubted=range(10), labels=3)


def test_equal_texts_with_different_labels_are_told() -> None:
    """All rows of such a text; equal texts with one label are nothing."""
    given, groups = [0, 1, 0, 2, 2, 0, 1, 1, 2], [0, 0, 0, 1, 1, 2, 3, 4, 5]
    (tip,) = tips(given, groups=groups)["two_labels_of_one_text"]
    assert tip.text.startswith("3 rows with a text that another row has")
    assert tip.rows == (100, 101, 102)
    assert "two_labels_of_one_text" not in tips([0, 0, 0, 2, 2, 2, 1, 1, 1], groups=groups)


def test_nearly_equal_texts_with_different_labels_are_told() -> None:
    """From a cosine of .95 on, and only with different labels."""
    x = angles(0.96, 0.94, 0.96)
    given = [0, 1, 0, 1, 2, 2]
    (tip,) = tips(given, features=x)["two_labels_of_one_text"]
    assert tip.rows == (100, 101)


def test_rare_labels_are_named_with_their_rows() -> None:
    """Fewer than three times; a label that nobody gave is not rare."""
    (tip,) = tips([0, 0, 0, 1, 1, 2])["rare_label"]
    assert tip.text == "labels given too rarely (fewer than 3 times) to be judged: 'b', 'c'"
    assert tip.rows == (103, 104, 105)


@pytest.mark.parametrize(("most", "told"), [(59, False), (60, True)])
def test_one_label_for_nearly_all_is_told(most: int, *, told: bool) -> None:
    """From twenty times the usual count on."""
    found = tips([0] * most + [1] * 3 + [2] * 3, labels=3)
    assert ("imbalance" in found) == told
    if told:
        assert found["imbalance"][0].text == "'a' has 91% of all labels"


@pytest.mark.parametrize(("rows", "told"), [(48, False), (50, True)])
def test_texts_like_no_other_are_told_in_files_of_fifty_rows(rows: int, *, told: bool) -> None:
    """Below a cosine of .1 to the closest other text."""
    x = angles(0.09, *[0.11] * (rows // 2 - 1))
    found = tips([0, 1] * (rows // 2), features=x, labels=2)
    assert ("outlier" in found) == told
    if told:
        assert found["outlier"][0].text.startswith("2 texts like no other")
        assert found["outlier"][0].rows == (100, 101)


def test_texts_without_a_direction_are_no_outliers() -> None:
    """Nothing is known of them."""
    x = angles(*[0.5] * 25)
    x[:2] = 0.0
    assert "outlier" not in tips([0, 1] * 25, features=x, labels=2)
