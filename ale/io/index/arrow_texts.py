"""Arrow's text columns as the scanner reads them, without a copy where Arrow has them as one run of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import types

from ale.scanner.texts import BadRow, Texts, reason_number

_NULL = np.uint8(reason_number(BadRow.NULL))
_WIDE = pa.large_binary()


def is_text(kind: Any) -> bool:
    """Whether a column of this type holds text, or bytes that may be UTF-8."""
    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
    )


def texts_of(column: Any) -> Texts:
    """The texts of an array of any type for which `is_text` holds; null is a bad row."""
    kind = column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_string_view(kind) or types.is_binary_view(kind):
        column = column.cast(_WIDE)
        kind = column.type
    n = len(column)
    _, offsets, data = column.buffers()
    width: type[np.signedinteger[Any]] = (
        np.int64 if types.is_large_string(kind) or types.is_large_binary(kind) else np.int32
    )
    starts = (
        np.zeros(1, np.int64)
        if offsets is None or not n
        else np.frombuffer(offsets, width)[column.offset : column.offset + n + 1].astype(np.int64)
    )
    content: NDArray[np.uint8] = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    known = np.zeros(n, np.uint8)
    if column.null_count:
        known[np.asarray(column.is_null())] = _NULL
    return Texts(content, starts, known)
