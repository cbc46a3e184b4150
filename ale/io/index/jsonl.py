"""JSON lines in and out: the new fields are put behind the last field of a line that stays as it is.

Arrow reads the text out of a block. Where it cannot, a line is no JSON or its text no text: then Python reads the
block line by line and says which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import json as arrow_json

from ale.errors import ConfigurationError
from ale.io.index.answers import Answers, Classify, Counts
from ale.io.index.arrow_texts import texts_of
from ale.io.index.blocks import append_all, blocks_of, pack
from ale.io.index.columns import Added, free_name
from ale.io.index.inputs import InputFile
from ale.io.index.json_lines import one_object_each
from ale.io.index.source import Part, Task
from ale.io.index.splice import Piece, cells, confidences, joined, sets_of, slices
from ale.scanner.texts import BAD_ROWS, BadRow, Texts, reason_number

_LOOKED_AT = 1_000  # lines from which the names of fields are taken
_RAW = "raw"
"""The field that holds a line which is no JSON object."""


class JsonlSource:
    """Blocks of lines; blank lines are no records."""

    unit = "bytes"

    def __init__(self, files: list[InputFile], text_column: str, packed: str | None) -> None:
        self._files = files
        self._packed = packed
        self.weight = sum(file.size for file in files)
        self._columns: set[str] = set()
        for file in files:
            found = _first_fields(file)
            if found and text_column not in found:
                raise ConfigurationError(
                    f"none of the first {_LOOKED_AT:,} lines of {file.path} has a field {text_column!r}; "
                    f"their fields: {', '.join(map(repr, sorted(found)))}"
                )
            self._columns |= found

    def columns(self) -> set[str]:
        """Fields of the first lines of each file; a line further down that has a new one keeps it all the same."""
        return self._columns

    def plan(self) -> dict[str, Any]:
        """Blocks hang on the content alone."""
        return {}

    def parts(self, task: Task, done: Collection[str]) -> Iterator[Part]:
        """By file and block."""
        for number, file in enumerate(self._files):
            for block in blocks_of(file, _whole):
                name = f"{number:05d}-{block.number:06d}"
                work = None if name in done else partial(self._write, block.data, task)
                yield Part(name, block.read, work)

    def merge(self, paths: Sequence[str], fs: Any, task: Task, sink: BinaryIO) -> None:
        """Lines behind lines; packed files may stand one behind the other."""
        append_all(paths, fs, sink)

    def _write(
        self, data: bytes, task: Task, classify: Classify, sink: BinaryIO, heard: Callable[[int], None]
    ) -> Counts:
        counts = Counts()
        starts, ends = _lines(data)
        texts = _texts(data, starts, ends, task)
        lines: bytes
        if texts is not None:
            found = classify(texts)
            lines = _quickly(data, starts, ends, found, task)
        else:
            values = [_parsed(data[start:end]) for start, end in zip(starts, ends, strict=True)]
            found = classify(_texts_of_values(values, task.text_column))
            lines = _slowly(data, starts, ends, values, found, task)
        counts.count(found, task.labels)
        sink.write(pack(lines, self._packed))
        heard(counts.rows)
        return counts


def _first_fields(file: InputFile) -> set[str]:
    first = next(blocks_of(file, _whole), None)
    lines = islice([] if first is None else first.data.splitlines(), _LOOKED_AT)
    values = (_parsed(line) for line in lines)
    return {field for value in values if isinstance(value, dict) for field in value}


def _whole(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def _lines(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the lines start and end, without line ends and blank lines; spaces around a line are left out."""
    content = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(content == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
    ends = ends.astype(np.int64)
    for _ in range(4):  # mostly one carriage return
        odd = (ends > starts) & (content[np.maximum(ends - 1, 0)] <= ord(" "))
        if not odd.any():
            break
        ends = ends - odd
    # Lines with still more spaces behind them are rare, and trimmed one by one.
    for row in np.flatnonzero((ends > starts) & (content[np.maximum(ends - 1, 0)] <= ord(" "))):
        ends[row] = starts[row] + len(data[starts[row] : ends[row]].rstrip())
    kept = ends > starts
    return starts[kept], ends[kept]


def _texts(data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], task: Task) -> Texts | None:
    """The texts as Arrow reads them; None where a line is not as it should be, or has a field of our names."""
    # Arrow reads on over the end of a line, and two objects in one.
    if not one_object_each(np.frombuffer(data, np.uint8), starts, ends):
        return None
    if any(json.dumps(name).encode() in data for name in task.added.names):
        return None
    if not len(starts):
        return Texts.of([])
    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=pa.schema([(task.text_column, pa.string())]),
                unexpected_field_behavior="ignore",
            ),
        )
    except pa.ArrowException:
        return None  # read again line by line, which finds the one at fault
    if len(table) != len(starts):
        return None
    return texts_of(table.column(0).combine_chunks())


