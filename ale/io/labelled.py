"""The data of `ale fit` and `ale export --for-index`: texts, with labels or without, from a CSV, JSONL or Parquet file that fits into the memory."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ale.errors import ConfigurationError, MissingExtra
from ale.io.tables import read_table
from ale.text import normalise


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Normalised texts; a label is empty where there is none. `left_out` rows had no text."""

    texts: list[str]
    labels: list[str]
    left_out: int


def read_labelled(path: Path, text_column: str, label_column: str) -> LabelledTexts:
    """The rows of the file that have a text. ConfigurationError for what cannot be read."""
    columns = _columns(path, (text_column, label_column))
    texts, labels = [], []
    for text, label in zip(*columns, strict=True):
        read = normalise(text)
        if read is not None:
            texts.append(read)
            labels.append("" if label is None else str(label).strip())
    if not texts:
        raise ConfigurationError(f"{path} has no row with a text in column {text_column!r}")
    return LabelledTexts(texts, labels, len(columns[0]) - len(texts))


def read_texts(path: Path, text_column: str) -> list[str]:
    """The texts of the file, normalised; rows without one are left out. ConfigurationError as above."""
    (column,) = _columns(path, (text_column,))
    return [text for text in map(normalise, column) if text is not None]


def _columns(path: Path, names: Sequence[str]) -> list[list[Any]]:
    plain = path.name.removesuffix(".gz")
    if plain.endswith(".csv"):
        table = read_table(path)
        return [list(table.column(name)) for name in names]
    if plain.endswith((".jsonl", ".ndjson")):
        return _of_lines(path, names)
    if path.suffix in {".parquet", ".pq"}:
        return _of_parquet(path, names)
    raise ConfigurationError(f"{path} is none of .csv, .csv.gz, .jsonl, .jsonl.gz and .parquet")


def _of_lines(path: Path, names: Sequence[str]) -> list[list[Any]]:
    found: list[list[Any]] = [[] for _ in names]
    try:
        raw = path.read_bytes()
        lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"{path}, line {number}: not an object")
        seen |= row.keys()
        for column, name in zip(found, names, strict=True):
            column.append(row.get(name))
    _check_present(path, names, sorted(seen))
    return found


def _of_parquet(path: Path, names: Sequence[str]) -> list[list[Any]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(f"reading {path.name}", "index") from error
    try:
        schema = parquet.read_schema(path)
        _check_present(path, names, schema.names)
        table = parquet.read_table(path, columns=list(dict.fromkeys(names)))
        return [table.column(name).to_pylist() for name in names]
    except (pa.ArrowException, OSError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _check_present(path: Path, names: Sequence[str], present: Sequence[str]) -> None:
    for name in names:
        if name not in present:
            raise ConfigurationError(
                f"{path.name} has no column {name!r}; its columns: {', '.join(map(repr, present))}"
            )
