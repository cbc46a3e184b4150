"""The one way in which the scanner's loops are compiled: without the interpreter's lock, and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ale.errors import MissingExtra

try:
    from numba import njit
except ImportError as error:
    raise MissingExtra("the scanner", "index") from error

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """The function as machine code at its first call; several threads may run it side by side.

    No fast-math: the same bytes give the same numbers, however a file is cut into batches.
    What is kept knows of changes in a loop's own file only: whoever changes one that others call removes `*.nbi`.
    """
    try:
        return cast(Loop, njit(nogil=True, cache=True)(loop))
    except RuntimeError:  # numba finds no folder that it may write to: compile in every process
        return cast(Loop, njit(nogil=True)(loop))
