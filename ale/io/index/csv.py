"""CSV in and out: new cells behind records that stay as they are. The first record names the columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError
from ale.io.index.answers import Answers, Classify, Counts
from ale.io.index.blocks import Block, append_all, blocks_of, pack
from ale.io.index.csv_records import read_cells, record_ends
from ale.io.index.inputs import InputFile
from ale.io.index.source import Part, Task
from ale.io.index.splice import Piece, cells, confidences, joined, sets_of, slices
from ale.scanner.texts import BAD_ROWS, BadRow, Texts, reason_number

_CELLS = np.uint8(reason_number(BadRow.CELLS))


@dataclass(frozen=True, slots=True)
class _Header:
    """The first record as it stands, without its line end, and the names in it."""

    raw: bytes
    names: tuple[str, ...]


class CsvSource:
    """Blocks of records. A record with too many or too few cells is kept as the text of an otherwise empty one."""

    unit = "bytes"

    def __init__(self, files: list[InputFile], text_column: str, packed: str | None, *, bare: bool) -> None:
        self._files = files
        self._packed = packed
        self._bare = bare
        self.weight = sum(file.size for file in files)
        self._headers = [_header(file) for file in files]
        for file, header in zip(files, self._headers, strict=True):
            if text_column not in header.names:
                raise ConfigurationError(
                    f"{file.path} has no column {text_column!r}; its columns: "
                    f"{', '.join(map(repr, header.names))}"
                )
        if bare and len({header.names for header in self._headers}) > 1:
            raise ConfigurationError(
                "the input files have different columns: name a folder as output, it may hold several files"
            )

    def columns(self) -> set[str]:
        """Of all files."""
        return {name for header in self._headers for name in header.names}

    def plan(self) -> dict[str, Any]:
        """Blocks hang on the content alone."""
        return {}

    def parts(self, task: Task, done: Collection[str]) -> Iterator[Part]:
        """By file and block."""
        for number, (file, header) in enumerate(zip(self._files, self._headers, strict=True)):
            for block in blocks_of(file, _whole):
                name = f"{number:05d}-{block.number:06d}"
                work = None if name in done else partial(self._write, block, header, task)
                yield Part(name, block.read, work)

    def merge(self, paths: Sequence[str], fs: Any, task: Task, sink: BinaryIO) -> None:
        """The header, and the records of the bare parts behind it."""
        sink.write(pack(_first_line(self._headers[0], task), self._packed))
        append_all(paths, fs, sink)

    def _write(
        self,
        block: Block,
        header: _Header,
        task: Task,
        classify: Classify,
        sink: BinaryIO,
        heard: Callable[[int], None],
    ) -> Counts:
        counts = Counts()
        data = block.data
        starts, ends = _records(data, skip=int(block.number == 0))
        wanted = header.names.index(task.text_column)
        content, offsets, odd = read_cells(
            np.frombuffer(data, np.uint8), starts, ends, wanted, len(header.names)
        )
        found = classify(Texts(content, offsets, np.where(odd, _CELLS, 0).astype(np.uint8)))
        counts.count(found, task.labels)
        bodies = slices(data, starts, ends)
        if odd.any():
            bodies = _with_kept(bodies, odd, wanted, len(header.names))
        lines = _lines(bodies, found, task)
        first = b"" if self._bare else _first_line(header, task)
        sink.write(pack(first + lines, self._packed))
        heard(counts.rows)
        return counts


def _lines(bodies: Any, found: Answers, task: Task) -> bytes:
    labels = [*map(_quoted, task.labels), b""]
    reasons = [b"", *(str(reason).encode() for reason in BAD_ROWS)]
    return joined(
        [
            bodies,
            b",",
            cells(labels, np.where(found.best < 0, len(task.labels), found.best)),
            b",",
            confidences(found, b""),
            b"," + _quoted(task.model_version) + b",",
            cells(reasons, found.bad),
            *_sets(found, task),
            b"\n",
        ]
    )


def _sets(found: Answers, task: Task) -> list[Piece]:
    """The set as JSON in one cell: a label may hold any sign."""
    if found.sets is None:
        return []
    names, sizes = sets_of(found, lambda which: _quoted(json.dumps([task.labels[n] for n in which])), b"")
    return [b",", names, b",", cells([b"", b"false", b"true"], np.minimum(sizes, 2))]


def _with_kept(bodies: Any, odd: NDArray[np.bool_], wanted: int, columns: int) -> Any:
    import pyarrow as pa

    kept = bodies.to_pylist()
    for row in np.flatnonzero(odd):
        quoted = b'"' + kept[row].replace(b'"', b'""') + b'"'
        kept[row] = b"," * wanted + quoted + b"," * (columns - 1 - wanted)
    return pa.array(kept, pa.large_binary())


def _first_line(header: _Header, task: Task) -> bytes:
    return b",".join([header.raw, *map(_quoted, task.added.names)]) + b"\n"


def _quoted(cell: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([cell])
    return out.getvalue().encode()


def _header(file: InputFile) -> _Header:
    first = next(blocks_of(file, _whole), None)
    data = b"" if first is None else first.data
    starts, ends = _records(data, skip=0)
    if not len(starts):
        raise ConfigurationError(f"{file.path} is empty: a header is needed")
    raw = data[starts[0] : ends[0]]
    try:
        names, *more = csv.reader(io.StringIO(raw.decode(), newline=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{file.path}: the header is not CSV in UTF-8: {error}") from error
    if more:
        raise ConfigurationError(
            f"{file.path} ends its lines with a carriage return alone; write \\n or \\r\\n (`tr '\\r' '\\n'`)"
        )
    if len(set(names)) != len(names):
        raise ConfigurationError(f"{file.path} has two columns of one name: {', '.join(map(repr, names))}")
    return _Header(raw, tuple(names))


def _whole(data: bytes) -> int:
    ends = record_ends(np.frombuffer(data, np.uint8))
    return int(ends[-1]) if len(ends) else 0


def _records(data: bytes, skip: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the records start and end, without line ends, blank lines, and the first `skip`."""
    content = np.frombuffer(data, np.uint8)
    ends = record_ends(content)
    if not len(ends) or ends[-1] < len(data):
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    for mark in (b"\n", b"\r"):
        trailing = (
            (ends > starts) & (content[np.maximum(ends - 1, 0)] == ord(mark)) if len(data) else ends < 0
        )
        ends = ends - trailing
    kept = ends > starts
    return starts[kept][skip:], ends[kept][skip:]
