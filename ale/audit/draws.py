"""Errors met while drawing from a finite pool without replacement: the hypergeometric law, in numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln


def chances(pool: ArrayLike, errors: ArrayLike, drawn: ArrayLike, met: ArrayLike) -> NDArray[np.float64]:
    """The chance to meet exactly `met` errors among `drawn` of a pool that holds `errors`; 0 where impossible.

    Shapes are broadcast together.
    """
    n, m, k, x = (np.asarray(part, np.int64) for part in np.broadcast_arrays(pool, errors, drawn, met))
    possible = (x >= 0) & (x <= m) & (x <= k) & (k - x <= n - m) & (m <= n) & (k <= n)
    n, m, k, x = (np.where(possible, part, 0) for part in (n, m, k, x))
    table = _log_factorials(1 << max(10, int(n.max(initial=1)).bit_length()))

    def log_choose(of: NDArray[np.int64], take: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(table[of] - table[take] - table[of - take])

    log = log_choose(m, x) + log_choose(n - m, k - x) - log_choose(n, k)
    return np.where(possible, np.exp(log), 0.0)


def at_most(pool: int, errors: int, drawn: int, met: int) -> float:
    """The chance to meet at most `met` errors."""
    return min(1.0, float(chances(pool, errors, drawn, np.arange(met + 1)).sum()))


@lru_cache(maxsize=4)
def _log_factorials(size: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(np.arange(size + 1) + 1.0))
