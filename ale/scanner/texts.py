"""Texts as the scanner reads them: one run of bytes and where each text starts, as Arrow keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray


class BadRow(StrEnum):
    """Why a row has no label. The row itself is kept."""

    NULL = "null"
    NOT_TEXT = "not_text"
    BROKEN_UTF8 = "broken_utf8"
    NO_TEXT = "no_text"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    CELLS = "wrong_number_of_cells"


BAD_ROWS = tuple(BadRow)
"""A reason's number is its place here, counted from 1; 0 is a good row."""


def reason_number(reason: BadRow) -> int:
    """The number that stands for a reason in arrays."""
    return BAD_ROWS.index(reason) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Text i is data[offsets[i]:offsets[i + 1]]; `known[i]` is why it is bad, as far as the reader knows."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    known: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> Self:
        """From Python strings; None is a bad row, a lone surrogate is broken UTF-8."""
        encoded = [b"" if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        null = np.uint8(reason_number(BadRow.NULL))
        known = np.array([null if text is None else 0 for text in texts], np.uint8)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets, known)
