"""Files of lines as blocks of whole records: read once from front to back, packed or not, in bounded memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from ale.errors import ConfigurationError
from ale.io.index.inputs import InputFile

BLOCK = 16 << 20
"""Bytes of a block, before packing."""
LONGEST = 64 << 20
"""Bytes of a record. A longer one is a file that is no such file, or a quote that is never closed."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Whole records; `read` bytes of the file as it lies there were read for it."""

    number: int
    data: bytes
    read: int


def blocks_of(file: InputFile, whole: Callable[[bytes], int]) -> Iterator[Block]:
    """The blocks of a file, cut where `whole` says that the last whole record ends (0 = nowhere yet).

    The cut hangs on the content alone, so that a resumed run finds the same blocks.
    """
    with file.fs.open(file.path, "rb") as raw:
        number = before = 0
        rest = b""
        first = True
        with _unpacked(file, raw) as stream:
            while True:
                try:
                    more = bytes(stream.read(BLOCK - len(rest) if len(rest) < BLOCK else BLOCK))
                except (pa.ArrowException, OSError, EOFError) as error:
                    raise ConfigurationError(f"cannot read {file.path}: {error}") from error
                if first:
                    more, first = more.removeprefix(_BYTE_ORDER_MARK), False
                data = rest + more
                if more:
                    end = whole(data)
                    if end == 0:
                        if len(data) > LONGEST:
                            raise ConfigurationError(
                                f"{file.path}: the record that follows block {number} is longer than "
                                f"{LONGEST >> 20} MiB: is a quote never closed, or a line never ended?"
                            )
                        rest = data
                        continue
                elif data:
                    end = len(data)  # the last record needs no line end
                else:
                    return
                at = raw.tell()
                yield Block(number, data[:end], max(0, at - before))
                number, before, rest = number + 1, at, data[end:]


@contextmanager
def _unpacked(file: InputFile, raw: Any) -> Iterator[Any]:
    if file.kind.compression is None:
        yield raw
    else:
        with pa.CompressedInputStream(pa.PythonFile(raw, "r"), file.kind.compression) as stream:
            yield stream


def pack(data: bytes, compression: str | None) -> bytes:
    """The bytes as one member of a packed file; members may stand one behind the other."""
    if compression is None:
        return data
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def append_all(paths: Sequence[str], fs: Any, sink: BinaryIO) -> None:
    """The files one behind the other."""
    for path in paths:
        with fs.open(path, "rb") as part:
            shutil.copyfileobj(part, sink, BLOCK)
