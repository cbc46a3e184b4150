"""The views that are learnt from given labels: each row is judged without its own label."""

from __future__ import annotations

import numpy as np

from ale.review.neighbours import nearest
from ale.review.ridge import STRENGTHS, held_out_by_ridge
from ale.review.witnesses import (
    annotator_tables,
    other_annotators,
    table,
    teacher_opinions,
    words_of,
)
from ale.review.words import held_out_by_words


def test_ridge_leaves_groups_out_exactly() -> None:
    """The fast answer is the one of fitting again without the row's group."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6)).astype(np.float32)
    targets = rng.integers(0, 3, 24)
    groups = np.arange(24) // 2
    got = held_out_by_ridge(x, targets, 3, groups)
    scored = {strength: _slow(x, targets, groups, strength) for strength in STRENGTHS}
    # The order of labels survives the temperature; with one strength it must be the slow one's.
    assert any(np.array_equal(got.argsort(axis=1), slow.argsort(axis=1)) for slow in scored.values())


def _slow(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    targets: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    groups: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    strength: float,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    full = np.hstack([x, np.full((len(x), 1), 0.3)]).astype(np.float64)
    truth = np.eye(3)[targets]
    share = truth.mean(axis=0)
    out = np.zeros(truth.shape)
    for group in np.unique(groups):
        seen = groups != group
        weights = np.linalg.solve(
            full[seen].T @ full[seen] + strength * np.eye(full.shape[1]),
            full[seen].T @ (truth[seen] - share),
        )
        out[~seen] = full[~seen] @ weights + share
    return out


def test_ridge_answers_with_more_columns_than_rows() -> None:
    """A dozen rows of many columns are judged, finitely."""
    rng = np.random.default_rng(1)
    logs = held_out_by_ridge(rng.normal(size=(12, 50)).astype(np.float32), np.arange(12) % 2, 2)
    assert np.isfinite(logs).all()
    assert np.allclose(np.exp(logs).sum(axis=1), 1.0)


def test_neighbours_are_neither_the_row_nor_its_twin() -> None:
    """A text that stands there twice says nothing about itself."""
    x = np.array([[1, 0], [1, 0], [0.9, 0.4], [0.9, -0.4], [-1, 0]], np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows, closeness = nearest(x, np.array([0]), 2, np.array([0, 0, 1, 2, 3]))
    assert sorted(rows[0].tolist()) == [2, 3]
    assert (closeness[0] < 1).all()


def test_words_judge_and_bear_texts_without_any() -> None:
    """Words tell two topics apart; texts without a letter or sign give no opinion."""
    texts = [f"the goal of match {i}" for i in range(15)] + [f"the bank pays rate {i}" for i in range(15)]
    targets = np.repeat([0, 1], 15)
    assert (held_out_by_words(texts, targets, 2).argmax(axis=1) == targets).all()
    assert not held_out_by_words([""] * 20, np.arange(20) % 2, 2).any()


def test_a_table_knows_what_a_witness_mixes_up() -> None:
    """Who says 1 for every 0 has that in the table; few rows stay near the usual."""
    truth = np.eye(3)[np.repeat([0, 1, 2], 40)]
    found = table(np.repeat([1, 1, 2], 40), truth)
    assert found[0, 1] > 0.8
    assert found[2, 2] > 0.8
    assert np.allclose(found.sum(axis=1), 1.0)
    assert table(np.array([1]), truth[:1])[0, 0] > 0.4


def test_teachers_may_be_silent_or_give_distributions() -> None:
    """Silence is no opinion; words give one opinion, distributions a second."""
    truth = np.eye(2)[np.array([0, 1, 0, 1])]
    words = np.array([[0.8, 0.2], [0.2, 0.8], [np.nan, np.nan], [0.2, 0.8]], np.float32)
    (opinion,) = teacher_opinions(words, truth)
    assert not opinion[2].any()
    assert opinion[0].argmax() == 0
    assert words_of(words).tolist() == [0, 1, -1, 1]
    sure = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.45, 0.55]], np.float32)
    assert len(teacher_opinions(sure, truth)) == 2
    assert teacher_opinions(np.full((4, 2), np.nan, np.float32), truth) == []


def test_other_annotators_speak_by_their_record() -> None:
    """Two careful annotators outvote a row's own label; a lone annotator hears nobody."""
    texts, rng = 60, np.random.default_rng(2)
    truth = rng.integers(0, 2, texts)
    given = np.concatenate([truth, truth, rng.integers(0, 2, texts)])
    who, groups = np.repeat([0, 1, 2], texts), np.tile(np.arange(texts), 3)
    tables = annotator_tables(given, who, groups, np.eye(2)[given])
    assert tables[0].trace() > tables[2].trace() + 0.2
    heard = other_annotators(given, who, groups, tables)
    assert (heard[2 * texts :].argmax(axis=1) == truth).mean() > 0.95
    lonely = other_annotators(np.array([0]), np.array([0]), np.array([0]), tables)
    assert np.ptp(lonely) == 0
