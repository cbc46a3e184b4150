"""When more labels stop paying: the models have stopped changing, and the curve says that little is left.

Two conditions, both needed.

1. Stabilising predictions (Bloodgood and Vijay-Shanker, 2009): consecutive models, some labels apart, answer a
   fixed set of rows alike: Cohen's kappa, averaged over the last three comparisons, is at least 0.99. The set is the
   pool itself: it needs no label, and it is large. Rows that people have labelled by now are left out: a student
   repeats their labels. Accuracy cannot change by more than answers do (Bloodgood and Grothendieck, 2013).
2. The curve is flat: an inverse power law a - b * n^-c (Mukherjee et al., 2003), rising or falling, through the
   accuracies of the past models on the audit rows. All models are judged on the same rows, so the noise that they
   share cancels. Per hundred labels it is expected to gain less than half a point, and less than a whole one by the
   upper end of its interval, from drawing the audit rows again and again (bootstrap). A curve that is expected to
   lose half a point or more is no end either: something else went wrong, and that is said.

The first condition is the published rule. The second is added here: a veto, which seldom speaks when the first is met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices

APART = 25
"""Labels between two models that are compared."""

MATTERS = 0.01
"""A gain of a point: who stops is not to miss one."""

_ALIKE = 0.99
_WINDOW = 3
_SMALL = 0.005  # gain of the next hundred labels: two hundred then gain less than a point
_HIGH = MATTERS  # upper end of it: half a point delayed four of seven right stops by 50 to 200 labels
_AUDITED = 50  # fewer rows cannot tell a flat curve from a steep one
_POWERS = np.linspace(0.2, 1.5, 14)
_DRAWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A model of the past: how many labels it learnt from, and what it says of every pool row (-1 = nothing)."""

    labels: int
    said: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gain:
    """Accuracy that the next `labels` labels are expected to add, below 0 on a falling curve, with a 90 % interval."""

    labels: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to stop, and why, in words. `kappa` is the mean of the last comparisons, None before there are three."""

    stop: bool
    reason: str
    kappa: float | None
    gain: Gain | None


def judge(
    past: Sequence[Past],
    audited: Indices,
    truth: NDArray[np.int64],
    labels: int = 100,
    *,
    labelled: Indices | None = None,
) -> Verdict:
    """The verdict on the last of `past` (rising numbers of labels). `audited` rows have the label `truth`.

    `labelled` rows, which a model was told, do not count where models are compared.
    """
    apart = _spread(past)
    kappa = _stability(apart, labelled)
    gain = expected_gain(apart, audited, truth, labels)
    reason = _objection(kappa, gain, len(audited))
    if reason is None:
        reason = f"the models agree (kappa {kappa:.3f}) and {_words(gain)}"
        return Verdict(stop=True, reason=reason, kappa=kappa, gain=gain)
    return Verdict(stop=False, reason=reason, kappa=kappa, gain=gain)


def cohen_kappa(one: NDArray[np.integer], other: NDArray[np.integer]) -> float:
    """Agreement beyond chance, 1 = the same answers; 1 also where both know one answer only (Cohen, 1960)."""
    if not len(one):
        return float("nan")
    agreed = float(np.mean(one == other))
    names = np.union1d(one, other)
    by_chance = float(sum(np.mean(one == name) * np.mean(other == name) for name in names))
    return 1.0 if by_chance >= 1.0 else (agreed - by_chance) / (1.0 - by_chance)


def expected_gain(
    past: Sequence[Past], audited: Indices, truth: NDArray[np.int64], labels: int = 100, seed: int = 0
) -> Gain | None:
    """What the next `labels` labels should add to the accuracy; None with too few models or audit rows."""
    if len(past) <= _WINDOW or len(audited) < _AUDITED:
        return None
    sizes = np.array([one.labels for one in past], np.float64)
    right = np.stack([one.said[audited] == truth for one in past]).astype(np.float64)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(audited), np.full(len(audited), 1 / len(audited)), _DRAWS) / len(audited)
    gains = _gains(sizes, np.vstack([right.mean(axis=1), draws @ right.T]), labels)
    low, high = np.quantile(gains[1:], [0.05, 0.95])
    return Gain(labels, float(gains[0]), float(low), float(high))


def _objection(kappa: float | None, gain: Gain | None, audited: int) -> str | None:
    """What speaks against a stop."""
    if kappa is None:
        return f"fewer than {_WINDOW + 1} models so far that are {APART} labels apart"
    if not kappa >= _ALIKE:  # NaN where nothing is left to compare
        return f"the models still change (kappa {kappa:.3f}, {_ALIKE} is wanted)"
    if gain is None:
        return f"{audited} audit labels cannot tell what is left to gain, {_AUDITED} can"
    expected, high = (100 * share / gain.labels for share in (gain.expected, gain.high))
    if expected <= -_SMALL:
        return f"the accuracy falls: {_words(gain)}"
    return _words(gain) if expected >= _SMALL or high >= _HIGH else None


def _words(gain: Gain | None) -> str:
    if gain is None:
        return "the gain is not known"
    does = "gain" if gain.expected >= 0 else "lose"
    points = f"{100 * abs(gain.expected):.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    return f"the next {gain.labels} labels are expected to {does} {points}"


def _spread(past: Sequence[Past]) -> list[Past]:
    """The last model, and those before it that lie at least `APART` labels before the next one kept."""
    kept: list[Past] = []
    for one in reversed(past):
        if one.labels > 0 and (not kept or kept[-1].labels - one.labels >= APART):
            kept.append(one)
    return kept[::-1]


def _stability(apart: Sequence[Past], labelled: Indices | None) -> float | None:
    if len(apart) <= _WINDOW:
        return None
    last = apart[-_WINDOW - 1 :]
    if labelled is not None:
        last = [Past(one.labels, np.delete(one.said, labelled)) for one in last]
    return float(np.mean([cohen_kappa(a.said, b.said) for a, b in pairwise(last)]))


def _gains(sizes: NDArray[np.float64], curves: NDArray[np.float64], more: int) -> NDArray[np.float64]:
    """The gain after the last size for each curve (rows), by the best of the power laws, below 0 for falling ones."""
    best: NDArray[np.float64] = np.full(len(curves), np.inf)
    gains: NDArray[np.float64] = np.zeros(len(curves))
    weights = np.sqrt(sizes / sizes.sum())  # what happened last tells most about what comes next
    centred = curves - (curves @ weights / weights.sum())[:, None]
    for power in _POWERS:
        shape: NDArray[np.float64] = sizes ** -float(power)
        shape = shape - float(shape @ weights / weights.sum())
        slope = -(centred * weights) @ shape / ((weights * shape) @ shape)
        missed = ((centred + slope[:, None] * shape) ** 2) @ weights
        gain = slope * (sizes[-1] ** -power - (sizes[-1] + more) ** -power)
        better = missed < best - 1e-12
        best, gains = np.where(better, missed, best), np.where(better, gain, gains)
    return gains
