"""Records end where Python's reader has them end, in files that keep to the rules and in those that do not."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ale.io.index.csv_records import read_cells, record_ends


def cells_of(text: str, columns: int) -> list[list[str] | None]:
    """Per record its cells, None where they are not so many or a quote is never closed."""
    data = np.frombuffer(text.encode(), np.uint8)
    ends = record_ends(data)
    if not len(ends) or ends[-1] < len(data):
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    stops = np.array([end - text[start:end].endswith("\n") for start, end in zip(starts, ends, strict=True)])
    kept = stops > starts
    read = [read_cells(data, starts[kept], stops[kept], wanted, columns) for wanted in range(columns)]
    return [
        None
        if read[0][2][row]
        else [cells[offsets[row] : offsets[row + 1]].tobytes().decode() for cells, offsets, _ in read]
        for row in range(int(kept.sum()))
    ]


@given(st.text(alphabet='ab," \n', min_size=1, max_size=60))
def test_as_python_reads(text: str) -> None:
    """The same records, and the same cells where their number is right."""
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    found = cells_of(text, 2)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine is None or mine == theirs
        assert mine is not None or len(theirs) != 2 or '"' in text


@pytest.mark.parametrize("odd", ['10,"He said "so""', '10,"a"b"c', '10,""a"'])
def test_an_odd_quote_ends_with_its_record(odd: str) -> None:
    """It does not swallow the rest of the file."""
    assert len(cells_of(f"1,x\n{odd}\n3,y\n4,z\n", 2)) == 4
