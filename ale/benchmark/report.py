"""From points to the report: the mean curve of each method, and how many labels a given accuracy costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.benchmark.curves import Point
from ale.metrics import area_under_curve


@dataclass(frozen=True, slots=True, eq=False)
class MeanCurve:
    """A method over its seeds: `accuracy` and `spread` (standard deviation over seeds) at each of `labels`."""

    labels: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    spread: NDArray[np.float64]
    macro_f1: NDArray[np.float64]
    ece: NDArray[np.float64]
    fit_seconds: NDArray[np.float64]
    seeds: int


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a benchmark found. `teacher` is None without one; `settings` is what is needed to repeat it."""

    dataset: str
    full_data_accuracy: float
    points: Sequence[Point]
    settings: Mapping[str, Any]
    teacher: Mapping[str, Any] | None = None
    notes: Sequence[str] = field(default=())

    @property
    def curves(self) -> dict[str, MeanCurve]:
        """Mean curves by method, in the order of the points."""
        return {name: mean_curve(self.points, name) for name in dict.fromkeys(p.method for p in self.points)}

    @property
    def all_notes(self) -> list[str]:
        """Notes on the data, and on curves that fall below 95 % of full data again after they reached it."""
        found = list(self.notes)
        for name, curve in self.curves.items():
            reached = np.flatnonzero(curve.accuracy >= 0.95 * self.full_data_accuracy)
            below = np.flatnonzero(curve.accuracy < 0.95 * self.full_data_accuracy)
            if len(reached) and len(below) and below[-1] > reached[0]:
                last = int(below[-1])
                found.append(
                    f"{name}: its n95 is where it first gets there; with {curve.labels[last]} labels it is below "
                    f"again ({curve.accuracy[last]:.3f})"
                )
        return found

    def as_json(self) -> dict[str, Any]:
        """The published layout; a number that does not exist (NaN) is null."""
        return {
            "dataset": self.dataset,
            "full_data_accuracy": self.full_data_accuracy,
            "settings": dict(self.settings),
            "notes": self.all_notes,
            "teacher": None if self.teacher is None else dict(self.teacher),
            "curves": [{k: _finite(v) for k, v in asdict(point).items()} for point in self.points],
            "summary": {
                name: summarise(curve, self.full_data_accuracy) for name, curve in self.curves.items()
            },
        }


def mean_curve(points: Sequence[Point], method: str) -> MeanCurve:
    """The mean over seeds at every number of labels."""
    mine = [point for point in points if point.method == method]
    labels = sorted({point.labels for point in mine})
    at = [[point for point in mine if point.labels == n] for n in labels]

    def mean(name: str) -> NDArray[np.float64]:
        return np.array([np.mean([getattr(point, name) for point in group]) for group in at])

    return MeanCurve(
        labels=np.array(labels, np.int64),
        accuracy=mean("accuracy"),
        spread=np.array([np.std([point.accuracy for point in group]) for group in at]),
        macro_f1=mean("macro_f1"),
        ece=mean("ece"),
        fit_seconds=mean("fit_seconds"),
        seeds=len({point.seed for point in mine}),
    )


def summarise(curve: MeanCurve, full: float) -> dict[str, Any]:
    """`n95`, `n90`: labels to 95 and 90 % of `full`, see `labels_needed`; `auc`: mean accuracy over the curve.

    `auc` starts at the first point that has a human label, so that methods with and without a teacher
    cover the same ground.
    """
    human = curve.labels > 0
    return {
        "n95": labels_needed(curve, 0.95 * full),
        "n90": labels_needed(curve, 0.90 * full),
        "auc": _finite(area_under_curve(curve.labels[human], curve.accuracy[human])),
        "accuracy_at": {str(n): _finite(float(a)) for n, a in zip(curve.labels, curve.accuracy, strict=True)},
    }


def labels_needed(curve: MeanCurve, wanted: float) -> float | str:
    """Labels at which the mean curve first reaches `wanted`, on the straight line between two budgets.

    `"> last"` when the last budget does not reach it; the first budget when that one does already.
    """
    reached = np.flatnonzero(curve.accuracy >= wanted)
    if not len(reached):
        return f"> {int(curve.labels[-1])}"
    first = int(reached[0])
    if first == 0:
        return float(curve.labels[0])
    below, above = curve.accuracy[first - 1], curve.accuracy[first]
    share = (wanted - below) / (above - below)
    return round(float(curve.labels[first - 1] + share * (curve.labels[first] - curve.labels[first - 1])), 1)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
