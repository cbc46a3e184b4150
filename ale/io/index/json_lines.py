"""Whether each line of JSON is one object, by its brackets: a reader of whole blocks would not notice otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled

_QUOTE, _ESCAPE, _OPEN, _CLOSE = ord('"'), ord("\\"), ord("{"), ord("}")
_DEPTH = np.zeros(256, np.int64)
_DEPTH[[_OPEN, ord("[")]], _DEPTH[[_CLOSE, ord("]")]] = 1, -1


@compiled
def one_object_each(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bool:
    """Whether every line begins with a brace that is closed by its last byte and not before."""
    for line in range(len(starts)):
        depth = 0
        quoted = escaped = False
        for at in range(starts[line], ends[line]):
            byte = data[at]
            if quoted:
                if escaped:
                    escaped = False
                elif byte == _ESCAPE:
                    escaped = True
                elif byte == _QUOTE:
                    quoted = False
                continue
            if byte == _QUOTE:
                quoted = True
            depth += _DEPTH[byte]
            if depth <= 0 and at < ends[line] - 1:
                return False
        if quoted or depth != 0 or data[starts[line]] != _OPEN or data[ends[line] - 1] != _CLOSE:
            return False
    return True
