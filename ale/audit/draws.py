"""Errors met while drawing from a finite pool without replacement: the hypergeometric law, in numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln


def log_choose(of: ArrayLike, take: ArrayLike) -> NDArray[np.float64]:
    """The logarithm of the number of ways to take some of some things; minus infinity where there is none."""
    n, k = np.asarray(of, np.int64), np.asarray(take, np.int64)
    possible = (k >= 0) & (k <= n)
    n, k = np.where(possible, n, 0), np.where(possible, k, 0)
    table = _log_factorials(1 << max(10, int(n.max(initial=1)).bit_length()))
    return np.where(possible, table[n] - table[k] - table[n - k], -np.inf)


def chances(pool: ArrayLike, errors: ArrayLike, drawn: ArrayLike, met: ArrayLike) -> NDArray[np.float64]:
    """The chance to meet exactly `met` errors among `drawn` of a pool that holds `errors`; 0 where impossible.

    Shapes are broadcast together.
    """
    n, m, k, x = (np.asarray(part, np.int64) for part in (pool, errors, drawn, met))
    ways = log_choose(n, k)
    log = log_choose(m, x) + log_choose(n - m, k - x) - np.where(np.isinf(ways), 0.0, ways)
    return np.asarray(np.exp(log))


def at_most(pool: int, errors: int, drawn: int, met: int) -> float:
    """The chance to meet at most `met` errors."""
    return min(1.0, float(chances(pool, errors, drawn, np.arange(met + 1)).sum()))


@lru_cache(maxsize=4)
def _log_factorials(size: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(np.arange(size + 1) + 1.0))
