"""Prediction sets: all labels that may be right, so that the true one is among them as often as was asked for.

Split conformal prediction with the likeliest labels first (Sadinle, Lei and Wasserman, 2019): it holds whatever the
model is, for texts of the same kind as those that were held out, on average over all of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError
from ale.types import Probs


def set_threshold(probs: Probs, truth: NDArray[np.integer], coverage: float) -> float:
    """The probability from which a label belongs to the set, from held-out texts and their true labels.

    ConfigurationError where they are too few for this coverage.
    """
    if not 0.0 < coverage < 1.0:
        raise ConfigurationError(f"a coverage lies between 0 and 1, not at {coverage}")
    n = len(truth)
    # The true label of a new text is as likely to fall into any of the n + 1 gaps between those seen.
    kept = math.ceil((n + 1) * coverage - 1e-9)
    if kept > n:
        least = math.ceil(coverage / (1 - coverage) * (1 - 1e-9))
        raise ConfigurationError(
            f"a coverage of {coverage:g} takes at least {least:,} labelled texts that were held out; "
            f"the model has {n:,}"
        )
    right = np.sort(probs[np.arange(n), truth].astype(np.float64))[::-1]
    return float(right[kept - 1])


def prediction_sets(probs: Probs, threshold: float) -> NDArray[np.bool_]:
    """Shape (texts, labels). The likeliest label is always among them: an empty set would say nothing."""
    # A hair below: the threshold is one of the probabilities, and may be rounded otherwise elsewhere.
    found = probs >= threshold - 1e-6
    found[np.arange(len(probs)), probs.argmax(axis=1)] = True
    return np.asarray(found)
