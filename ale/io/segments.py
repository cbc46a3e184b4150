"""One immutable file of embeddings: header, keys, checksums, rows.

A segment is written to a temporary name, flushed to disk and renamed, so that a reader in another process
sees all of it or none. Damage is found when it matters: the size and the keys when the file is opened, a
row when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUFFIX = ".emb"
_MAGIC = b"ALE-EMB1"
_HEADER = 256  # fixed, so that rows start aligned
_SMALL = 1 << 20  # bytes; smaller files are read whole, since every mapping holds a file handle

Keys = NDArray[np.uint64]
"""Shape (rows, 2): the two halves of the text hash."""


class DamagedSegmentError(Exception):
    """The file is not whole; internal to the cache, which skips it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """An open segment. `rows` is memory-mapped unless the file is small."""

    path: Path
    keys: Keys
    sums: NDArray[np.uint64]
    rows: NDArray[Any]

    def read(self, positions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The rows as they are stored, and which of them are as they were written."""
        rows = np.asarray(self.rows[positions])
        return rows, np.asarray(checksums(rows) == self.sums[positions], bool)


def write_segment(folder: Path, keys: Keys, rows: NDArray[Any]) -> Path:
    """A new segment in `folder`, visible to others only when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}{SUFFIX}"
    key_bytes = np.ascontiguousarray(keys, "<u8").tobytes()
    sum_bytes = checksums(rows).astype("<u8").tobytes()
    header = {
        "rows": len(rows),
        "columns": rows.shape[1],
        "dtype": rows.dtype.str,
        "sha256": hashlib.sha256(key_bytes + sum_bytes).hexdigest(),
    }
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write((_MAGIC + json.dumps(header).encode()).ljust(_HEADER))
        file.write(key_bytes)
        file.write(sum_bytes)
        file.write(np.ascontiguousarray(rows).tobytes())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def open_segment(path: Path) -> Segment:
    """The segment at `path`; DamagedSegmentError when it is not whole, FileNotFoundError when it is gone."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER)
        try:
            header: Any = json.loads(head.removeprefix(_MAGIC)) if head.startswith(_MAGIC) else None
            n, columns, dtype = int(header["rows"]), int(header["columns"]), np.dtype(header["dtype"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedSegmentError("unreadable header") from error
        start = _HEADER + 24 * n
        if size != start + n * columns * dtype.itemsize:
            raise DamagedSegmentError(f"{size} bytes, expected {start + n * columns * dtype.itemsize}")
        index = file.read(24 * n)
    if hashlib.sha256(index).hexdigest() != header["sha256"]:
        raise DamagedSegmentError("damaged index")
    keys = np.frombuffer(index[: 16 * n], "<u8").reshape(n, 2)
    sums = np.frombuffer(index[16 * n :], "<u8")
    rows: NDArray[Any]
    if size > _SMALL:
        rows = np.memmap(path, dtype, "r", start, (n, columns))
    else:
        rows = np.fromfile(path, dtype, offset=start).reshape(n, columns)
    return Segment(path, keys, sums, rows)


def checksums(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """One number per row that changes with nearly any damage; a zeroed row never passes."""
    if not rows.size:
        return np.zeros(len(rows), np.uint64)
    contiguous = np.ascontiguousarray(rows)
    width = contiguous.shape[1] * contiguous.itemsize
    word = next(size for size in (8, 4, 2, 1) if width % size == 0)
    words = contiguous.view(f"<u{word}").reshape(len(rows), -1)
    return np.asarray(words.sum(axis=1, dtype=np.uint64) + np.uint64(1))
