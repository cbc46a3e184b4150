"""What the rows of a review are called: rows of a file, or tasks of a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbering:
    """`numbers[i]` is the number that a person knows row i by; by default it is i itself."""

    unit: str = "row"
    numbers: Sequence[int] | None = None

    @property
    def told(self) -> str:
        """The heading of a column of numbers."""
        return f"{self.unit} (from 0)" if self.numbers is None else self.unit

    def of(self, row: int) -> int:
        """The row's number."""
        return row if self.numbers is None else self.numbers[row]


ROWS = Numbering()
