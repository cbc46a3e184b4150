"""Every text is encoded once: a cache from text hash to embedding, shared by processes without a lock.

The cache is a folder of immutable segments. Adding writes a new one; many small ones are merged into one
now and then. Two processes that merge at once only leave a row twice, which does no harm.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ale.io.segments import SUFFIX, DamagedSegmentError, Keys, Segment, open_segment, write_segment
from ale.protocols import Encoder
from ale.text import text_hash
from ale.types import Embeddings

log = logging.getLogger(__name__)

_MERGE_FROM = 64  # small segments; each costs an open file and a directory entry
_SMALL_ROWS = 4_096


class EmbeddingCache:
    """Rows of one encoder. float16 halves the disk; unit vectors lose less than 1e-4 by it."""

    def __init__(
        self, folder: Path | str, encoder_name: str, dimensions: int, dtype: str = "float16"
    ) -> None:
        self._folder = Path(folder) / re.sub(r"[^\w.+-]", "_", encoder_name)
        self._dimensions = dimensions
        self._dtype = np.dtype(dtype)
        self._segments: dict[str, Segment | None] = {}
        self._index: tuple[NDArray[np.uint64], NDArray[np.int64]] | None = None

    @property
    def dimensions(self) -> int:
        """Columns of a row."""
        return self._dimensions

    def lookup(self, hashes: Sequence[str]) -> tuple[Embeddings, NDArray[np.bool_]]:
        """Rows (hashes, dimensions) as float32, and which were found; the others are zeros."""
        rows = np.zeros((len(hashes), self._dimensions), np.float32)
        found = np.zeros(len(hashes), bool)
        if not len(hashes):
            return rows, found
        self._refresh()
        keys = _keys(hashes)
        first, place = self._indexed()
        if not len(first):
            return rows, found
        at = np.minimum(np.searchsorted(first, keys[:, 0]), len(first) - 1)
        hits = np.flatnonzero(first[at] == keys[:, 0])
        segments = [segment for segment in self._segments.values() if segment is not None]
        which, position = place[at[hits]].T
        for number in np.unique(which):
            mine = hits[which == number]
            local = position[which == number]
            segment = segments[number]
            part, whole = segment.read(local)
            whole &= segment.keys[local, 1] == keys[mine, 1]
            found[mine] = whole
            if whole.all():
                rows[mine] = part
            else:
                rows[mine[whole]] = part[whole]
                log.warning("embedding cache: %d damaged rows are ignored", int((~whole).sum()))
        return rows, found

    def add(self, hashes: Sequence[str], rows: Embeddings) -> None:
        """Stores finite rows; a hash that is there already does no harm."""
        if rows.shape != (len(hashes), self._dimensions):
            raise ValueError(f"rows of shape {rows.shape} for {len(hashes)} hashes of {self._dimensions}")
        if not np.isfinite(rows).all():
            raise ValueError("embeddings must be finite")
        if len(hashes):
            write_segment(self._folder, _keys(hashes), self.rounded(rows, stored=True))
            self._merge_small()

    def rounded(self, rows: Embeddings, stored: bool = False) -> Embeddings:
        """The rows as a later look-up gives them, so that a fresh row equals a cached one."""
        kept = rows.astype(self._dtype)
        return kept if stored else kept.astype(np.float32)

    def _refresh(self) -> None:
        """Opens new segments, forgets removed ones; a damaged one is skipped with a warning, once."""
        present = {path.name: path for path in sorted(self._folder.glob(f"*{SUFFIX}"))}
        if present.keys() == self._segments.keys():
            return
        for gone in self._segments.keys() - present.keys():
            del self._segments[gone]
        for name in present.keys() - self._segments.keys():
            try:
                segment = open_segment(present[name])
                if segment.rows.shape[1] != self._dimensions:
                    raise DamagedSegmentError(
                        f"{segment.rows.shape[1]} columns instead of {self._dimensions}"
                    )
                self._segments[name] = segment
            except DamagedSegmentError as error:
                log.warning("embedding cache: segment %s is ignored: %s", name, error)
                self._segments[name] = None
            except FileNotFoundError:
                continue  # merged away by another process since the listing
        self._index = None

    def _indexed(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """First halves of all keys in order, and (segment, row) of each."""
        if self._index is None:
            segments = [segment for segment in self._segments.values() if segment is not None]
            keys = np.concatenate([s.keys[:, 0] for s in segments] or [np.zeros(0, np.uint64)])
            sizes = [len(s.keys) for s in segments]
            row = np.concatenate([np.arange(size) for size in sizes] or [np.zeros(0, np.int64)])
            place = np.stack([np.repeat(np.arange(len(sizes)), sizes), row], axis=1).astype(np.int64)
            order = np.argsort(keys, kind="stable")
            self._index = keys[order], place[order]
        return self._index

    def _merge_small(self) -> None:
        self._refresh()
        small = [s for s in self._segments.values() if s is not None and len(s.keys) < _SMALL_ROWS]
        if len(small) < _MERGE_FROM:
            return
        keys = np.concatenate([s.keys for s in small])
        rows = np.concatenate([s.rows for s in small])
        intact = np.concatenate([s.read(np.arange(len(s.keys)))[1] for s in small])
        _, once = np.unique(keys[intact], axis=0, return_index=True)
        write_segment(self._folder, keys[intact][once], rows[intact][once].astype(self._dtype))
        for segment in small:
            segment.path.unlink(missing_ok=True)


class CachedEncoder:
    """An encoder that asks the cache first; the model is loaded only when a text is new."""

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self._encoder = encoder
        self._cache = cache
        self.name = encoder.name

    @property
    def dimensions(self) -> int:
        """Columns of what `encode` returns."""
        return self._cache.dimensions

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """As the encoder, each new text once; saved every few thousand, so that a stop loses little."""
        hashes = [text_hash(text) for text in texts]
        rows, found = self._cache.lookup(hashes)
        if progress is not None and found.any():
            progress(int(found.sum()))
        missing: dict[str, list[int]] = {}
        for position in np.flatnonzero(~found):
            missing.setdefault(hashes[position], []).append(int(position))
        fresh = list(missing)
        for start in range(0, len(fresh), _SMALL_ROWS):
            part = fresh[start : start + _SMALL_ROWS]
            encoded = self._encoder.encode([texts[missing[name][0]] for name in part])
            self._cache.add(part, encoded)
            encoded = self._cache.rounded(encoded)
            for name, row in zip(part, encoded, strict=True):
                rows[missing[name]] = row
            if progress is not None:
                progress(sum(len(missing[name]) for name in part))
        return rows


def _keys(hashes: Sequence[str]) -> Keys:
    return np.frombuffer(bytes.fromhex("".join(hashes)), "<u8").reshape(len(hashes), 2)
