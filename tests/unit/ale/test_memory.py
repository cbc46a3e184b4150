"""The hybrid student's memory: what is believed of a pool reaches new texts that are near."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.students import memory
from ale.students.hybrid import HybridStudent
from ale.students.memory import Memory, with_memory
from ale.types import Embeddings


def rings(rows: int, seed: int) -> tuple[Embeddings, NDArray[np.int64]]:
    """Eight blobs on a circle, labels in turn: no linear model can tell the two labels apart."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, 8, rows)
    angle = blob * np.pi / 4 + rng.normal(scale=0.05, size=rows)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32), blob % 2


def certain(truth: NDArray[np.int64]) -> NDArray[np.float32]:
    """Beliefs that are nearly sure."""
    return np.where(np.eye(2)[truth] > 0, 0.95, 0.05).astype(np.float32)


def test_a_new_text_hears_what_is_believed_of_its_neighbours() -> None:
    """Where the linear weights know nothing at all."""
    points, truth = rings(400, 0)
    weights, kept = with_memory(
        points, np.eye(2, dtype=np.float32), np.zeros((3, 2), np.float32), certain(truth), np.arange(0)
    )
    fresh, wanted = rings(200, 1)
    assert not weights.any()
    assert np.mean(kept.logits(fresh).argmax(axis=1) == wanted) > 0.99


def test_without_itself_a_text_hears_only_the_others() -> None:
    """A text that is believed to be of another kind than all around it."""
    points, truth = rings(400, 0)
    beliefs = certain(truth)
    beliefs[7] = beliefs[7, ::-1]
    crowd = points[7] + np.random.default_rng(0).normal(scale=0.1, size=(5, 2)).astype(np.float32)
    kept = Memory(np.eye(2, dtype=np.float32), np.vstack([points[7:8], crowd]), beliefs[[7, 0, 0, 0, 0, 0]])
    alone = Memory(kept.basis, kept.points[1:], kept.probs[1:])
    assert np.allclose(kept.logits(points[7:8], itself=False), alone.logits(points[7:8]))


def test_it_is_as_sure_as_what_is_believed() -> None:
    """Memory and weights speak together, and are not surer for it."""
    points, truth = rings(600, 0)
    half = np.where(np.eye(2)[truth] > 0, 0.7, 0.3).astype(np.float32)
    alone = np.zeros((3, 2), np.float32)
    weights, kept = with_memory(points, np.eye(2, dtype=np.float32), alone, half, np.arange(0))
    said = points @ weights[:-1] + weights[-1] + kept.logits(points)
    top = 1 / (1 + np.exp(-np.abs(said[:, 0] - said[:, 1])))
    assert top.mean() == pytest.approx(0.7, abs=0.03)


def test_a_large_pool_is_remembered_by_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the limit, and the labelled texts among them."""
    monkeypatch.setattr(memory, "_MOST", 50)
    points, truth = rings(400, 0)
    beliefs = np.full((400, 2), 0.5, np.float32)
    rows = np.arange(381, 400)
    beliefs[rows] = certain(truth[rows])
    _, kept = with_memory(points, np.eye(2, dtype=np.float32), np.zeros((3, 2), np.float32), beliefs, rows)
    assert len(kept.points) == 50
    assert int((kept.probs.max(axis=1) > 0.9).sum()) == len(rows)


def test_a_checkpoint_without_a_memory_is_read() -> None:
    """As students were written before there was one."""
    points, truth = rings(60, 0)
    student = HybridStudent().fit(points, np.arange(40), truth[:40], labels=2)
    arrays, values = student.state()
    again = HybridStudent.from_state({"weights": arrays["weights"]}, values)
    assert again.logits(points).shape == (60, 2)
    assert not np.allclose(again.logits(points), student.logits(points))
