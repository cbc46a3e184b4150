"""The mean curve of each method, and how many labels a given accuracy costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.benchmark.points import Point
from ale.metrics import area_under_curve

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MeanCurve:
    """A method over its seeds: `accuracy` and `spread` (standard deviation over seeds) at each of `labels`.

    The columns of the audit are NaN without one. `each` are the curves of the seeds, in rows.
    """

    labels: NDArray[np.int64]
    accuracy: Column
    spread: Column
    macro_f1: Column
    ece: Column
    ece_by_luck: Column
    fit_seconds: Column
    learn_seconds: Column
    audited_ece: Column
    audited_ece_by_luck: Column
    audit_covers: Column
    seeds: int
    each: NDArray[np.float64]


def mean_curve(points: Sequence[Point], method: str) -> MeanCurve:
    """The mean over seeds at every number of labels."""
    mine = [point for point in points if point.method == method]
    labels = sorted({point.labels for point in mine})
    at = [[point for point in mine if point.labels == n] for n in labels]
    seeds = sorted({point.seed for point in mine})
    found = {(point.seed, point.labels): point.accuracy for point in mine}

    def mean(value: Callable[[Point], float]) -> Column:
        return np.array([np.mean([value(point) for point in group]) for group in at])

    return MeanCurve(
        labels=np.array(labels, np.int64),
        accuracy=mean(lambda p: p.accuracy),
        spread=np.array([np.std([point.accuracy for point in group]) for group in at]),
        macro_f1=mean(lambda p: p.macro_f1),
        ece=mean(lambda p: p.ece),
        ece_by_luck=mean(lambda p: p.ece_by_luck),
        fit_seconds=mean(lambda p: p.fit_seconds),
        learn_seconds=mean(lambda p: p.learn_seconds),
        audited_ece=mean(lambda p: math.nan if p.audit is None else p.audit.ece),
        audited_ece_by_luck=mean(lambda p: math.nan if p.audit is None else p.audit.ece_by_luck),
        audit_covers=mean(_covers),
        seeds=len(seeds),
        each=np.array([[found.get((seed, n), math.nan) for n in labels] for seed in seeds]),
    )


def summarise(curve: MeanCurve, full: float) -> dict[str, Any]:
    """`n95`, `n90`: labels to 95 and 90 % of `full`, see `labels_needed`; `auc`: mean accuracy over the curve.

    `auc` starts at the first point that has a human label, so that methods with and without a teacher
    cover the same ground. Seconds are those of the slowest budget. `audit_coverage` is the share of points
    whose interval from audit labels holds the accuracy on the test split.
    """
    human = curve.labels > 0
    found = {
        "n95": labels_needed(curve.labels, curve.accuracy, 0.95 * full),
        "n90": labels_needed(curve.labels, curve.accuracy, 0.90 * full),
        "auc": finite(area_under_curve(curve.labels[human], curve.accuracy[human])),
        "accuracy_at": _by_labels(curve, curve.accuracy),
        "n95_by_seed": [labels_needed(curve.labels, one, 0.95 * full) for one in curve.each],
        "ece_at": _by_labels(curve, curve.ece),
        "ece_by_luck_at": _by_labels(curve, curve.ece_by_luck),
        "fit_seconds": finite(float(curve.fit_seconds.max())),
        "learn_seconds": finite(float(curve.learn_seconds.max())),
    }
    if np.isfinite(curve.audited_ece).any():
        found["audited_ece_at"] = _by_labels(curve, curve.audited_ece)
        found["audited_ece_by_luck_at"] = _by_labels(curve, curve.audited_ece_by_luck)
        found["audit_coverage"] = finite(float(curve.audit_covers.mean()))
    return found


def labels_needed(labels: NDArray[np.int64], accuracy: Column, wanted: float) -> float | str:
    """Labels at which a curve first reaches `wanted`, on the straight line between two budgets.

    `"> last"` when the last budget does not reach it; the first budget when that one does already.
    """
    reached = np.flatnonzero(accuracy >= wanted)
    if not len(reached):
        return f"> {int(labels[-1])}"
    first = int(reached[0])
    if first == 0:
        return float(labels[0])
    below, above = accuracy[first - 1], accuracy[first]
    share = (wanted - below) / (above - below)
    return round(float(labels[first - 1] + share * (labels[first] - labels[first - 1])), 1)


def times_as_many(other: float | str, ours: float | str) -> float | str | None:
    """How many times our labels another method needs: a number, `"> x"` when it never gets there.

    None when we never get there, or need no label at all.
    """
    if isinstance(ours, str) or ours <= 0:
        return None
    if isinstance(other, str):
        return f"> {float(other.removeprefix('> ')) / ours:.2f}"
    return round(other / ours, 2)


def finite(value: Any) -> Any:
    """None for a number that does not exist, which JSON cannot say."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _covers(point: Point) -> float:
    audit = point.audit
    return math.nan if audit is None else float(audit.low <= point.accuracy <= audit.high)


def _by_labels(curve: MeanCurve, values: Column) -> dict[str, float | None]:
    return {str(n): finite(float(value)) for n, value in zip(curve.labels, values, strict=True)}
