"""What has to be said about curves that are not what their name promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ale.benchmark.points import Point
from ale.benchmark.tuned import WHY
from ale.students import DEFAULT_STUDENT


def untuned_notes(points: Sequence[Point]) -> list[str]:
    """A note per method that should have been tuned and at some points is the quick student alone: where, in how
    many seeds, and why. With no label at all there is nothing to tune on, which nobody has to be told.
    """
    found = []
    human = [point for point in points if point.tuned_share is not None and point.labels]
    for method in dict.fromkeys(point.method for point in human):
        mine = [point for point in human if point.method == method]
        parts = []
        for n in sorted({point.labels for point in mine}):
            here = [point for point in mine if point.labels == n]
            why = Counter(point.untuned for point in here if point.untuned)
            if why:
                said = ", ".join(WHY.get(reason, reason) for reason in why)
                parts.append(f"after {n} labels in {why.total()} of {len(here)} runs ({said})")
        if parts:
            found.append(
                f"{method} is the {DEFAULT_STUDENT} student without a tuned encoder {', '.join(parts)}"
            )
    return found
