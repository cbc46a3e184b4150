"""The names of the columns that are added, and what stands in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

WANTED = ("label", "confidence", "model_version", "reason")
WANTED_SETS = ("prediction_set", "abstain")
_SUFFIX = "_ale"
DIGITS = 4
"""Of a confidence: more would be noise, and would not let two runs be compared byte by byte."""


@dataclass(frozen=True, slots=True)
class Added:
    """The names in the output. `reason` says why a row has no label, and is empty for the others.

    With prediction sets there are two more: the labels that may be right, and whether they are more than one.
    """

    label: str
    confidence: str
    model_version: str
    reason: str
    prediction_set: str | None = None
    abstain: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the columns."""
        always = self.label, self.confidence, self.model_version, self.reason
        if self.prediction_set is None or self.abstain is None:
            return always
        return *always, self.prediction_set, self.abstain


def wanted(*, sets: bool) -> tuple[str, ...]:
    """The names as they are where none is taken."""
    return (*WANTED, *WANTED_SETS) if sets else WANTED


def name_columns(taken: Collection[str], *, sets: bool = False) -> Added:
    """The wanted names, each with a suffix where the input has a column of that name."""
    return Added(*(free_name(name, taken) for name in wanted(sets=sets)))


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, else `name_ale`, else `name_ale2` and so on."""
    if name not in taken:
        return name
    name, number = f"{name}{_SUFFIX}", 1
    while (found := name if number == 1 else f"{name}{number}") in taken:
        number += 1
    return found
