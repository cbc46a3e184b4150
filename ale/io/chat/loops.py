"""One resource per event loop, closed when its loop ends.

A client's connections belong to the loop that opened them, and a synchronous caller runs a new loop at each
call (`asyncio.run`). So a client is made at its first use in a loop; `asyncio.run` closes the loop's
asynchronous generators when it ends, and the client lives in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

T = TypeVar("T")


class OnePerLoop(Generic[T]):
    """Makes and keeps one `T` for each running loop."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._make = make
        self._held: dict[asyncio.AbstractEventLoop, T] = {}
        # A generator that nobody refers to would be closed at once.
        self._lives: dict[asyncio.AbstractEventLoop, AsyncIterator[T]] = {}

    async def get(self) -> T:
        """The resource of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            life = self._live(loop)
            self._lives[loop] = life
            self._held[loop] = await anext(life)
        return self._held[loop]

    async def _live(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[T]:
        try:
            async with self._make() as made:
                yield made
        finally:
            self._held.pop(loop, None)
            self._lives.pop(loop, None)
