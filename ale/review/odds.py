"""Chances as log odds and back: sums of evidence are made there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EDGE = 1e-9  # from 0 and 1, where log odds have no end
_MOST = 700.0  # the exponential of more is no number


def log_odds(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite for 0 and 1, too."""
    safe = np.clip(chance, _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(safe) - np.log1p(-safe), np.float64)


def chances(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """In [0, 1], of log odds of any size."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -_MOST, _MOST))), np.float64)
