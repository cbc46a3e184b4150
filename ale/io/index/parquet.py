"""Parquet in, Parquet out: row groups are read, labelled and written without a Python string.

Each column keeps its type and its compression. The text is written without a dictionary, which seldom pays for
texts and costs as much as all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray
from pyarrow import parquet

from ale.errors import ConfigurationError
from ale.io.index.answers import Answers, Classify, Counts
from ale.io.index.arrow_texts import is_text, texts_of
from ale.io.index.columns import DIGITS
from ale.io.index.inputs import InputFile
from ale.io.index.source import Part, Task
from ale.scanner.texts import BAD_ROWS

ROWS_PER_PART = 1 << 17
"""Small row groups are joined up to this; a larger one is a part of its own."""
_BYTES_AT_ONCE = 32 << 20
_MOST_ROWS_AT_ONCE = 1 << 16
_LEAST_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class _Groups:
    """Row groups [first, end) of a file."""

    first: int
    end: int
    rows: int


class ParquetSource:
    """All files must hold the text column; other columns may differ from file to file."""

    unit = "rows"

    def __init__(self, files: list[InputFile], text_column: str, *, one: bool) -> None:
        self._files = files
        self._schemas: list[pa.Schema] = []
        self._groups: list[list[_Groups]] = []
        for file in files:
            with _opened(file) as opened:
                _check(file, opened.schema_arrow, text_column)
                self._schemas.append(opened.schema_arrow)
                self._groups.append(_joined(opened.metadata))
        if one and not all(schema.equals(self._schemas[0]) for schema in self._schemas):
            raise ConfigurationError(
                "the input files have different columns: name a folder as output, it may hold several files"
            )
        self.weight = sum(group.rows for groups in self._groups for group in groups)

    def columns(self) -> set[str]:
        """Of all files."""
        return {name for schema in self._schemas for name in schema.names}

    def plan(self) -> dict[str, Any]:
        """The cut into parts."""
        return {"rows_per_part": ROWS_PER_PART}

    def parts(self, task: Task, done: Collection[str]) -> Iterator[Part]:
        """By file and first row group."""
        for number, (file, groups) in enumerate(zip(self._files, self._groups, strict=True)):
            for group in groups:
                name = f"{number:05d}-{group.first:06d}"
                yield Part(name, group.rows, None if name in done else partial(_write, file, group, task))

    def merge(self, paths: Sequence[str], fs: Any, task: Task, sink: BinaryIO) -> None:
        """One file from parts, in order, a row group at a time."""
        writer: parquet.ParquetWriter | None = None
        try:
            for path in paths:
                with fs.open(path, "rb") as opened, parquet.ParquetFile(opened) as part:
                    if writer is None:
                        schema = part.schema_arrow
                        writer = parquet.ParquetWriter(sink, schema, **_layout(part.metadata))
                    for group in range(part.num_row_groups):
                        writer.write_table(part.read_row_group(group))
        finally:
            if writer is not None:
                writer.close()


def _opened(file: InputFile) -> parquet.ParquetFile:
    source = file.path if isinstance(file.fs, LocalFileSystem) else file.fs.open(file.path, "rb")
    try:
        # Pages are read one after the other: a row group larger than the memory is no obstacle.
        return parquet.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise ConfigurationError(f"cannot read {file.path} as Parquet: {error}") from error


def _check(file: InputFile, schema: pa.Schema, text_column: str) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise ConfigurationError(
            f"{file.path} has two columns of one name: {', '.join(map(repr, schema.names))}"
        )
    if text_column not in schema.names:
        raise ConfigurationError(
            f"{file.path} has no column {text_column!r}; its columns: {', '.join(map(repr, schema.names))}"
        )
    kind = schema.field(text_column).type
    if not is_text(kind):
        raise ConfigurationError(f"column {text_column!r} of {file.path} holds {kind}, not text")


def _joined(metadata: Any) -> list[_Groups]:
    found: list[_Groups] = []
    first = rows = 0
    for group in range(metadata.num_row_groups):
        more = metadata.row_group(group).num_rows
        if group > first and rows + more > ROWS_PER_PART:
            found.append(_Groups(first, group, rows))
            first, rows = group, 0
        rows += more
    return [*found, _Groups(first, metadata.num_row_groups, rows)]


def _write(
    file: InputFile,
    groups: _Groups,
    task: Task,
    classify: Classify,
    sink: BinaryIO,
    heard: Callable[[int], None],
) -> Counts:
    counts = Counts()
    with _opened(file) as opened:
        schema = _with_answers(opened.schema_arrow, task)
        layout = _layout(opened.metadata, task)
        with parquet.ParquetWriter(sink, schema, **layout) as writer:
            for batch in _batches(file, opened, groups):
                found = classify(texts_of(batch.column(task.text_column)))
                counts.count(found, task.labels)
                columns = [*batch.columns, *_answer_columns(found, task)]
                writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=len(batch) or None)
                heard(len(batch))
    return counts


def _batches(file: InputFile, opened: parquet.ParquetFile, groups: _Groups) -> Iterator[Any]:
    size = _rows_at_once(opened.metadata, groups)
    try:
        yield from opened.iter_batches(size, row_groups=range(groups.first, groups.end), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ConfigurationError(
            f"cannot read row groups {groups.first} to {groups.end - 1} of {file.path}: {error}"
        ) from error


def _rows_at_once(metadata: Any, groups: _Groups) -> int:
    size = sum(metadata.row_group(group).total_byte_size for group in range(groups.first, groups.end))
    return int(np.clip(_BYTES_AT_ONCE * groups.rows // max(1, size), _LEAST_ROWS_AT_ONCE, _MOST_ROWS_AT_ONCE))


def _with_answers(schema: pa.Schema, task: Task) -> pa.Schema:
    added = task.added
    schema = schema.append(pa.field(added.label, pa.string()))
    schema = schema.append(pa.field(added.confidence, pa.float32()))
    schema = schema.append(pa.field(added.model_version, pa.string()))
    schema = schema.append(pa.field(added.reason, pa.string()))
    if added.prediction_set is not None:
        schema = schema.append(pa.field(added.prediction_set, pa.list_(pa.string())))
        schema = schema.append(pa.field(added.abstain, pa.bool_()))
    return schema


def _layout(metadata: Any, task: Task | None = None) -> dict[str, Any]:
    """Compression by column as in the input, and dictionaries where the input has them."""
    added = () if task is None else task.added.names
    compression: dict[str, str] = dict.fromkeys(added, "snappy")
    words = list(added)
    plain = None if task is None else task.text_column
    if metadata.num_row_groups:
        group = metadata.row_group(0)
        for number in range(group.num_columns):
            column = group.column(number)
            path = column.path_in_schema
            compression[path] = "none" if column.compression == "UNCOMPRESSED" else column.compression.lower()
            if column.has_dictionary_page and path != plain:
                words.append(path)
    return {"compression": compression or "snappy", "use_dictionary": words, "store_schema": True}


def _answer_columns(found: Answers, task: Task) -> list[pa.Array]:
    bad = found.bad != 0
    labels = pa.DictionaryArray.from_arrays(
        pa.array(found.best, mask=bad), pa.array(task.labels, pa.string())
    ).cast(pa.string())
    confidence = pa.array(np.round(found.confidence, DIGITS), pa.float32(), mask=bad)
    version = pa.repeat(pa.scalar(task.model_version), len(bad))
    columns = [labels, confidence, version, _reasons(found.bad)]
    return columns if found.sets is None else [*columns, *_set_columns(found.sets, bad, task)]


def _set_columns(sets: NDArray[np.bool_], bad: NDArray[np.bool_], task: Task) -> list[pa.Array]:
    sizes = sets.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    members = pa.DictionaryArray.from_arrays(
        pa.array(np.nonzero(sets)[1].astype(np.int32)), pa.array(task.labels, pa.string())
    ).cast(pa.string())
    lists = pa.ListArray.from_arrays(pa.array(offsets), members, mask=pa.array(bad))
    return [lists, pa.array(sizes > 1, mask=bad)]


def _reasons(bad: NDArray[np.uint8]) -> pa.Array:
    if not bad.any():
        return pa.nulls(len(bad), pa.string())
    numbers = pa.array(bad.astype(np.int32) - 1, mask=bad == 0)
    return pa.DictionaryArray.from_arrays(numbers, pa.array([str(r) for r in BAD_ROWS])).cast(pa.string())
