"""Who is in the audit reserve, and in which order its tasks are shown: a keyed hash of the task's id decides.

Nothing is kept. So every process comes to the same answer, a task that is imported later finds its place, and
no retrain moves one. A reserved task is never chosen for being useful: those that are shown first are a random
sample of all of them, and all of them are a random sample of the pool.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from ale.types import Scores

RESERVE = 0.25
"""Share of the pool that may be audited. It is no more than that, since an audit label trains nothing, and no
less, since a bound for two errors in a hundred takes hundreds of labels."""

_BITS = 53  # of a float: more would round up to 1


def place(key: str, ids: Iterable[int]) -> Scores:
    """A number in [0, 1) for every id, as if drawn: low = shown early, below `RESERVE` = reserved.

    `key` names the pool, so that the same ids in another one are another sample.
    """
    start = hashlib.blake2b(digest_size=8, key=hashlib.sha256(f"audit:{key}".encode()).digest())
    return np.array([_drawn(start, one) for one in ids], np.float64)


def _drawn(start: hashlib.blake2b, one: int) -> float:
    drawn = start.copy()
    drawn.update(str(int(one)).encode())
    return float((int.from_bytes(drawn.digest()) >> (64 - _BITS)) / 2**_BITS)
