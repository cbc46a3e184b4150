"""The names of the columns that are added, and what stands in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

WANTED = ("label", "confidence", "model_version", "reason")
_SUFFIX = "_ale"
DIGITS = 4
"""Of a confidence: more would be noise, and would not let two runs be compared byte by byte."""


@dataclass(frozen=True, slots=True)
class Added:
    """The names in the output. `reason` says why a row has no label, and is empty for the others."""

    label: str
    confidence: str
    model_version: str
    reason: str

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return self.label, self.confidence, self.model_version, self.reason


def name_columns(taken: Collection[str]) -> Added:
    """The wanted names, each with a suffix where the input has a column of that name."""
    return Added(*(free_name(name, taken) for name in WANTED))


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, else `name_ale`, else `name_ale2` and so on."""
    if name not in taken:
        return name
    name, number = f"{name}{_SUFFIX}", 1
    while (found := name if number == 1 else f"{name}{number}") in taken:
        number += 1
    return found
