"""Whether bytes are UTF-8, as the Unicode standard wants it: no overlong forms, no surrogates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.scanner.compiled import compiled


@compiled
def is_ascii(data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether all bytes are below 128; so cheap that it comes first."""
    seen = np.uint8(0)
    for at in range(start, end):
        seen |= data[at]
    return bool(seen < 128)


@compiled
def is_utf8(data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether data[start:end] is well-formed UTF-8 (Unicode, table 3-7)."""
    at = start
    while at < end:
        lead = data[at]
        at += 1
        if lead < 0x80:
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more > end or data[at] < low or data[at] > high:
            return False
        for k in range(at + 1, at + more):
            if data[k] < 0x80 or data[k] > 0xBF:
                return False
        at += more
    return True
