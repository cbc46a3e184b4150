"""The finished data set as a file, in the formats of `ale finish`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ale.errors import MissingExtra
from ml_backend.export import csv_of, jsonl
from ml_backend.finishing import COLUMNS

Row = dict[str, Any]


def _csv(rows: list[Row]) -> bytes:
    return csv_of(rows, COLUMNS).encode()


def _jsonl(rows: list[Row]) -> bytes:
    return jsonl(rows).encode()


def _parquet(rows: list[Row]) -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("--format parquet", "parquet") from error
    # Named here: a column of which all cells are empty would have no type.
    kinds = {"task": pa.int64(), "confidence": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema), file)
    return file.getvalue()


WRITERS: dict[str, Callable[[list[Row]], bytes]] = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
"""Formats by name, which is also the file's suffix."""
