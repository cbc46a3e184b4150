"""The review of a data set as files: JSON of all rows, a ranked table, and a page to read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ale.errors import ConfigurationError, MissingExtra

COLUMNS = ("row", "score", "flagged", "given_label", "suggested_label", "reason", "text")
WITH_CONSENSUS = (*COLUMNS[:5], "consensus_label", *COLUMNS[5:])


def write_review_json(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A list of all rows in the file's order."""
    _write(path, (json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n").encode())


def write_review_table(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS
) -> None:
    """Ranked rows as CSV or, for `.parquet`, as Parquet."""
    _write(path, _parquet(rows, columns) if path.suffix == ".parquet" else _csv(rows, columns))


def write_review_page(path: Path, page: str) -> None:
    """A page that needs no other file."""
    _write(path, page.encode())


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def _parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("a .parquet file", "parquet") from error
    kinds = {"row": pa.int64(), "task": pa.int64(), "score": pa.float64(), "flagged": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([{c: row[c] for c in columns} for row in rows], schema), file)
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error}") from error
