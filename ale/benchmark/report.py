"""What a benchmark found, and the layout in which it is published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ale.benchmark.curves import DEFAULT
from ale.benchmark.notes import untuned_notes
from ale.benchmark.points import Point
from ale.benchmark.summary import MeanCurve, finite, mean_curve, summarise, times_as_many
from ale.reliability import Reliability
from ale.students import DEFAULT_STUDENT

JUDGED = (200, 500)
"""Numbers of labels at which calibration is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class MeanBins:
    """Reliability of `ale` over the seeds, bin by bin; `spread` is the standard deviation of `accuracy`."""

    confidence: list[float]
    accuracy: list[float]
    spread: list[float]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a benchmark found. `teacher` is None without one; `settings` is what is needed to repeat it.

    `yardstick` is the student whose accuracy on all gold labels `full_data_accuracy` is. `finished` is false while
    curves are missing: those that there are, are whole.
    """

    dataset: str
    full_data_accuracy: float
    points: Sequence[Point]
    settings: Mapping[str, Any]
    teacher: Mapping[str, Any] | None = None
    notes: Sequence[str] = field(default=())
    finished: bool = True
    yardstick: str = DEFAULT_STUDENT

    @property
    def curves(self) -> dict[str, MeanCurve]:
        """Mean curves by method, in the order of the points."""
        return {name: mean_curve(self.points, name) for name in dict.fromkeys(p.method for p in self.points)}

    @property
    def all_notes(self) -> list[str]:
        """Notes on the data, on curves that are missing or not what their name says, and on those that fall below
        95 % of full data again.
        """
        found = list(self.notes)
        curves = self.curves
        if not self.finished:
            seeds = ", ".join(f"{name} {curve.seeds}" for name, curve in curves.items())
            found.append(f"the run was cut off: seeds so far: {seeds or 'none'}")
        found += untuned_notes(self.points)
        for name, curve in curves.items():
            reached = np.flatnonzero(curve.accuracy >= 0.95 * self.full_data_accuracy)
            below = np.flatnonzero(curve.accuracy < 0.95 * self.full_data_accuracy)
            if len(reached) and len(below) and below[-1] > reached[0]:
                last = int(below[-1])
                found.append(
                    f"{name}: its n95 is where it first gets there; with {curve.labels[last]} labels it is below "
                    f"again ({curve.accuracy[last]:.3f})"
                )
        return found

    @property
    def standard_error(self) -> float:
        """What the size of the test split alone leaves open in the full-data accuracy: half the width of Wilson's
        interval for one standard error, which is not 0 where all of a few texts are right.
        """
        share, rows = self.full_data_accuracy, max(1, int(self.settings["test"]))
        return math.sqrt(share * (1 - share) / rows + 1 / (4 * rows**2)) / (1 + 1 / rows)

    @property
    def covered(self) -> tuple[int, int]:
        """At how many points of `ale` the audit's interval holds the accuracy on the test split, and of how many."""
        audits = [(p.accuracy, p.audit) for p in self.points if p.method == DEFAULT and p.audit is not None]
        return sum(audit.low <= accuracy <= audit.high for accuracy, audit in audits), len(audits)

    @property
    def ratios(self) -> dict[str, dict[str, float | str | None]]:
        """Per peer how many times the labels of `ale` it needs, by `n95` and `n90`; see `times_as_many`."""
        summary = self._summary()
        peers = [method["name"] for method in self.settings.get("methods", []) if method["peer"]]
        return {
            peer: {
                need: times_as_many(summary[peer][need], summary[DEFAULT][need]) for need in ("n95", "n90")
            }
            for peer in peers
            if peer in summary and DEFAULT in summary
        }

    @property
    def judged(self) -> list[int]:
        """The budgets nearest to 200 and 500."""
        return sorted({self._nearest(wanted) for wanted in JUDGED})

    def stands_for(self, labels: int) -> str:
        """What a judged budget is the nearest to, in brackets; empty where it is that itself."""
        meant = [str(wanted) for wanted in JUDGED if self._nearest(wanted) == labels]
        return "" if str(labels) in meant else f" (the nearest budget to {' and '.join(meant)})"

    def _nearest(self, wanted: int) -> int:
        budgets: list[int] = self.settings["budgets"]
        return min(budgets, key=lambda n: (abs(n - wanted), n))

    def reliability(self, labels: int, *, audited: bool) -> MeanBins | None:
        """How `ale` is calibrated after `labels` labels; None without points, or without an audit if `audited`."""
        mine = [p for p in self.points if p.method == DEFAULT and p.labels == labels]
        found = [_bins(point, audited=audited) for point in mine]
        known = [one for one in found if one is not None]
        if not known:
            return None
        accuracy = np.array([one.accuracy for one in known])
        return MeanBins(
            np.mean([one.confidence for one in known], axis=0).tolist(),
            accuracy.mean(axis=0).tolist(),
            accuracy.std(axis=0).tolist(),
        )

    def as_json(self) -> dict[str, Any]:
        """The published layout; a number that does not exist (NaN) is null."""
        return {
            "dataset": self.dataset,
            "full_data_accuracy": self.full_data_accuracy,
            "yardstick": self.yardstick,
            "finished": self.finished,
            "settings": dict(self.settings),
            "notes": self.all_notes,
            "teacher": None if self.teacher is None else dict(self.teacher),
            "curves": [_point(point) for point in self.points],
            "summary": self._summary(),
            "labels_compared_with_ale": self.ratios,
            "reliability": [
                {"seed": p.seed, "labels": p.labels, "audited": audited, **asdict(bins)}
                for p in self.points
                if p.method == DEFAULT
                for audited in (False, True)
                if (bins := _bins(p, audited=audited)) is not None
            ],
        }

    def _summary(self) -> dict[str, dict[str, Any]]:
        return {name: summarise(curve, self.full_data_accuracy) for name, curve in self.curves.items()}


def _bins(point: Point, *, audited: bool) -> Reliability | None:
    if not audited:
        return point.bins
    return None if point.audit is None else point.audit.bins


def _point(point: Point) -> dict[str, Any]:
    """A point without its bins, which stand apart; what concerns a tuning only where there should be one."""
    apart = {"bins", "audit"} | ({"tuned_share", "untuned"} if point.tuned_share is None else set())
    told = {name: finite(value) for name, value in asdict(point).items() if name not in apart}
    if point.audit is not None:
        told["audit"] = {name: value for name, value in asdict(point.audit).items() if name != "bins"}
    return told
