"""The rows of CSV, JSONL and Parquet files, one after the other, wherever fsspec reaches."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ale.errors import ConfigurationError, MissingExtra
from ale.io.index.inputs import InputFile, find_inputs
from ale.io.places import store_errors
from ale.scanner.texts import BadRow

Cells = Mapping[str, Any]
Numbered = tuple[int, Cells | BadRow]

csv.field_size_limit(2**31 - 1)  # a text may be a book
_BATCH = 1_000


def read_rows(
    url: str, needed: tuple[str, ...], heard: Callable[[int], None] | None = None
) -> Iterator[Numbered]:
    """Rows with their numbers, counted from 1 over all files; a line that is no row is given as the reason.

    `heard` is told how many more bytes of the files are done. ConfigurationError where a needed column lacks.
    """
    number = 0
    for file in find_inputs(url):
        try:
            for cells in _READERS[file.kind.format](file, needed, heard or (lambda _: None)):
                number += 1
                yield number, cells
        except store_errors(EOFError) as error:
            raise ConfigurationError(f"cannot read {file.path}: {error}") from error


def size_of(url: str) -> int:
    """Bytes of all files together, as they lie there."""
    return sum(file.size for file in find_inputs(url))


def _csv(file: InputFile, needed: tuple[str, ...], heard: Callable[[int], None]) -> Iterator[Cells | BadRow]:
    with _lines(file, heard) as lines:
        reader = csv.reader(lines, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) != len(header):
                raise ConfigurationError(
                    f"{file.path} has two columns of one name: {', '.join(map(repr, header))}"
                )
            _check(file, needed, header)
            for cells in reader:
                if len(cells) == len(header):
                    yield dict(zip(header, cells, strict=True))
                elif cells:
                    yield BadRow.CELLS
        except csv.Error as error:
            raise ConfigurationError(f"{file.path}, line {reader.line_num}: not CSV: {error}") from error


def _jsonl(
    file: InputFile, needed: tuple[str, ...], heard: Callable[[int], None]
) -> Iterator[Cells | BadRow]:
    seen: set[str] = set()
    rows = 0
    with _lines(file, heard) as lines:
        for line in lines:
            if not line.strip():
                continue
            rows += 1
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                yield BadRow.NOT_JSON
                continue
            if isinstance(row, dict):
                seen.update(row)
                yield row
            else:
                yield BadRow.NOT_AN_OBJECT
    if rows:
        _check(file, needed, sorted(seen))


def _parquet(
    file: InputFile, needed: tuple[str, ...], heard: Callable[[int], None]
) -> Iterator[Cells | BadRow]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(f"reading {file.path}", "parquet") from error
    try:
        with file.fs.open(file.path, "rb") as raw:
            table = parquet.ParquetFile(raw)
            _check(file, needed, table.schema_arrow.names)
            rows = max(1, table.metadata.num_rows)
            for batch in table.iter_batches(_BATCH):
                yield from batch.to_pylist()
                heard(file.size * len(batch) // rows)
    except pa.ArrowException as error:
        raise ConfigurationError(f"cannot read {file.path}: {error}") from error


_READERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}


@contextmanager
def _lines(file: InputFile, heard: Callable[[int], None]) -> Iterator[io.TextIOBase]:
    """Decoded lines. What is no UTF-8 becomes lone surrogates: the row is told from a good one by them."""
    with file.fs.open(file.path, "rb") as raw:
        counted = io.BufferedReader(_Counted(raw, heard), 1 << 16)
        with (
            _unpacked(file, counted) as plain,
            io.TextIOWrapper(plain, "utf-8-sig", errors="surrogateescape", newline="") as lines,
        ):
            yield lines


@contextmanager
def _unpacked(file: InputFile, raw: io.BufferedReader[Any]) -> Iterator[Any]:
    if file.kind.compression is None:
        yield raw
    elif file.kind.compression == "gzip":
        with gzip.GzipFile(fileobj=raw) as stream:
            yield stream
    else:
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingExtra(f"unpacking {file.path}", "parquet") from error
        with pa.CompressedInputStream(pa.PythonFile(raw, "r"), file.kind.compression) as stream:
            yield stream


class _Counted(io.RawIOBase):
    """Reads through, and tells how much."""

    def __init__(self, raw: Any, heard: Callable[[int], None]) -> None:
        self._raw, self._heard = raw, heard

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._heard(len(data))
        return len(data)


def _check(file: InputFile, needed: tuple[str, ...], present: list[str]) -> None:
    for name in needed:
        if name not in present:
            raise ConfigurationError(
                f"{file.path} has no column {name!r}; its columns: {', '.join(map(repr, present)) or 'none'}"
            )
