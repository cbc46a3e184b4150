"""Published beliefs: found by hash, read once per version, never wrong when damaged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.io.checkpoints import load_checkpoint, save_checkpoint
from ale.text import text_hash
from ml_backend import beliefs
from ml_backend.beliefs import BeliefsReader


def publish(
    root: Path, version: str, texts: dict[str, tuple[list[float], float]], project: str = "p"
) -> Path:
    """A checkpoint with beliefs, as the worker writes it."""
    rows = sorted((text_hash(text), *about) for text, about in texts.items())
    arrays: dict[str, NDArray[Any]] = {
        "belief_hashes": np.array([list(bytes.fromhex(h)) for h, _, _ in rows], np.uint8).reshape(-1, 16),
        "belief_probs": np.array([probs for _, probs, _ in rows], np.float32).reshape(len(rows), 2),
        "belief_scores": np.array([score for _, _, score in rows], np.float32),
    }
    return Path(
        save_checkpoint(str(root), project, version, arrays, {"labels": ["A", "B"], "student": "linear"})
    )


def test_found_by_hash(tmp_path: Path) -> None:
    """Each of many texts is found with its own row; others are not."""
    publish(tmp_path, "v1", {f"text {i}": ([i / 1000, 1 - i / 1000], i / 2000) for i in range(1000)})
    published = BeliefsReader(str(tmp_path)).read("p", "v1")
    assert published is not None
    assert published.labels == ("A", "B")
    for i in range(1000):
        belief = published.find(text_hash(f"text {i}"))
        assert belief is not None
        assert belief.probs[0] == pytest.approx(i / 1000)
        assert belief.score == pytest.approx(i / 2000)
    assert not any(published.find(text_hash(f"text {i}")) for i in range(1000, 2000))
    assert published.find("00" * 16) is None
    assert published.find("ff" * 16) is None


def test_hashes_that_end_in_zeros(tmp_path: Path) -> None:
    """Zero bytes count like any other."""
    names = ["00" * 16, "ab" + "00" * 15, "ab" * 15 + "00", "ff" * 16]
    arrays: dict[str, NDArray[Any]] = {
        "belief_hashes": np.array([list(bytes.fromhex(h)) for h in names], np.uint8),
        "belief_probs": np.tile(np.array([[0.25, 0.75]], np.float32), (4, 1)),
        "belief_scores": np.arange(4, dtype=np.float32) / 4,
    }
    save_checkpoint(str(tmp_path), "p", "v1", arrays, {"labels": ["A", "B"], "student": "linear"})
    published = BeliefsReader(str(tmp_path)).read("p", "v1")
    assert published is not None
    assert [getattr(published.find(h), "score", None) for h in names] == [0.0, 0.25, 0.5, 0.75]
    assert published.find("ab" * 16) is None


def test_empty_and_without_beliefs(tmp_path: Path) -> None:
    """A version that believes nothing is a version all the same."""
    publish(tmp_path, "v1", {})
    save_checkpoint(str(tmp_path), "p", "v2", {"w": np.zeros(1)}, {"labels": ["A"], "student": "linear"})
    reader = BeliefsReader(str(tmp_path))
    for version in ("v1", "v2"):
        published = reader.read("p", version)
        assert published is not None
        assert published.find(text_hash("x")) is None


def test_read_once_until_the_version_moves(tmp_path: Path) -> None:
    """The same object is handed out until another version is asked for."""
    publish(tmp_path, "v1", {"x": ([0.1, 0.9], 0.5)})
    publish(tmp_path, "v2", {"x": ([0.8, 0.2], 0.5)})
    reader = BeliefsReader(str(tmp_path))
    first = reader.read("p", "v1")
    assert reader.read("p", "v1") is first
    second = reader.read("p", "v2")
    assert second is not None
    assert second is not first


def test_few_projects_are_kept(tmp_path: Path) -> None:
    """The one that was asked for least recently goes first."""
    for project in "abc":
        publish(tmp_path, "v1", {"x": ([0.1, 0.9], 0.5)}, project)
    reader = BeliefsReader(str(tmp_path), projects=2)
    a, b = reader.read("a", "v1"), reader.read("b", "v1")
    assert reader.read("a", "v1") is a
    reader.read("c", "v1")
    assert reader.read("a", "v1") is a
    assert reader.read("b", "v1") is not b


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "manifest"])
def test_damaged(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that cannot be read is none; it is looked at again later, and then serves."""
    folder = publish(tmp_path, "v1", {"x": ([0.1, 0.9], 0.5)})
    name = "manifest.json" if damage == "manifest" else "student.safetensors"
    good = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        bad = {"truncated": good[:-5], "flipped": good[:-1] + bytes([good[-1] ^ 1]), "manifest": b"{"}[damage]
        (folder / name).write_bytes(bad)
    reader = BeliefsReader(str(tmp_path))
    assert reader.read("p", "v1") is None
    (folder / name).write_bytes(good)
    assert reader.read("p", "v1") is None
    monkeypatch.setattr(beliefs, "RETRY_S", -1.0)
    assert reader.read("p", "v1") is not None


def test_the_last_good_version_answers_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a process that has not seen the good one before; and only until the damage is gone."""
    publish(tmp_path, "v1", {"x": ([0.1, 0.9], 0.5)})
    published = BeliefsReader(str(tmp_path)).read("p", "v2")
    assert published is not None
    assert published.version == "v1"
    reader = BeliefsReader(str(tmp_path))
    reader.read("p", "v2")
    publish(tmp_path, "v2", {"x": ([0.8, 0.2], 0.5)})
    monkeypatch.setattr(beliefs, "RETRY_S", -1.0)
    published = reader.read("p", "v2")
    assert published is not None
    assert published.version == "v2"


def test_a_store_that_hangs_holds_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request waits for the store, the others answer from the version that was read before."""
    publish(tmp_path, "v1", {"a": ([1.0, 0.0], 0.5)})
    reader = BeliefsReader(str(tmp_path))
    assert reader.read("p", "v1") is not None
    publish(tmp_path, "v2", {"a": ([0.0, 1.0], 0.5)})
    asked, go_on = Event(), Event()

    def hanging(*args: Any) -> Any:
        asked.set()
        go_on.wait(30)
        return load_checkpoint(*args)

    monkeypatch.setattr(beliefs, "load_checkpoint", hanging)
    monkeypatch.setattr(beliefs, "WAIT_S", 0.01)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.read, "p", "v2")
        assert asked.wait(30)
        meanwhile = reader.read("p", "v2")
        go_on.set()
        found = waiting.result()
    assert meanwhile is not None
    assert meanwhile.version == "v1"
    assert found is not None
    assert found.version == "v2"
