"""What stands on disk is whole or absent, whoever reads and writes at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ale.errors import CheckpointError
from ale.io.checkpoints import list_versions, load_checkpoint, prune, save_checkpoint
from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.snapshots import SnapshotRow, read_snapshot, write_snapshot
from ale.text import text_hash
from ale.types import Embeddings

ARRAYS = {"student.weights": np.arange(6, dtype=np.float32).reshape(3, 2)}
MANIFEST = {"labels": ["a", "b"], "student": "linear", "temperature": 1.5}


def hashes(*texts: str) -> list[str]:
    """Cache keys."""
    return [text_hash(text) for text in texts]


def test_cache_gives_back_what_was_added(tmp_path: Path) -> None:
    """Rows come back in the order asked; a miss is marked and is a row of zeros."""
    cache = EmbeddingCache(tmp_path, "encoder", 4)
    cache.add(hashes("a", "b"), np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32))
    rows, found = EmbeddingCache(tmp_path, "encoder", 4).lookup(hashes("b", "?", "a", "b"))
    assert found.tolist() == [True, False, True, True]
    assert rows[:, 0].tolist() == [5, 0, 1, 5]


def test_a_truncated_segment_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a file costs a second encoding and a warning, not a crash."""
    EmbeddingCache(tmp_path, "encoder", 4).add(hashes("a"), np.ones((1, 4), np.float32))
    segment = next(tmp_path.rglob("*.emb"))
    segment.write_bytes(segment.read_bytes()[:-3])
    _, found = EmbeddingCache(tmp_path, "encoder", 4).lookup(hashes("a"))
    assert not found.any()
    assert "ignored" in caplog.text


def test_a_damaged_row_is_not_served(tmp_path: Path) -> None:
    """A row whose bytes changed on disk counts as missing; its neighbours stay."""
    EmbeddingCache(tmp_path, "encoder", 4).add(hashes("a", "b"), np.ones((2, 4), np.float32))
    segment = next(tmp_path.rglob("*.emb"))
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(bytes(data))
    _, found = EmbeddingCache(tmp_path, "encoder", 4).lookup(hashes("a", "b"))
    assert found.tolist() == [True, False]


def test_many_small_segments_are_merged(tmp_path: Path) -> None:
    """A hundred additions do not leave a hundred files, and nothing is lost."""
    cache = EmbeddingCache(tmp_path, "encoder", 2)
    for number in range(100):
        cache.add(hashes(str(number)), np.full((1, 2), number, np.float32))
    assert len(list(tmp_path.rglob("*.emb"))) < 64
    rows, found = cache.lookup(hashes(*map(str, range(100))))
    assert found.all()
    assert rows[:, 0].tolist() == list(range(100))


def _add_many(folder: Path, worker: int) -> None:
    cache = EmbeddingCache(folder, "encoder", 2)
    for number in range(80):
        cache.add(hashes(f"{worker}-{number}"), np.full((1, 2), number, np.float32))


def test_processes_write_at_once(tmp_path: Path) -> None:
    """Two writers that both merge lose no row."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_many, args=(tmp_path, worker)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    names = [f"{worker}-{number}" for worker in range(2) for number in range(80)]
    rows, found = EmbeddingCache(tmp_path, "encoder", 2).lookup(hashes(*names))
    assert found.all()
    assert rows[:, 0].tolist() == list(range(80)) * 2


class CountingEncoder:
    """Encodes a text as its length, and counts."""

    name = "counting"
    dimensions = 2

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Length and one third, which float16 cannot hold."""
        self.seen += texts
        return np.array([[len(text), 1 / 3] for text in texts], np.float32)


def test_every_text_is_encoded_once(tmp_path: Path) -> None:
    """Repeats in a call and across calls cost nothing, and a fresh row equals a cached one."""
    inner, done = CountingEncoder(), list[int]()
    encoder = CachedEncoder(inner, EmbeddingCache(tmp_path, inner.name, 2))
    fresh = encoder.encode(["aa", "b", "aa"], progress=done.append)
    again = encoder.encode(["b", "aa"], progress=done.append)
    assert inner.seen == ["aa", "b"]
    assert np.array_equal(fresh[[1, 0]], again)
    assert sum(done) == 5


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    """Arrays and manifest come back; the newest version is the last listed."""
    save_checkpoint(str(tmp_path), "p1", "v1", ARRAYS, {**MANIFEST, "created_at": "2026-01-01"})
    save_checkpoint(str(tmp_path), "p1", "v2", ARRAYS, MANIFEST)
    arrays, manifest = load_checkpoint(f"file://{tmp_path}", "p1", "v1")
    assert np.array_equal(arrays["student.weights"], ARRAYS["student.weights"])
    assert (manifest["version"], manifest["labels"], manifest["format"]) == ("v1", ["a", "b"], 1)
    assert list_versions(str(tmp_path), "p1") == ["v1", "v2"]
    assert prune(str(tmp_path), "p1", keep=1) == ["v1"]
    assert list_versions(str(tmp_path), "p1") == ["v2"]


def test_checkpoints_in_an_object_store() -> None:
    """A store without rename works as well."""
    root = "memory://ale-checkpoints"
    save_checkpoint(root, "p1", "v1", ARRAYS, MANIFEST)
    assert load_checkpoint(root, "p1", "v1")[1]["student"] == "linear"
    assert list_versions(root, "p1") == ["v1"]
    assert prune(root, "p1", keep=0) == ["v1"]
    assert list_versions(root, "p1") == []


def test_versions_are_never_overwritten(tmp_path: Path) -> None:
    """Saving a version twice is refused."""
    save_checkpoint(str(tmp_path), "p1", "v1", ARRAYS, MANIFEST)
    with pytest.raises(CheckpointError, match="exists"):
        save_checkpoint(str(tmp_path), "p1", "v1", ARRAYS, MANIFEST)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("student.safetensors", b"nonsense", "checksum"),
        ("manifest.json", b"{", "damaged"),
        ("manifest.json", b'{"format": 99}', "another format"),
    ],
)
def test_damage_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    """A damaged checkpoint is refused with the reason."""
    folder = save_checkpoint(str(tmp_path), "p1", "v1", ARRAYS, MANIFEST)
    (Path(folder) / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(str(tmp_path), "p1", "v1")


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b"])
def test_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    """A project key is a name, never a path."""
    with pytest.raises(CheckpointError):
        save_checkpoint(str(tmp_path), name, "v1", ARRAYS, MANIFEST)


def test_snapshot_is_named_by_its_content(tmp_path: Path) -> None:
    """Equal rows have one id and one file; a damaged file is refused."""
    rows = [SnapshotRow(1, text_hash("a"), "Billing", "human", "7")]
    name = write_snapshot(tmp_path, rows)
    assert write_snapshot(tmp_path, rows) == name
    assert list(read_snapshot(tmp_path, name)) == rows
    assert write_snapshot(tmp_path, []) != name
    (tmp_path / f"{name}.jsonl.gz").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="damaged"):
        read_snapshot(tmp_path, name)