def _texts_of_values(values: Sequence[Any], text_column: str) -> Texts:
    texts: list[str | None] = []
    known: list[int] = []
    for value in values:
        text = value.get(text_column) if isinstance(value, dict) else None
        reason = (
            BadRow.NOT_JSON
            if value is _BROKEN
            else BadRow.NOT_AN_OBJECT
            if not isinstance(value, dict)
            else BadRow.NOT_TEXT
            if text is not None and not isinstance(text, str)
            else None
        )
        texts.append(text if isinstance(text, str) else None)
        known.append(0 if reason is None else reason_number(reason))
    found = Texts.of(texts)
    told = np.array(known, np.uint8)
    return Texts(found.data, found.offsets, np.where(told, told, found.known))


_BROKEN = object()


def _parsed(line: bytes) -> Any:
    try:
        # No number is looked at; as whole ones some are longer than Python reads.
        return json.loads(line.decode("utf-8", "surrogateescape"), parse_int=float)
    except (ValueError, RecursionError):
        return _BROKEN


def _quickly(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], found: Answers, task: Task
) -> bytes:
    """All lines at once: the line without its brace, the new fields, a brace."""
    added = task.added
    labels = [*(json.dumps(label).encode() for label in task.labels), b"null"]
    reasons = [b"null", *(json.dumps(reason).encode() for reason in BAD_ROWS)]
    bodies = slices(data, starts, ends - 1)
    comma: Any = b","
    if found.bad.any():  # `{}` wants no comma; it has no text either
        empty = [
            bool(bad) and not data[s + 1 : e - 1].strip()
            for s, e, bad in zip(starts, ends, found.bad, strict=True)
        ]
        comma = cells([b",", b""], np.array(empty, np.int64))
    return joined(
        [
            bodies,
            comma,
            _key(added.label),
            cells(labels, np.where(found.best < 0, len(task.labels), found.best)),
            b"," + _key(added.confidence),
            confidences(found, b"null"),
            b"," + _key(added.model_version) + json.dumps(task.model_version).encode(),
            b"," + _key(added.reason),
            cells(reasons, found.bad),
            *_sets(found, task),
            b"}\n",
        ]
    )


def _sets(found: Answers, task: Task) -> list[Piece]:
    if task.added.prediction_set is None or task.added.abstain is None:
        return []
    names, sizes = sets_of(found, lambda which: json.dumps([task.labels[n] for n in which]).encode(), b"null")
    abstain = cells([b"null", b"false", b"true"], np.minimum(sizes, 2))
    return [b"," + _key(task.added.prediction_set), names, b"," + _key(task.added.abstain), abstain]


def _slowly(
    data: bytes,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    values: Sequence[Any],
    found: Answers,
    task: Task,
) -> bytes:
    """Line by line: what is no object is kept as text, and no field of the input is ever overwritten."""
    out = []
    sets = [None] * len(values) if found.sets is None else found.sets
    for start, end, value, *answer in zip(
        starts,
        ends,
        values,
        found.best.tolist(),
        found.confidence.tolist(),
        found.bad.tolist(),
        sets,
        strict=True,
    ):
        line = data[start:end]
        if isinstance(value, dict):
            body, taken = line[:-1].rstrip(), value.keys()
        else:
            body = json.dumps({_RAW: line.decode("utf-8", "backslashreplace")}).encode()[:-1]
            taken = {_RAW: None}.keys()
        fields = json.dumps(_fields(answer, Added(*(free_name(n, taken) for n in task.added.names)), task))
        out.append(body + (b", " if taken else b"") + fields.encode()[1:] + b"\n")
    return b"".join(out)


def _fields(answer: Sequence[Any], added: Added, task: Task) -> dict[str, Any]:
    best, confidence, bad, in_set = answer
    fields: dict[str, Any] = {
        added.label: None if bad else task.labels[best],
        added.confidence: None if bad else round(confidence, 4),
        added.model_version: task.model_version,
        added.reason: str(BAD_ROWS[bad - 1]) if bad else None,
    }
    if added.prediction_set is not None and added.abstain is not None:
        members = [task.labels[n] for n in np.flatnonzero(in_set)]
        fields |= {
            added.prediction_set: members or None,
            added.abstain: len(members) > 1 if members else None,
        }
    return fields


def _key(name: str) -> bytes:
    return json.dumps(name).encode() + b":"
