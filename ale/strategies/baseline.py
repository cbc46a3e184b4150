"""The yardstick: a random order."""

from __future__ import annotations

import numpy as np

from ale.types import Beliefs, Indices


def random_order(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """Distinct rows by lot; what every other strategy has to beat."""
    return rng.permutation(len(beliefs))[:batch].astype(np.int64)
