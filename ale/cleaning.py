"""Rows that are worth a person's time: with a text, and each text once. What is left out is reported row by row."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ale.near import NearDuplicates
from ale.scanner.texts import BadRow
from ale.text import normalise, storable, text_hash

EXACT, NEAR = "exact_duplicate", "near_duplicate"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that stays: its number in the file, counted from 1, its text as it will be shown, its other cells."""

    number: int
    text: str
    label: str
    cells: Mapping[str, Any]

    @property
    def text_hash(self) -> str:
        """As the engine names this text."""
        return text_hash(normalise(self.text) or "")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that does not stay, and why; `of` is the row that it repeats."""

    number: int
    reason: str
    of: int | None = None
    similarity: float | None = None
    other_label: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """The rows in their order, and those that were left out in theirs."""

    rows: Sequence[Row]
    left_out: Sequence[LeftOut]

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        return dict(Counter(one.reason for one in self.left_out))

    @property
    def other_labels(self) -> int:
        """Rows that repeat another one under another label: one of the two is wrong."""
        return sum(one.other_label for one in self.left_out)


@dataclass(slots=True)
class Cleaner:
    """Takes rows one by one. `near` is the least similarity of near duplicates; 0 looks for exact ones only."""

    text_column: str
    label_column: str | None = None
    near: float = 0.0
    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    _seen: dict[str, Row] = field(default_factory=dict)
    _near: NearDuplicates | None = None

    def __post_init__(self) -> None:
        self._near = NearDuplicates(self.near) if self.near else None

    def take(self, number: int, cells: Mapping[str, Any] | BadRow) -> None:
        """A row of the file, or why there is none."""
        if isinstance(cells, BadRow):
            self.left_out.append(LeftOut(number, cells))
            return
        text = clean_text(cells.get(self.text_column))
        if isinstance(text, BadRow):
            self.left_out.append(LeftOut(number, text))
            return
        given = cells.get(self.label_column) if self.label_column else None
        label = "" if given is None else str(given).strip()
        others = {
            name: cell for name, cell in cells.items() if name not in {self.text_column, self.label_column}
        }
        row = Row(number, text, label, others)
        if (same := self._seen.get(row.text_hash)) is not None:
            self._leave(row, EXACT, same, 1.0)
        elif self._near is not None and (found := self._near.find_or_add(text)) is not None:
            self._leave(row, NEAR, self.rows[found[0]], found[1])
        else:
            self.rows.append(row)
            self._seen[row.text_hash] = row

    def done(self) -> Cleaned:
        """All that was taken."""
        return Cleaned(self.rows, self.left_out)

    def _leave(self, row: Row, reason: str, of: Row, similarity: float) -> None:
        other = bool(row.label and of.label and row.label != of.label)
        self.left_out.append(LeftOut(row.number, reason, of.number, round(similarity, 3), other))


def clean(
    rows: Iterable[tuple[int, Mapping[str, Any] | BadRow]],
    text_column: str,
    label_column: str | None = None,
    near: float = 0.0,
) -> Cleaned:
    """All rows at once."""
    cleaner = Cleaner(text_column, label_column, near)
    for number, cells in rows:
        cleaner.take(number, cells)
    return cleaner.done()


def clean_text(value: object) -> str | BadRow:
    """The text as annotators will see it: NFC, no blanks around it, nothing cut; or why it is none."""
    if value is None:
        return BadRow.NULL
    if not isinstance(value, str):
        return BadRow.NOT_TEXT
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        return BadRow.BROKEN_UTF8
    text = unicodedata.normalize("NFC", storable(value.strip())).strip()
    return text or BadRow.NO_TEXT
